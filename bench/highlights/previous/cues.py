"""Cues: what a timeline says about each moment, relative to the recording itself, so that gain and room do not matter.

Every cue compares a second or two around a row with the minutes around it. They are listed in CUES with their reasons;
`pipeline/listening/detection/model.json` says how much each one speaks for a highlight.
"""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.listening.features import BANDS, MODULATION_EDGES_HZ, ROWS_PER_S
from pipeline.listening.timeline_file import Timeline

Column = NDArray[np.float32]
Rows = NDArray[np.float32]

CUES: Final[tuple[str, ...]] = (
    "level",  # dB over the median of a minute: events are loud, though often no louder than the speaker
    "level_peak",  # dB over the loud parts (80th percentile) of a minute: over the speaker, not over the pauses
    "rise",  # dB over the seconds before: a reaction begins
    "unsteady",  # dB by which the spectral shape moves within 2 s: speech changes with each sound, a crowd does not
    "unsteady_high",  # the same above 1.5 kHz, where consonants come and go
    "level_swing",  # dB by which the level moves within 2 s: large for speech
    "voicing_swing",  # how much harmonicity moves within 2 s: large for speech, small for crowds and for music
    "novelty",  # dB distance from the usual spectral shape of these minutes
    "tilt",  # dB of highs over lows, relative to the usual
    "mid",  # dB of 1-3 kHz over the lows, relative to the usual: excited voices, applause
    "bass",  # dB below 350 Hz, relative to the usual: machines, traffic and thunder have it, crowds do not
    "treble",  # dB above 4 kHz, relative to the usual
    "tonal_low",  # nats by which lines stand out of 200-1000 Hz: voices and music; crowds blur them
    "tonal_mid",  # the same for 1-3 kHz
    "tonal_high",  # the same for 3-7 kHz: whistles, alarms
    "harmonic",  # 0..1: one voice, one instrument
    "pitch",  # octaves over 70 Hz
    "scream",  # harmonicity times octaves over 560 Hz, the best half second: higher than anyone speaks
    *(f"rhythm_{m}" for m in range(len(MODULATION_EDGES_HZ) - 1)),  # swing of the envelope by octave, from 1.5 Hz
    "pauses",  # 0..1, share of gaps
    "flutter",  # dB from one row to the next: speech jumps, crowds ripple, machines do not move at all
    "shape_flutter",  # dB from one row to the next in the bands: the same for the spectrum
    "ripple",  # dB by which bands stand out of their neighbours: mouths have formants, rain and fans have none
    "spread",  # dB by which bands differ: mouths and hands favour some, rain and hiss none
    "share_low",  # dB of 100-450 Hz under the level
    "share_mid",  # dB of 450-1500 Hz under the level: where crowds of voices have their power
    "share_high",  # dB of 1.5-4 kHz under the level: where hands and excited voices have it
    "share_top",  # dB of 4-7.6 kHz under the level
    "fall",  # dB from 1.5-4 kHz down to 4-7.6 kHz: hands and voices fall off there, rain and hiss do not
)
LULLS: Final[tuple[str, ...]] = (
    "still_1s",  # nats of dB, how much level and bands flutter within 1 s: rain and machines have seconds of calm
    "still_3s",  # the same, on average over 3 s
    "drift_2s",  # nats of dB, how far the four shares move within 2 s: people begin, tire and stop
    "drift_6s",  # the same within 6 s
)
"""Cues of which an interval's lowest value counts: one calm second tells a machine, however it began and ended."""

