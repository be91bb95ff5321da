"""Extends moments to clips: includes what led to them and the whole reaction, cuts at pauses, without overlaps."""

from bisect import bisect_right, insort
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.features import ROWS_PER_S

LEAD_ROWS: Final = 15
"""The least time before a moment: a reaction needs the words that caused it."""
TAIL_ROWS: Final = 5
"""The time after a moment, in which the reaction ends."""
SNAP_ROWS: Final = 10
"""How far an edge may move to a pause: speech pauses about once a second."""
STRONG: Final = 0.5
"""The cores of moments with at least this score are free of other moments' padding, at every sensitivity."""


@dataclass(frozen=True)
class Span:
    """A core with its padding, in rows; `start` <= `core_start` < `core_stop` <= `stop`."""

    start: int
    stop: int
    core_start: int
    core_stop: int


class Placer:
    """Gives each moment its span. Call it for the best first: a span depends only on better moments and strong cores.

    `cores` are all cores of the recording with their scores, as [start, stop) in rows.
    """

    def __init__(
        self,
        level_db: NDArray[np.floating],
        cores: list[tuple[int, int]],
        scores: list[float],
        *,
        min_s: float,
        max_s: float,
    ) -> None:
        self._level_db = level_db
        self._longest = max(1, min(len(level_db), int(max_s * ROWS_PER_S)))
        self._shortest = min(self._longest, ceil(min_s * ROWS_PER_S))
        strong = sorted(core for core, score in zip(cores, scores, strict=True) if score >= STRONG)
        self._walls = [a[1] + self._quietest(a[1], b[0] + 1) for a, b in pairwise(strong)]
        self._taken: list[tuple[int, int]] = []

    def place(self, core: tuple[int, int]) -> Span | None:
        """Return the span of a core, or None if better moments cover it or leave too little room.

        Spans never overlap, and are min_s to max_s long (shorter only if the recording is).
        """
        core_start, core_stop = self._shorten(core)
        middle = (core_start + core_stop) // 2
        low, high = self._room(middle)
        if high - low < self._shortest or not low <= middle < high:
            return None
        core_start, core_stop = max(core_start, low), min(core_stop, high)
        wall_low, wall_high = self._walls_around(middle)
        start = self._lead(core_start, max(low, min(wall_low, core_start)))
        stop = self._tail(core_stop, min(high, max(wall_high, core_stop)))
        start, stop = self._fit(start, stop, (low, high), (wall_low, wall_high))
        if stop - start > self._longest:
            stop = max(core_stop, min(stop, start + self._longest))
            start = max(start, stop - self._longest)
        insort(self._taken, (start, stop))
        return Span(start, stop, core_start, core_stop)

    def _shorten(self, core: tuple[int, int]) -> tuple[int, int]:
        spare = max(0, core[1] - core[0] - self._longest)
        return core[0] + spare // 2, core[1] - (spare - spare // 2)

    def _room(self, row: int) -> tuple[int, int]:
        """Return the free stretch around a row; empty if the row is taken."""
        i = bisect_right(self._taken, (row, len(self._level_db) + 1))
        low = self._taken[i - 1][1] if i else 0
        high = self._taken[i][0] if i < len(self._taken) else len(self._level_db)
        return low, high

    def _walls_around(self, row: int) -> tuple[int, int]:
        i = bisect_right(self._walls, row)
        low = self._walls[i - 1] if i else 0
        high = self._walls[i] if i < len(self._walls) else len(self._level_db)
        return low, high

    def _lead(self, core_start: int, low: int) -> int:
        """Return the start of the clip: the quietest row from LEAD to LEAD + SNAP before the core."""
        first, last = max(low, core_start - LEAD_ROWS - SNAP_ROWS), max(low, core_start - LEAD_ROWS)
        return first + self._quietest(first, last + 1)

    def _tail(self, core_stop: int, high: int) -> int:
        first, last = min(high, core_stop + TAIL_ROWS), min(high, core_stop + TAIL_ROWS + SNAP_ROWS)
        return first + self._quietest(first, last + 1)

    def _fit(self, start: int, stop: int, room: tuple[int, int], walls: tuple[int, int]) -> tuple[int, int]:
        """Extend a span to the least length: first back, then forward, up to the walls, then past them."""
        for low, high in ((max(room[0], walls[0]), min(room[1], walls[1])), room):
            start = min(start, max(low, stop - self._shortest))
            stop = max(stop, min(high, start + self._shortest))
            start = min(start, max(low, stop - self._shortest))
        return start, stop

    def _quietest(self, first: int, last: int) -> int:
        """Return the offset of the quietest row in [first, last)."""
        part = self._level_db[first:last]
        return int(np.argmin(part)) if len(part) else 0
