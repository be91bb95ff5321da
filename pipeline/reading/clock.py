"""Straightens the clock of recordings joined from pieces: transport streams whose times restart.

A piece begins at a place in the file. The order of packets from the demuxer does not show it, because the last packets
of one piece may follow the first of the next.
"""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

RESTARTING_FORMATS = frozenset({"mpegts", "mpeg"})
"""Containers that are cut and joined byte by byte."""
FORWARD_S = Fraction(10)
BACKWARD_S = Fraction(1, 10)
"""A step forward by more, or back by more, is a new piece (the thresholds of FFmpeg's own `dts_delta_threshold`)."""

Jump = tuple[int, Fraction]
"""An offset in seconds for all times from this byte on."""


def offset_at(jumps: Sequence[Jump], position: int) -> Fraction:
    """Return the offset for the times of a packet at this byte."""
    at = bisect_right(jumps, position, key=lambda jump: jump[0])
    return jumps[at - 1][1] if at else Fraction(0)


class ClockRepair:
    """Finds the jumps during a read from the start."""

    def __init__(self) -> None:
        self.jumps: list[Jump] = []
        self._due: dict[int, Fraction] = {}
        self._position: dict[int, int] = {}

    def note(self, stream: int, position: int | None, decoded_s: Fraction, duration_s: Fraction) -> Fraction:
        """Add the next packet of a stream; return the offset for its times."""
        at = self._position.get(stream, 0) if position is None else position
        self._position[stream] = at
        offset = offset_at(self.jumps, at)
        due = self._due.get(stream)
        if due is not None and not -BACKWARD_S <= decoded_s + offset - due <= FORWARD_S:
            offset = self._jump(at, offset, due - decoded_s)
        self._due[stream] = decoded_s + offset + duration_s
        return offset

    def _jump(self, at: int, offset: Fraction, needed: Fraction) -> Fraction:
        """Begin a new piece at a byte, unless the last one began there."""
        if self.jumps and at < self.jumps[-1][0] and offset != self.jumps[-1][1]:
            self.jumps[-1] = (at, self.jumps[-1][1])
            return self.jumps[-1][1]
        self.jumps.append((at, needed))
        return needed
