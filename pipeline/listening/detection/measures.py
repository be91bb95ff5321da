"""Measures of a timeline relative to the recording itself, so that gain and room do not matter."""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.listening.features import BANDS, ROWS_PER_S
from pipeline.listening.timeline_file import Timeline

Column = NDArray[np.float32]
Rows = NDArray[np.float32]

NEAR_ROWS: Final = 7
"""0.7 s: long enough to average syllables, short enough to keep the edges of a shout."""
SHORT_ROWS: Final = 10
LONG_ROWS: Final = 20
"""2 s, a few words, the shortest time that shows steadiness."""
MINUTE_S: Final = 60
SHAPE_BLOCK_ROWS: Final = 100
SHAPE_BLOCKS: Final = 19
"""The usual spectral shape is the median of 10 s means over three minutes, because scenes differ."""
SHAPE_RANGE_DB: Final = 45.0
"""Bands further below the level than this are lost in the codec."""
NEPERS_PER_DB: Final = np.float32(np.log(10.0) / 10.0)
"""e^(x * this) is the power ratio of x dB."""
LEAST_POWER: Final = np.float32(1e-10)
"""Added before logarithms are taken (-100 dB)."""


def measure(timeline: Timeline) -> dict[str, Column]:
    """Return measures [rows] by name.

    `level`: dB over the median of a minute. `novelty`: dB by which the spectral shape differs from the usual one of
    these minutes. `unsteady`: dB by which that shape moves within 2 s; speech changes with each sound, a crowd does
    not. `tonal_low`: nats by which lines stand out of 200-1000 Hz. `harmonic`: 0..1, one voice or instrument. `pauses`:
    0..1, share of gaps.
    """
    if timeline.rows == 0:
        empty = np.empty(0, dtype=np.float32)
        return dict.fromkeys(("level", "novelty", "unsteady", "tonal_low", "harmonic", "pauses"), empty)
    level = timeline.column("level_db")
    near = smoothed_level_db(timeline)
    shape = _shape(timeline, level)
    return {
        "level": near - _usual_level(near),
        "novelty": np.sqrt(np.square(_mean(shape, SHORT_ROWS) - _usual_shape(shape)).mean(axis=0)),
        "unsteady": _deviation(shape, LONG_ROWS).mean(axis=0),
        "tonal_low": _mean(timeline.column("tonality_low"), SHORT_ROWS),
        "harmonic": _mean(timeline.column("harmonicity"), SHORT_ROWS),
        "pauses": _mean(timeline.column("gaps"), NEAR_ROWS),
    }


def smoothed_level_db(timeline: Timeline) -> Column:
    """Return the level averaged over 0.7 s as power, in dBFS."""
    power = _mean(np.exp(timeline.column("level_db") * NEPERS_PER_DB), NEAR_ROWS)
    return np.asarray(10.0 * np.log10(power + LEAST_POWER), dtype=np.float32)


def _shape(timeline: Timeline, level: Column) -> Rows:
    """Return the spectral shape [BANDS, rows]: dB under the level."""
    first = timeline.names.index("band_00_db")
    below = timeline.features[:, first : first + BANDS].T - level
    return np.asarray(np.maximum(below, np.float32(-SHAPE_RANGE_DB)))


def _usual_level(near: Column) -> Column:
    """Return the median of a minute around each row, taken each second."""
    medians = np.median(_windows(_blocks(near, ROWS_PER_S), MINUTE_S + 1), axis=-1)
    return _course(medians, ROWS_PER_S, len(near))


def _usual_shape(shape: Rows) -> Rows:
    medians = np.median(_windows(_blocks(shape, SHAPE_BLOCK_ROWS), SHAPE_BLOCKS), axis=-1)
    return np.stack([_course(band, SHAPE_BLOCK_ROWS, shape.shape[-1]) for band in medians])


def _course(values: NDArray[np.floating], size: int, rows: int) -> Column:
    """Return values [n] of blocks of `size` rows for each row, interpolated between the middles of the blocks."""
    middles = (np.arange(len(values)) + 0.5) * min(size, rows)
    return np.asarray(np.interp(np.arange(rows) + 0.5, middles, values), dtype=np.float32)


def _blocks(values: Rows, size: int) -> Rows:
    """Return means [..., n] of whole blocks of `size` rows, at least one block."""
    count = max(1, values.shape[-1] // size)
    used = values[..., : count * size]
    return np.asarray(used.reshape(*values.shape[:-1], count, -1).mean(axis=-1))


def _windows(blocks: Rows, width: int) -> Rows:
    """Return a window of `width` blocks around each block; at the ends, the nearest whole one (all if short)."""
    count = blocks.shape[-1]
    width = min(width, count)
    windows = sliding_window_view(blocks, width, axis=-1)
    nearest = np.clip(np.arange(count) - width // 2, 0, count - width)
    return np.asarray(windows[..., nearest, :])


def _mean(values: Rows, width: int) -> Rows:
    """Return the centred running mean over `width` rows along the last axis; at the ends, over the rows that exist."""
    count, before = values.shape[-1], width // 2
    sums = np.zeros((*values.shape[:-1], count + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    start = np.clip(np.arange(count) - before, 0, count)
    stop = np.clip(np.arange(count) - before + width, 0, count)
    return np.asarray((sums[..., stop] - sums[..., start]) / (stop - start), dtype=np.float32)


def _deviation(values: Rows, width: int) -> Rows:
    """Return the standard deviation over `width` rows around each row."""
    mean = _mean(values, width)
    return np.sqrt(np.maximum(_mean(np.square(values), width) - np.square(mean), 0.0))
