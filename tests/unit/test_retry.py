from hypothesis import given
from hypothesis import strategies as st

from services.jobs.retry import FIRST_S, LONGEST_S, MAX_SETBACKS, backoff_s


@given(st.integers(1, 200), st.floats(0, 1))
def test_pause_stays_between_half_the_first_and_the_longest(failures: int, random: float) -> None:
    assert FIRST_S / 2 <= backoff_s(failures, random=random) <= LONGEST_S


def test_pause_doubles() -> None:
    assert [backoff_s(number, random=1.0) for number in (1, 2, 3)] == [2.0, 4.0, 8.0]


def test_setbacks_span_about_forty_minutes() -> None:
    total_s = sum(backoff_s(number, random=0.5) for number in range(1, MAX_SETBACKS + 1))
    assert 20 * 60 < total_s < 60 * 60