_NEAR_ROWS: Final = 7
"""0.7 s: long enough to average syllables, short enough to keep the edges of a shout."""
_SHORT_ROWS: Final = 10
_LONG_ROWS: Final = 20
"""2 s: a few words; steadiness shows only over several of them."""
_LULL_ROWS: Final = 30
_DRIFT_ROWS: Final = (20, 60)
_LEAST_STILL_DB: Final = np.float32(0.3)
_LEAST_DRIFT_DB: Final = np.float32(0.1)
"""Less movement counts as none."""
_BEFORE_ROWS: Final = (25, 30)
"""The stretch that `rise` compares with: 3 s, which end a second before the row."""
_TILE_ROWS: Final = 2048
"""Rows worked on at once: their arrays (160 KB) stay near the processor."""
_HALO_ROWS: Final = 50
"""Rows beside a tile that its cues hear: `rise` looks back 4 s, `drift_6s` 3.4 s to both sides."""
_MINUTE_S: Final = 60
_LEVEL_QUANTILES: Final = (0.5, 0.8)
"""The usual level of a minute, and that of its loud parts."""
_SHAPE_BLOCK_ROWS: Final = 100
_SHAPE_BLOCKS: Final = 19
"""The usual spectral shape is a median of means over 10 s, over three minutes: scenes may differ."""
_SHAPE_RANGE_DB: Final = 45.0
"""Bands further under the level than this are out of the codec's sight."""
_NEPERS_PER_DB: Final = np.float32(np.log(10.0) / 10.0)
"""e^(x * this) is the power ratio of x dB."""
_LEAST_POWER: Final = np.float32(1e-10)
"""Added before logarithms are taken (-100 dB)."""
_SCREAM_OCTAVES: Final = 3.0
"""560 Hz."""
_REGIONS: Final = (0, 3, 9, 15)
"""First bands of the four shares: from 100, 450, 1500 and 4000 Hz."""
_TREBLE, _HIGHS, _LOWS, _MIDS, _MID_LOWS, _BASS = 15, 12, 8, slice(8, 13), 6, 3
"""Bands: 15 begins at 4 kHz, 12 at 2.8 kHz, 8 at 1.4 kHz, 6 at 950 Hz, 3 at 440 Hz."""


def extract_cues(timeline: Timeline) -> Rows:
    """Return cues [rows, len(CUES) + len(LULLS)], float32 and finite; each cue lies in memory by itself."""
    cues = np.empty((len(CUES) + len(LULLS), timeline.rows), dtype=np.float32)
    if timeline.rows:
        heard = _Columns(timeline)
        near = _power_mean(heard.level, _NEAR_ROWS)
        usual_levels, usual_shape = _usual_levels(near), _usual_shape(heard.shape(slice(None)))
        for first in range(0, timeline.rows, _TILE_ROWS):
            inner = slice(first, min(timeline.rows, first + _TILE_ROWS))
            outer = slice(max(0, first - _HALO_ROWS), inner.stop + _HALO_ROWS)
            part = _cues_of(heard, outer, usual_shape.at(outer))
            cues[:, inner] = part[:, first - outer.start :][:, : inner.stop - first]
        for k, usual in enumerate(usual_levels):
            cues[k] = near - usual
    return cues.T


def smoothed_level_db(timeline: Timeline) -> Column:
    """Return the level averaged over 0.7 s as power, in dBFS."""
    return _power_mean(timeline.column("level_db"), _NEAR_ROWS)


class _Columns:
    """A timeline's features by name, each [rows] in one piece, whatever their order in memory was."""

    def __init__(self, timeline: Timeline) -> None:
        self._columns = np.ascontiguousarray(timeline.features.T)
        self._at = {name: i for i, name in enumerate(timeline.names)}
        self.level = self.get("level_db", slice(None))

    def get(self, name: str, part: slice) -> Column:
        """Return some rows of a feature."""
        return np.asarray(self._columns[self._at[name], part])

    def shape(self, part: slice) -> Rows:
        """Return the spectral shape [BANDS, rows] of some rows: dB under the level."""
        first = self._at["band_00_db"]
        below = self._columns[first : first + BANDS, part] - self.level[part]
        return np.asarray(np.maximum(below, np.float32(-_SHAPE_RANGE_DB), out=below))


