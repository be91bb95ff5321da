"""Candidate intervals: where the row scores stand out, at several heights, and what is measured over each of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.features import ROWS_PER_S
from previous.cues import CUES, LULLS

Intervals = NDArray[np.intp]
"""[n, 2], first row and the row after the last."""

THRESHOLDS: Final = tuple(np.arange(-3.5, 5.0, 0.5))
"""Log-odds at which runs of rows become candidates: an event is an island at some height, whatever its surroundings."""
CLOSE_ROWS: Final = 4
"""Dips of up to 0.4 s do not split an event: breath between laughs."""
MIN_ROWS: Final = 5
"""Half a second: a shout. Anything shorter is a knock."""
MAX_ROWS: Final = 30 * ROWS_PER_S
"""Half a minute of steady noise is a place, not an event."""
AROUND_ROWS: Final = 3 * ROWS_PER_S
"""The seconds before and after that an event is compared with."""

VOTER_IOU: Final = 0.3
"""Candidates that share this much with the chosen one have a say in where it begins and ends."""
VOTER_POWER: Final = 2
"""Votes count by the square of the score: the doubtful ones hardly."""

MEASURES: Final[tuple[str, ...]] = (
    *CUES,  # the mean of each cue over the interval
    "evidence",  # mean row log-odds inside
    "evidence_peak",  # the highest row log-odds inside
    "contrast",  # mean row log-odds inside less those of the seconds around
    "before",  # dB over the three seconds before
    "after",  # dB over the three seconds after
    "decay",  # dB by which the first half is louder than the second: people tire, machines do not
    "sway",  # dB by which the level moves within the interval
    "least",  # lowest row log-odds inside, smoothed: one event has no hole
    "duration",  # log2 of seconds
    *(f"least_{lull}" for lull in LULLS),  # the lowest value inside
)


def propose(log_odds: NDArray[np.floating]) -> Intervals:
    """Return candidate intervals [n, 2] of a curve of row log-odds, each once, in order of start."""
    found = [runs(log_odds > threshold) for threshold in THRESHOLDS]
    every = np.concatenate(found) if found else np.empty((0, 2), dtype=np.intp)
    sizes = every[:, 1] - every[:, 0]
    return np.unique(every[(sizes >= MIN_ROWS) & (sizes <= MAX_ROWS)], axis=0)


def runs(mask: NDArray[np.bool_]) -> Intervals:
    """Return runs of True with short gaps closed."""
    edges = np.diff(np.concatenate(([False], mask, [False])).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if len(starts) == 0:
        return np.empty((0, 2), dtype=np.intp)
    apart = starts[1:] - stops[:-1] > CLOSE_ROWS
    keep_start, keep_stop = np.concatenate(([True], apart)), np.concatenate((apart, [True]))
    return np.stack((starts[keep_start], stops[keep_stop]), axis=1)


def measure(
    intervals: Intervals,
    cues: NDArray[np.float32],
    log_odds: NDArray[np.floating],
    level_db: NDArray[np.floating],
) -> NDArray[np.float64]:
    """Return MEASURES [n, len(MEASURES)] of each interval."""
    rows = len(cues)
    start, stop = intervals[:, 0], intervals[:, 1]
    sums = np.zeros((len(CUES) + 2, rows + 1))
    for column, total in zip((*cues.T[: len(CUES)], log_odds, level_db), sums, strict=True):
        np.cumsum(column, out=total[1:])

    def mean(of: NDArray[np.float64], first: NDArray[np.intp], last: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray((of[:, last] - of[:, first]) / np.maximum(last - first, 1)).T

    inside = mean(sums, start, stop)
    last_two = sums[-2:]  # of log-odds and level alone the surroundings are asked
    before = mean(last_two, np.maximum(start - AROUND_ROWS, 0), start)
    after = mean(last_two, stop, np.minimum(stop + AROUND_ROWS, rows))
    before[start == 0] = inside[start == 0, -2:]
    after[stop == rows] = inside[stop == rows, -2:]
    around = (before[:, -2] + after[:, -2]) / 2
    middle = (start + stop) // 2
    level_sums = np.concatenate(([0.0], np.cumsum(np.square(level_db, dtype=np.float64))))
    squares = (level_sums[stop] - level_sums[start]) / (stop - start)
    lulls = [_lowest(column, intervals) for column in cues.T[len(CUES) :]]
    return np.column_stack(
        (
            inside[:, :-1],
            -_lowest(-log_odds, intervals),
            inside[:, -2] - around,
            inside[:, -1] - before[:, -1],
            inside[:, -1] - after[:, -1],
            mean(last_two, start, middle)[:, -1] - mean(last_two, middle, stop)[:, -1],
            np.sqrt(np.maximum(squares - np.square(inside[:, -1]), 0.0)),
            _lowest(log_odds, intervals),
            np.log2((stop - start) / ROWS_PER_S),
            *lulls,
        ),
    )


def _lowest(values: NDArray[np.floating], intervals: Intervals) -> NDArray[np.floating]:
    """Return the lowest of `values` [rows] within each interval."""
    if len(intervals) == 0:
        return np.empty(0)
    return np.asarray(np.minimum.reduceat(np.append(values, np.inf), intervals.ravel())[::2])


def pick(intervals: Intervals, scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return indices of intervals, best score first, such that no two overlap. Ties: the earlier, then the shorter."""
    order = np.lexsort((intervals[:, 1], intervals[:, 0], -scores))
    taken = bytearray(int(intervals[:, 1].max()) if len(intervals) else 0)
    chosen = []
    for i, (start, stop) in zip(order.tolist(), intervals[order].tolist(), strict=True):
        if taken.find(1, start, stop) < 0:
            taken[start:stop] = b"\1" * (stop - start)
            chosen.append(i)
    return np.array(chosen, dtype=np.intp)


def settle(intervals: Intervals, scores: NDArray[np.float64], chosen: NDArray[np.intp]) -> Intervals:
    """Return where the chosen of `intervals` (in order of start) begin and end [n, 2], by vote of those that overlap.

    A dip in the middle of an event, or a murmur beside it, moves one candidate's edge but not the average one's.
    """
    settled = intervals[chosen].copy()
    first = np.searchsorted(intervals[:, 0], settled[:, 0] - MAX_ROWS)
    last = np.searchsorted(intervals[:, 0], settled[:, 1])
    for k, (start, stop) in enumerate(settled):
        near, votes = intervals[first[k] : last[k]], scores[first[k] : last[k]] ** VOTER_POWER
        shared = np.minimum(near[:, 1], stop) - np.maximum(near[:, 0], start)
        whole = np.maximum(near[:, 1], stop) - np.minimum(near[:, 0], start)
        votes *= shared >= VOTER_IOU * whole
        if votes.sum() > 0.0:
            settled[k] = np.round(votes @ near / votes.sum())
    return settled
