"""Finds the prominent peaks of a curve and their extents."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.floating]


class Peak(NamedTuple):
    """A peak of a curve: rows [start, stop), the highest row, and its height above the pass to a higher one."""

    start: int
    stop: int
    row: int
    prominence: float


def find_peaks(curve: Curve, *, least: float, drop: float) -> list[Peak]:
    """Return peaks of at least this prominence, in order of time; none overlaps another.

    A peak extends as far as the curve stays within `drop` of its top, but not beyond the lowest row before the next
    peak. Prominence is the topographic one: maxima are joined over their passes, the highest pass first.
    """
    tops = _maxima(curve)
    passes = _passes(curve, tops)
    prominences = _prominences(curve, tops, passes)
    chosen = np.flatnonzero(prominences >= least)
    peaks = []
    for place, i in enumerate(chosen):
        top = int(tops[i])
        low = 0 if place == 0 else _lowest(curve, int(tops[chosen[place - 1]]), top)
        high = len(curve) if place + 1 == len(chosen) else _lowest(curve, top, int(tops[chosen[place + 1]]))
        floor = curve[top] - drop
        before, after = np.flatnonzero(curve[low:top] < floor), np.flatnonzero(curve[top:high] < floor)
        start = low + int(before[-1]) + 1 if len(before) else low
        stop = top + int(after[0]) if len(after) else high
        peaks.append(Peak(start, max(stop, top + 1), top, float(prominences[i])))
    return peaks


def _maxima(curve: Curve) -> NDArray[np.intp]:
    """Return rows that are higher than the one before and no lower than the one after; the ends count."""
    if len(curve) == 0:
        return np.empty(0, dtype=np.intp)
    rises = np.diff(curve) > 0.0
    return np.flatnonzero(np.concatenate(([True], rises)) & np.concatenate((~rises, [True])))


def _passes(curve: Curve, tops: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the lowest value between each maximum and the next."""
    return np.asarray(np.minimum.reduceat(curve, tops)[:-1] if len(tops) else np.empty(0), dtype=np.float64)


def _prominences(curve: Curve, tops: NDArray[np.intp], passes: NDArray[np.float64]) -> NDArray[np.float64]:
    prominences = curve[tops] - (curve.min() if len(curve) else 0.0)
    parent = list(range(len(tops)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    heights = curve[tops].tolist()
    for between in np.argsort(-passes, kind="stable").tolist():
        left, right = root(between), root(between + 1)
        lower, higher = (left, right) if heights[left] < heights[right] else (right, left)
        prominences[lower] = heights[lower] - passes[between]
        parent[lower] = higher
    return np.asarray(prominences, dtype=np.float64)


def _lowest(curve: Curve, first: int, last: int) -> int:
    """Return the lowest row between two rows."""
    return first + int(np.argmin(curve[first : last + 1]))
