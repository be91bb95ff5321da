"""Plans, on numbers alone: whatever the pictures, a plan shows exactly what was asked for, each picture once."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cutting.plan import Copy, CutPlan, Encode, Unit, plan_cut

STEP = 10


@dataclass(frozen=True)
class Shape:
    """How a made-up stream is coded: groups of so many pictures, with so many B-pictures between anchors."""

    groups: int
    length: int
    b_pictures: int
    is_open: bool
    lead: int


def units_of(shape: Shape) -> list[Unit]:
    """Return a stream in decoding order: anchors before the B-pictures that are shown ahead of them."""
    order: list[tuple[int, bool]] = []
    for group in range(shape.groups):
        first = group * shape.length
        shown = list(range(first, first + shape.length))
        anchors = [shown[0]]
        leading = 0
        if shape.is_open and group:
            leading = min(shape.b_pictures, shape.length - 1)
            anchors = [shown[leading]]
        order.append((anchors[0], True))
        order += [(n, False) for n in shown[:leading]]
        at = leading + 1
        while at < len(shown):
            anchor = min(at + shape.b_pictures, len(shown) - 1)
            order.append((shown[anchor], False))
            order += [(n, False) for n in shown[at:anchor]]
            at = anchor + 1
    lead = (shape.b_pictures + 1 + shape.lead) * STEP
    return [
        Unit(n * STEP, position * STEP - lead, STEP, is_key, is_key and not (shape.is_open and position))
        for position, (n, is_key) in enumerate(order)
    ]


shapes = st.builds(
    Shape,
    groups=st.integers(1, 6),
    length=st.integers(2, 12),
    b_pictures=st.integers(0, 4),
    is_open=st.booleans(),
    lead=st.integers(0, 3),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Unit], int, int]:
    shape = draw(shapes)
    total = shape.groups * shape.length * STEP
    start = draw(st.integers(0, total - 1))
    return units_of(shape), start, draw(st.integers(start + 1, total))


def shown_by(plan: CutPlan, units: list[Unit]) -> list[int]:
    """Return the times of the pictures that carrying out a plan would show, in order of segments."""
    shown: list[int] = []
    for segment in plan.segments:
        if isinstance(segment, Copy):
            part = [units[i].pts for i in range(len(units)) if i in segment]
        else:
            part = [u.pts for u in units if segment.start <= u.pts < segment.end]
            if segment.holds and segment.start not in part:
                part.append(segment.start)
        shown += sorted(part)
    return shown


@settings(max_examples=400, deadline=None)
@given(cases())
def test_exact_plan_shows_each_picture_asked_for_once(case: tuple[list[Unit], int, int]) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end)
    first = start // STEP * STEP
    early = start - first
    expected = [t for t in sorted(u.pts for u in units) if first <= t < end - early]
    assert shown_by(plan, units) == expected


@settings(max_examples=400, deadline=None)
@given(cases(), st.sampled_from(["exact", "fast", "encode"]))
def test_segments_follow_without_gap_or_overlap(case: tuple[list[Unit], int, int], accuracy: str) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end, accuracy)  # type: ignore[arg-type] # from the list above
    if not plan.segments:
        return
    assert plan.segments[0].start == plan.start
    assert plan.segments[-1].end == plan.end
    for before, after in pairwise(plan.segments):
        assert before.end == after.start
    assert all(s.start < s.end for s in plan.segments)
    assert plan.copied_ticks + plan.encoded_ticks == plan.end - plan.start


@settings(max_examples=400, deadline=None)
@given(cases(), st.sampled_from(["exact", "fast"]))
def test_copies_begin_on_keyframes_and_leave_nothing_out_that_they_need(
    case: tuple[list[Unit], int, int], accuracy: str
) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end, accuracy)  # type: ignore[arg-type] # from the list above
    for segment in plan.segments:
        if isinstance(segment, Copy):
            first = units[segment.first]
            assert first.is_key
            assert first.is_seam or accuracy == "fast"
            assert all(units[i].pts < first.pts for i in segment.skip)
            decoded = [units[i].dts for i in range(len(units)) if i in segment]
            assert decoded == sorted(set(decoded))


@settings(max_examples=300, deadline=None)
@given(cases())
def test_encoded_parts_can_be_decoded(case: tuple[list[Unit], int, int]) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end)
    for segment in plan.segments:
        if isinstance(segment, Encode):
            origin = units[segment.decode_from]
            assert origin.is_key
            assert origin.pts <= segment.start
            needed = [i for i, u in enumerate(units) if segment.start <= u.pts < segment.end]
            assert min(needed) >= segment.decode_from


@settings(max_examples=300, deadline=None)
@given(cases())
def test_nothing_copied_has_a_reason(case: tuple[list[Unit], int, int]) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end)
    copies = [s for s in plan.segments if isinstance(s, Copy)]
    assert bool(copies) != bool(plan.reason)
    assert len(copies) <= 1


@settings(max_examples=200, deadline=None)
@given(cases())
def test_fast_plan_encodes_nothing_and_covers_the_clip(case: tuple[list[Unit], int, int]) -> None:
    units, start, end = case
    plan = plan_cut(units, start, end, "fast")
    assert all(isinstance(s, Copy) for s in plan.segments)
    shown = shown_by(plan, units)
    wanted = [u.pts for u in units if start <= u.pts < end]
    before = [u.pts for u in units if u.is_key and u.pts <= start]
    assert set(wanted) <= set(shown)
    assert shown[0] == max(before, default=units[0].pts)
    assert shown == list(range(shown[0], shown[-1] + STEP, STEP))


def steady(count: int, *, key_every: int) -> list[Unit]:
    return [Unit(n * STEP, n * STEP, STEP, n % key_every == 0, n % key_every == 0) for n in range(count)]


def test_cut_on_a_keyframe_copies_everything() -> None:
    plan = plan_cut(steady(30, key_every=10), 100, 200)
    assert plan == CutPlan(100, 200, (Copy(100, 200, 10, 19),))


def test_cut_between_keyframes_encodes_up_to_the_next() -> None:
    plan = plan_cut(steady(40, key_every=10), 70, 300)
    assert plan.segments == (Encode(70, 100, 0), Copy(100, 300, 10, 29))


def test_end_inside_a_b_group_encodes_the_last_pictures() -> None:
    units = units_of(Shape(groups=3, length=9, b_pictures=3, is_open=False, lead=0))
    plan = plan_cut(units, 0, 250)
    copy, tail = plan.segments
    assert isinstance(copy, Copy)
    assert isinstance(tail, Encode)
    assert (copy.start, tail.start, tail.end) == (0, 230, 250)
    assert units[tail.decode_from].pts == 180


def test_standing_picture_is_held_from_the_cut_on() -> None:
    before, after = steady(3, key_every=3), steady(20, key_every=20)
    units = [*before[:2], before[2]._replace(duration=500)]
    units += [u._replace(pts=u.pts + 520, dts=u.dts + 520) for u in after]
    plan = plan_cut(units, 300, 700)
    assert plan.start == 300
    assert plan.segments[0] == Encode(300, 520, 0, holds=True)
    assert isinstance(plan.segments[1], Copy)


def slides(count: int, *, every: int) -> list[Unit]:
    return [Unit(n * every, n * every, every, is_key=True, is_seam=True) for n in range(count)]


def test_slide_that_stood_for_longer_than_the_standstill_is_held_however_slow_the_slides_are() -> None:
    plan = plan_cut(slides(10, every=1000), 2700, 6700, standstill=125)
    assert (plan.start, plan.end) == (2700, 6700)
    assert plan.segments == (Encode(2700, 3000, 2, holds=True), Copy(3000, 6700, 3, 6))


def test_slide_that_came_just_before_the_cut_is_gone_back_to() -> None:
    plan = plan_cut(slides(10, every=1000), 2100, 6700, standstill=125)
    assert plan == CutPlan(2000, 6600, (Copy(2000, 6600, 2, 6),))


@pytest.mark.parametrize("every_key", [1, 4])
def test_first_picture_is_shown_from_the_cut_on_when_it_comes_later(every_key: int) -> None:
    units = [u._replace(pts=u.pts + 300, dts=u.dts + 300) for u in steady(20, key_every=every_key)]
    plan = plan_cut(units, 120, 400)
    assert plan == CutPlan(120, 400, (Encode(120, 300, 0, awaits=True), Copy(300, 400, 0, 9)))


def test_clip_that_begins_less_than_a_step_before_the_first_picture_begins_with_it() -> None:
    units = [u._replace(pts=u.pts + 300, dts=u.dts + 300) for u in steady(20, key_every=5)]
    assert plan_cut(units, 295, 400) == CutPlan(300, 400, (Copy(300, 400, 0, 9),))


def test_first_picture_that_no_copy_may_begin_with_is_encoded_from_the_cut_on() -> None:
    units = [u._replace(pts=u.pts + 300, dts=u.dts + 300) for u in steady(20, key_every=5)]
    units[0] = units[0]._replace(is_seam=False)
    plan = plan_cut(units, 120, 450)
    assert plan.segments == (Encode(120, 350, 0, awaits=True), Copy(350, 450, 5, 14))


def test_times_before_all_pictures_give_an_empty_plan() -> None:
    assert plan_cut(steady(10, key_every=5), -200, -100).segments == ()


def test_last_picture_is_held_where_none_follows() -> None:
    plan = plan_cut(steady(10, key_every=5), 500, 600)
    assert plan.segments == (Encode(500, 600, 5, holds=True),)
    assert plan.reason == "inside_one_gop"


@pytest.mark.parametrize(
    ("units", "reason"),
    [
        (steady(40, key_every=40), "inside_one_gop"),
        ([u._replace(is_seam=False) for u in steady(40, key_every=10)], "open_gop"),
        (
            [u._replace(is_seam=u.pts == 290, is_key=u.pts in {0, 290}) for u in steady(40, key_every=40)],
            "little_to_copy",
        ),
        ([u._replace(dts=-u.dts) for u in steady(40, key_every=10)], "broken_order"),
    ],
)
def test_what_cannot_be_copied_says_why(units: list[Unit], reason: str) -> None:
    plan = plan_cut(units, 50, 300)
    assert plan.reason == reason
    assert [type(s) for s in plan.segments] == [Encode]
