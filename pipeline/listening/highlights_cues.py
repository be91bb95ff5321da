"""Cues: what a timeline says about each moment, relative to the recording itself, so that gain and room do not matter.

Every cue compares a second or two around a row with the minutes around it. They are listed in CUES with their reasons;
`pipeline/listening/highlights_model.json` says how much each one speaks for a highlight.
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
    "share_low",  # dB of 100-450 Hz under the level
    "share_mid",  # dB of 450-1500 Hz under the level: where crowds of voices have their power
    "share_high",  # dB of 1.5-4 kHz under the level: where hands and excited voices have it
    "share_top",  # dB of 4-7.6 kHz under the level
)

_NEAR_ROWS: Final = 7
"""0.7 s: long enough to average syllables, short enough to keep the edges of a shout."""
_SHORT_ROWS: Final = 10
_LONG_ROWS: Final = 20
"""2 s: a few words; steadiness shows only over several of them."""
_BEFORE_ROWS: Final = (25, 30)
"""The stretch that `rise` compares with: 3 s, which end a second before the row."""
_MINUTE_S: Final = 60
_SHAPE_BLOCK_ROWS: Final = 100
_SHAPE_BLOCKS: Final = 19
"""The usual spectral shape is a median of means over 10 s, over three minutes: scenes may differ."""
_SHAPE_RANGE_DB: Final = 45.0
"""Bands further under the level than this are out of the codec's sight."""
_NEPERS_PER_DB: Final = np.float32(np.log(10.0) / 10.0)
"""e^(x * this) is the power ratio of x dB."""
_SCREAM_OCTAVES: Final = 3.0
"""560 Hz."""
_REGIONS: Final = (slice(0, 3), slice(3, 9), slice(9, 15), slice(15, BANDS))
_TREBLE, _HIGHS, _LOWS, _MIDS, _MID_LOWS, _BASS = 15, 12, 8, slice(8, 13), 6, 3
"""Bands: 15 begins at 4 kHz, 12 at 2.8 kHz, 8 at 1.4 kHz, 6 at 950 Hz, 3 at 440 Hz."""


def extract_cues(timeline: Timeline) -> Rows:
    """Return cues [rows, len(CUES)], float32 and finite."""
    if timeline.rows == 0:
        return np.empty((0, len(CUES)), dtype=np.float32)
    level = timeline.column("level_db")
    first_band = timeline.names.index("band_00_db")
    bands = timeline.features[:, first_band : first_band + BANDS]
    harmonic, pitch = timeline.column("harmonicity"), timeline.column("pitch_octave")
    columns: list[Column] = []
    shape = np.maximum(bands - level[:, None], -_SHAPE_RANGE_DB)
    near_shape = _mean(shape, _SHORT_ROWS)
    columns += _loudness(level)
    columns += _steadiness(level, shape, harmonic)
    columns += _colour(near_shape - _usual_shape(shape))
    columns += [_mean(timeline.column(f"tonality_{region}"), _SHORT_ROWS) for region in ("low", "mid", "high")]
    columns += [_mean(harmonic, _SHORT_ROWS), _mean(pitch, _SHORT_ROWS), _scream(harmonic, pitch)]
    columns += [_mean(timeline.column(f"modulation_{m}"), _NEAR_ROWS) for m in range(len(MODULATION_EDGES_HZ) - 1)]
    columns.append(_mean(timeline.column("gaps"), _NEAR_ROWS))
    columns += _texture(level, shape, near_shape)
    return np.stack(columns, axis=1)


def smoothed_level_db(timeline: Timeline) -> Column:
    """Return the level averaged over 0.7 s as power, in dBFS."""
    return _power_mean(timeline.column("level_db"), _NEAR_ROWS)


def _loudness(level: Column) -> list[Column]:
    near = _power_mean(level, _NEAR_ROWS)
    usual, loud = _running_quantiles(near, (0.5, 0.8))
    delay, width = _BEFORE_ROWS
    before = np.concatenate((np.full(delay, level[0], dtype=np.float32), _mean(level, width)))[: len(level)]
    return [near - usual, near - loud, _mean(level, _SHORT_ROWS) - before]