def _cues_of(heard: _Columns, part: slice, usual_shape: Rows) -> Rows:
    """Return the cues [len(CUES) + len(LULLS), rows] of some rows; those at the ends of `part` hear one side only.

    The two levels that come first are left at zero: they need the whole recording.
    """
    level, shape = heard.get("level_db", part), heard.shape(part)
    harmonic, pitch = heard.get("harmonicity", part), heard.get("pitch_octave", part)
    near_shape = _mean(shape, _SHORT_ROWS)
    columns: list[Column] = [np.zeros_like(level), np.zeros_like(level), _rise(level)]
    columns += _steadiness(level, shape, harmonic)
    columns += _colour(near_shape - usual_shape)
    columns += [_mean(heard.get(f"tonality_{region}", part), _SHORT_ROWS) for region in ("low", "mid", "high")]
    columns += [_mean(harmonic, _SHORT_ROWS), _mean(pitch, _SHORT_ROWS), _scream(harmonic, pitch)]
    columns += [
        _mean(heard.get(f"modulation_{octave}", part), _NEAR_ROWS) for octave in range(len(MODULATION_EDGES_HZ) - 1)
    ]
    columns.append(_mean(heard.get("gaps", part), _NEAR_ROWS))
    columns += _texture(level, shape, near_shape)
    return np.stack(columns)


def _rise(level: Column) -> Column:
    delay, width = _BEFORE_ROWS
    before = np.concatenate((np.full(delay, level[0], dtype=np.float32), _mean(level, width)))[: len(level)]
    return _mean(level, _SHORT_ROWS) - before


