"""Decides, on numbers alone, which packets of a clip are copied and which pictures are re-encoded.

Nothing here opens a file. Times are integer ticks of the stream's time base; a unit is a packet without its payload,
and units are in decoding order, as in the file.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

MIN_COPIED_SHARE = 0.1
"""With a smaller share of pictures to copy, encoding all of them costs hardly more and leaves no seam."""
STANDSTILL_STEPS = 1.5
"""A picture shown for this many usual steps before the cut is held from the cut on; it does not move the start."""
STANDSTILL_S = Fraction(1, 8)
"""The same holds for a picture shown for longer than this, however slow the pictures are (slides, screens)."""

Reason = Literal[
    "inside_one_gop", "open_gop", "little_to_copy", "no_keyframe", "broken_order", "changes_midway", "packed"
]
REASONS: dict[Reason, str] = {
    "inside_one_gop": "No keyframe is inside the clip, so nothing can be copied.",
    "open_gop": "The keyframes inside the clip depend on pictures before them (open GOP), so nothing can be copied.",
    "little_to_copy": "The keyframe inside the clip is too close to its end for copying to be worth a seam.",
    "no_keyframe": "The recording has no keyframe before the clip.",
    "changes_midway": "The pictures change their size or format inside the clip.",
    "packed": "Packets hold several pictures (packed bitstream): a copy would show them at wrong times.",
    "broken_order": "The decoding times of the recording are out of order.",
}
"""Reasons why a whole clip is encoded, in words for a person."""
NO_TIMES = "The recording keeps no times; its pictures were counted and encoded."
TRANSPARENT = "The pictures may be transparent, which clips cannot be."
CROPPED = "The recording shows a part of its pictures only; a copy would show all of them."


class Unit(NamedTuple):
    """One coded picture: its times of display and decoding, and whether decoding or a copy may begin with it.

    `is_key`: decoding may begin here. `is_seam`: no later picture needs an earlier one, so a copy may begin here after
    pictures of another encoder.
    """

    pts: int
    dts: int
    duration: int
    is_key: bool
    is_seam: bool


@dataclass(frozen=True)
class Encode:
    """Encode the pictures shown in [start, end), decoding from unit `decode_from`.

    With `holds`, the picture shown before `start` is still on the screen and becomes the first one, at `start`. With
    `awaits`, no picture has come yet, and the next one, even if it comes only at `end`, is shown from `start` on.
    """

    start: int
    end: int
    decode_from: int
    holds: bool = False
    awaits: bool = False


@dataclass(frozen=True)
class Copy:
    """Copy units `first` to `last` (inclusive, in decoding order) except `skip`; they show [start, end)."""

    start: int
    end: int
    first: int
    last: int
    skip: frozenset[int] = frozenset()

    def __contains__(self, unit: int) -> bool:
        return self.first <= unit <= self.last and unit not in self.skip


Segment = Encode | Copy


@dataclass(frozen=True)
class CutPlan:
    """Segments in order of time, which cover [start, end) exactly, without gap or overlap; none if nothing is shown.

    `reason` says why nothing is copied, if a copy was requested.
    """

    start: int
    end: int
    segments: tuple[Segment, ...]
    reason: Reason | None = None

    @property
    def copied_ticks(self) -> int:
        """The copied length."""
        return sum(s.end - s.start for s in self.segments if isinstance(s, Copy))

    @property
    def encoded_ticks(self) -> int:
        """The encoded length."""
        return sum(s.end - s.start for s in self.segments if isinstance(s, Encode))


def plan_cut(
    units: Sequence[Unit],
    start: int,
    end: int,
    accuracy: Literal["exact", "fast", "encode"] = "exact",
    *,
    standstill: int | None = None,
) -> CutPlan:
    """Plan the pictures of [start, end).

    `exact` begins with the picture on the screen at `start`. If pictures follow each other steadily, `start` moves back
    to that picture's own time, by less than a step, and `end` moves with it. A picture that was shown for longer, or
    for `standstill` ticks, is shown from `start` on, and so is the first picture if it comes more than a step later.
    `fast` starts at the keyframe at or before `start`. `units` must include that keyframe and the last unit needed.
    """
    begin, stop, holds = (start, end, False) if accuracy == "fast" else _snap(units, start, end, standstill)
    if not any(u.pts < stop and u.pts + max(1, u.duration) > begin for u in units):
        if any(u.pts < begin for u in units):  # the last picture stays on the screen
            return _encode_all(units, begin, stop, holds=True, reason="inside_one_gop")
        return CutPlan(start, end, ())
    stop = min(stop, max(u.pts + max(1, u.duration) for u in units))
    if accuracy == "fast":
        return _plan_fast(units, begin, stop)
    if accuracy == "encode":
        return _encode_all(units, begin, stop, holds=holds, reason=None)
    return _plan_exact(units, begin, stop, holds=holds)


def _snap(units: Sequence[Unit], start: int, end: int, standstill: int | None) -> tuple[int, int, bool]:
    """Return the first and last time of the clip, and whether its first picture appeared before the start."""
    times = sorted(u.pts for u in units)
    steps = [b - a for a, b in pairwise(times) if b > a]
    shown = bisect_right(times, start) - 1
    if shown < 0:  # sound begins a little earlier in many files, which needs no extra picture
        is_near = bool(times and steps) and times[0] - start <= median(steps)
        return (times[0] if is_near and times[0] < end else start), end, False
    early = start - times[shown]
    if early == 0:
        return start, end, False
    is_steady = bool(steps) and early < STANDSTILL_STEPS * median(steps)
    if is_steady and (standstill is None or early < standstill):
        return times[shown], end - early, False
    return start, end, True


def _plan_fast(units: Sequence[Unit], start: int, stop: int) -> CutPlan:
    keys = [i for i, u in enumerate(units) if u.is_key]
    if not keys:
        return _encode_all(units, start, stop, holds=False, reason="no_keyframe")
    before = [i for i in keys if units[i].pts <= start]
    first = max(before, key=lambda i: units[i].pts) if before else keys[0]
    begin = units[first].pts
    skip = _leading(units, first)
    last, end = _copy_over(units, first, skip, stop)
    if not _rises([units[i].dts for i in range(first, last + 1) if i not in skip]):
        return _encode_all(units, begin, stop, holds=False, reason="broken_order")
    return CutPlan(begin, end, (Copy(begin, end, first, last, skip),))


def _plan_exact(units: Sequence[Unit], begin: int, stop: int, *, holds: bool) -> CutPlan:
    seams = [i for i, u in enumerate(units) if u.is_seam and begin <= u.pts < stop]
    if not seams:
        is_open = any(u.is_key and begin <= u.pts < stop for u in units)
        return _encode_all(units, begin, stop, holds=holds, reason="open_gop" if is_open else "inside_one_gop")
    first = min(seams, key=lambda i: units[i].pts)
    skip = _leading(units, first)
    last, copied_end = _copy_until(units, first, skip, stop)
    copied = sum(1 for i in range(first, last + 1) if i not in skip)
    if copied < MIN_COPIED_SHARE * sum(1 for u in units if begin <= u.pts < stop):
        return _encode_all(units, begin, stop, holds=holds, reason="little_to_copy")
    if not _rises([units[i].dts for i in range(first, last + 1) if i not in skip]):
        return _encode_all(units, begin, stop, holds=holds, reason="broken_order")
    segments: list[Segment] = []
    if begin < units[first].pts:
        earliest = min(u.pts for u in units)
        origin = _decode_from(units, max(begin, earliest))
        if origin is None:
            return _encode_all(units, begin, stop, holds=holds, reason="no_keyframe")
        segments.append(Encode(begin, units[first].pts, origin, holds, awaits=earliest > begin))
    segments.append(Copy(units[first].pts, copied_end, first, last, skip))
    if copied_end < stop:
        origin = _decode_from(units, copied_end)
        segments.append(Encode(copied_end, stop, first if origin is None else origin))
    return CutPlan(begin, stop, tuple(segments))


def _encode_all(units: Sequence[Unit], begin: int, stop: int, *, holds: bool, reason: Reason | None) -> CutPlan:
    origin = _decode_from(units, begin)
    return CutPlan(begin, stop, (Encode(begin, stop, 0 if origin is None else origin, holds),), reason)


def _leading(units: Sequence[Unit], key: int) -> frozenset[int]:
    """Return the units that are decoded after a keyframe but shown before it: they need the pictures before it."""
    return frozenset(i for i in range(key + 1, len(units)) if units[i].pts < units[key].pts)


def _closures(units: Sequence[Unit], first: int, skip: frozenset[int]) -> Iterator[tuple[int, int, int | None]]:
    """Yield the units where a copy from `first` may end: (unit, time of its last picture, time of the next left out).

    A copy must be a prefix in decoding order, since later pictures may need any earlier one, and must end before all
    other pictures in order of display.
    """
    body = [i for i in range(first, len(units)) if i not in skip]
    rest: list[int | None] = [None] * (len(body) + 1)
    for n in range(len(body) - 1, -1, -1):
        after, own = rest[n + 1], units[body[n]].pts
        rest[n] = own if after is None else min(after, own)
    shown = units[first].pts
    for n, i in enumerate(body):
        shown = max(shown, units[i].pts)
        after = rest[n + 1]
        if after is None or shown < after:
            yield i, shown, after


def _copy_until(units: Sequence[Unit], first: int, skip: frozenset[int], stop: int) -> tuple[int, int]:
    """Return the last unit of the longest copy from `first` that shows nothing from `stop` on, and its end."""
    best = first, stop
    for last, shown, after in _closures(units, first, skip):
        if shown >= stop:
            break
        best = last, stop if after is None else min(stop, after)
    return best


def _copy_over(units: Sequence[Unit], first: int, skip: frozenset[int], stop: int) -> tuple[int, int]:
    """Return the last unit of the shortest copy from `first` that shows everything before `stop`, and its end."""
    ends = {u.pts: u.pts + max(1, u.duration) for u in units}
    best = first, stop
    for last, shown, after in _closures(units, first, skip):
        best = last, ends[shown]
        if after is None or after >= stop:
            break
    return best


def _decode_from(units: Sequence[Unit], time: int) -> int | None:
    """Return the last keyframe from which the picture shown at `time` can be decoded."""
    keys = [i for i, u in enumerate(units) if u.is_key and u.pts <= time]
    return max(keys, key=lambda i: units[i].pts) if keys else None


def _rises(values: Sequence[int]) -> bool:
    return all(a < b for a, b in pairwise(values))