def _steadiness(level: Column, shape: Rows, harmonic: Column) -> list[Column]:
    swing = _deviation(shape, _LONG_ROWS)
    return [
        swing.mean(axis=1),
        swing[:, BANDS // 2 :].mean(axis=1),
        _deviation(level, _LONG_ROWS),
        _deviation(harmonic, _LONG_ROWS),
    ]


def _colour(difference: Rows) -> list[Column]:
    return [
        np.sqrt(np.square(difference).mean(axis=1)),
        difference[:, _HIGHS:].mean(axis=1) - difference[:, :_LOWS].mean(axis=1),
        difference[:, _MIDS].mean(axis=1) - difference[:, :_MID_LOWS].mean(axis=1),
        difference[:, :_BASS].mean(axis=1),
        difference[:, _TREBLE:].mean(axis=1),
    ]


def _texture(level: Column, shape: Rows, near_shape: Rows) -> list[Column]:
    slopes = np.diff(near_shape, axis=1)
    ripple = np.abs(np.diff(slopes, axis=1)).mean(axis=1)
    powers = np.exp(shape * _NEPERS_PER_DB)
    shares = [_power_mean(10 * np.log10(powers[:, part].sum(axis=1)), _NEAR_ROWS) for part in _REGIONS]
    return [
        _mean(np.abs(np.diff(level, prepend=level[:1])), _LONG_ROWS),
        _mean(np.abs(np.diff(shape, axis=0, prepend=shape[:1])).mean(axis=1), _LONG_ROWS),
        ripple,
        *shares,
    ]


def _scream(harmonic: Column, pitch: Column) -> Column:
    return _mean(harmonic * np.maximum(pitch - np.float32(_SCREAM_OCTAVES), 0.0), ROWS_PER_S // 2)


def _mean(values: Rows, width: int) -> Rows:
    """Return the centred running mean over `width` rows along axis 0; at the ends, over what is there.

    Sums of 1, 2, 4 … rows are built from each other: a handful of additions for any width, all in float32.
    """
    count, before = len(values), width // 2
    padded = np.zeros((count + width, *values.shape[1:]), dtype=np.float32)
    padded[before : before + count] = values
    total = np.zeros_like(values, dtype=np.float32)
    power, offset, doubled = 1, 0, padded
    while True:
        if width & power:
            total += doubled[offset : offset + count]
            offset += power
        if 2 * power > width:
            break
        doubled = doubled[:-power] + doubled[power:]
        power *= 2
    start = np.arange(count) - before
    sizes = np.minimum(start + width, count) - np.maximum(start, 0)
    total /= sizes.reshape(-1, *(1,) * (values.ndim - 1)).astype(np.float32)
    return total


def _power_mean(level_db: Column, width: int) -> Column:
    power = _mean(np.exp(level_db * _NEPERS_PER_DB), width)
    return np.asarray(10.0 * np.log10(power + np.float32(1e-10)), dtype=np.float32)


def _deviation(values: Rows, width: int) -> Rows:
    """Return the standard deviation over `width` rows around each row."""
    mean = _mean(values, width)
    return np.sqrt(np.maximum(_mean(np.square(values), width) - np.square(mean), 0.0))


def _running_quantiles(values: Column, quantiles: tuple[float, ...]) -> list[Column]:
    """Return quantiles over a minute around each row, taken each second."""
    seconds, centres = _blocks(values, ROWS_PER_S)
    windows = _windows(seconds, _MINUTE_S + 1)
    ranks = [round(q * (windows.shape[-1] - 1)) for q in quantiles]
    ordered = np.partition(windows, ranks, axis=-1)
    return [_spread(ordered[..., rank], centres, len(values)) for rank in ranks]


def _usual_shape(shape: Rows) -> Rows:
    blocks, centres = _blocks(shape, _SHAPE_BLOCK_ROWS)
    medians = np.median(_windows(blocks, _SHAPE_BLOCKS), axis=-1)
    return np.stack([_spread(medians[:, b], centres, len(shape)) for b in range(shape.shape[1])], axis=1)


def _blocks(values: Rows, size: int) -> tuple[Rows, NDArray[np.float64]]:
    """Return means of whole blocks of `size` rows, one block at least, and the rows at their centres."""
    count = max(1, len(values) // size)
    used = values[: count * size]
    means: Rows = used.reshape(count, -1, *values.shape[1:]).mean(axis=1)
    return means, np.asarray((np.arange(count) + 0.5) * min(size, len(values)) - 0.5)


def _windows(blocks: Rows, width: int) -> Rows:
    """Return a window of `width` blocks around each block; at the ends, the nearest whole one (all if short)."""
    width = min(width, len(blocks))
    windows = sliding_window_view(blocks, width, axis=0)
    nearest = np.clip(np.arange(len(blocks)) - width // 2, 0, len(blocks) - width)
    return np.asarray(windows[nearest])


def _spread(values: NDArray[np.floating], centres: NDArray[np.float64], rows: int) -> Column:
    return np.asarray(np.interp(np.arange(rows), centres, values), dtype=np.float32)