def _steadiness(level: Column, shape: Rows, harmonic: Column) -> list[Column]:
    swing = _deviation(shape, _LONG_ROWS)
    return [
        swing.mean(axis=0),
        swing[BANDS // 2 :].mean(axis=0),
        _deviation(level, _LONG_ROWS),
        _deviation(harmonic, _LONG_ROWS),
    ]


def _colour(difference: Rows) -> list[Column]:
    return [
        np.sqrt(np.square(difference).mean(axis=0)),
        difference[_HIGHS:].mean(axis=0) - difference[:_LOWS].mean(axis=0),
        difference[_MIDS].mean(axis=0) - difference[:_MID_LOWS].mean(axis=0),
        difference[:_BASS].mean(axis=0),
        difference[_TREBLE:].mean(axis=0),
    ]


def _texture(level: Column, shape: Rows, near_shape: Rows) -> list[Column]:
    """Return the cues from `flutter` on, and the lulls, which are made of the same movements."""
    slopes = np.diff(near_shape, axis=0)
    ripple = np.abs(np.diff(slopes, axis=0)).mean(axis=0)
    powers = np.add.reduceat(np.exp(shape * _NEPERS_PER_DB), _REGIONS, axis=0)
    shares = 10 * np.log10(_mean(powers, _NEAR_ROWS) + _LEAST_POWER)
    steps = np.stack(
        (
            np.abs(np.diff(level, prepend=level[:1])),
            np.abs(np.diff(shape, axis=1, prepend=shape[:, :1])).mean(axis=0),
        ),
    )
    moving = np.concatenate((_mean(steps, _SHORT_ROWS), _deviation(level, _SHORT_ROWS)[None, :]))
    still = np.log(np.maximum(moving, _LEAST_STILL_DB)).mean(axis=0)
    drifts = [_deviation(shares, width).mean(axis=0) for width in _DRIFT_ROWS]
    return [
        *_mean(steps, _LONG_ROWS),
        ripple,
        near_shape.std(axis=0),
        *shares,
        shares[2] - shares[3],
        still,
        _mean(still, _LULL_ROWS),
        *(np.log(np.maximum(drift, _LEAST_DRIFT_DB)) for drift in drifts),
    ]


def _scream(harmonic: Column, pitch: Column) -> Column:
    return _mean(harmonic * np.maximum(pitch - np.float32(_SCREAM_OCTAVES), 0.0), ROWS_PER_S // 2)


def _mean(values: Rows, width: int) -> Rows:
    """Return the centred running mean over `width` rows along the last axis; at the ends, over what is there.

    Sums of 1, 2, 4 … rows are built from each other: a handful of additions for any width, all in float32.
    """
    count, before = values.shape[-1], width // 2
    padded = np.zeros((*values.shape[:-1], count + width), dtype=np.float32)
    padded[..., before : before + count] = values
    total = np.zeros(values.shape, dtype=np.float32)
    power, offset, doubled = 1, 0, padded
    while True:
        if width & power:
            total += doubled[..., offset : offset + count]
            offset += power
        if 2 * power > width:
            break
        doubled = doubled[..., :-power] + doubled[..., power:]
        power *= 2
    start = np.arange(count) - before
    sizes = np.minimum(start + width, count) - np.maximum(start, 0)
    total /= sizes.astype(np.float32)
    return total


def _power_mean(level_db: Column, width: int) -> Column:
    power = _mean(np.exp(level_db * _NEPERS_PER_DB), width)
    return np.asarray(10.0 * np.log10(power + _LEAST_POWER), dtype=np.float32)


def _deviation(values: Rows, width: int) -> Rows:
    """Return the standard deviation over `width` rows around each row."""
    mean = _mean(values, width)
    return np.sqrt(np.maximum(_mean(np.square(values), width) - np.square(mean), 0.0))


def _usual_levels(near: Column) -> list[Column]:
    """Return the median and the loud part of a minute around each row, taken each second."""
    seconds = _blocks(near, ROWS_PER_S)
    windows = _windows(seconds, _MINUTE_S + 1)
    ordered = np.sort(windows, axis=-1)
    ranks = [round(q * (windows.shape[-1] - 1)) for q in _LEVEL_QUANTILES]
    every = slice(0, len(near))
    return [_Course(ordered[:, rank], ROWS_PER_S, len(near)).at(every) for rank in ranks]


def _usual_shape(shape: Rows) -> "_Course":
    ordered = np.sort(_windows(_blocks(shape, _SHAPE_BLOCK_ROWS), _SHAPE_BLOCKS), axis=-1)
    middle = (ordered.shape[-1] - 1) // 2
    medians = (ordered[..., middle] + ordered[..., ordered.shape[-1] - 1 - middle]) * np.float32(0.5)
    return _Course(medians, _SHAPE_BLOCK_ROWS, shape.shape[-1])


class _Course:
    """Values [..., n] of blocks of `size` rows as a course in time: straight between the middles of the blocks."""

    def __init__(self, values: Rows, size: int, rows: int) -> None:
        self._values = values
        self._steps = np.diff(self._values, append=self._values[..., -1:])
        self._size = min(size, rows)
        self._rows = rows

    def at(self, part: slice) -> Rows:
        """Return the values [..., rows] at some rows."""
        rows = np.arange(*part.indices(self._rows))
        place = np.clip((rows + 0.5) / self._size - 0.5, 0.0, self._values.shape[-1] - 1)
        block = place.astype(np.intp)
        course = np.take(self._steps, block, axis=-1)
        course *= (place - block).astype(np.float32)
        course += np.take(self._values, block, axis=-1)
        return np.asarray(course)


def _blocks(values: Rows, size: int) -> Rows:
    """Return means [..., n] of whole blocks of `size` rows, one block at least."""
    rows = values.shape[-1]
    count = max(1, rows // size)
    used = values[..., : count * size]
    return np.asarray(used.reshape(*values.shape[:-1], count, -1).mean(axis=-1))


def _windows(blocks: Rows, width: int) -> Rows:
    """Return a window of `width` blocks around each block; at the ends, the nearest whole one (all if short)."""
    count = blocks.shape[-1]
    width = min(width, count)
    windows = sliding_window_view(blocks, width, axis=-1)
    nearest = np.clip(np.arange(count) - width // 2, 0, count - width)
    return np.asarray(windows[..., nearest, :])
