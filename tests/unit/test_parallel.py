"""Where a long encode is split."""

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.rendering.encoding.parallel import LEAST_PART_S, PART_UNIT_S, parts


def test_short_clips_and_single_workers_are_not_split() -> None:
    assert parts(2 * LEAST_PART_S - 0.1, 8) == []
    assert parts(300, 1) == []


@given(duration_s=st.floats(1, 400), workers=st.integers(1, 16))
def test_parts_cover_the_clip_and_begin_where_keyframes_fall(duration_s: float, workers: int) -> None:
    found = parts(duration_s, workers)
    if not found:
        return
    assert len(found) <= workers
    assert found[0].start == 0
    assert found[-1].end > Fraction(duration_s)
    for part, following in pairwise(found):
        assert part.end == following.start
        assert part.end - part.start >= LEAST_PART_S - PART_UNIT_S
    assert all(part.start % PART_UNIT_S == 0 for part in found)
