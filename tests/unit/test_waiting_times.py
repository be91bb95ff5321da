from datetime import UTC, datetime
from typing import Any

import pytest

from db.estimates import Line, RunTimes
from services.jobs.estimate import USUAL_RUN_S, jobs_before, run_s, wait_s
from services.jobs.fairness import DEFAULT_SHARES

FREE, PREMIUM = DEFAULT_SHARES["free"], DEFAULT_SHARES["premium"]


def times(**known: Any) -> RunTimes:
    nothing = {"size": 10.0, "mean_s": None, "alike": 0, "alike_mean_s": None, "alike_mean_size": None}
    return RunTimes(**{"now": datetime.now(UTC), **nothing, "slope": None, "intercept_s": None, **known})


@pytest.mark.parametrize(
    ("left_s", "slots", "before", "wait"),
    [
        ([], 2, 0, 0),
        ([], 2, 1, 0),
        ([], 2, 2, 10),
        ([4.0, 7.0], 2, 0, 4),
        ([4.0, 7.0], 2, 1, 7),
        ([4.0, 7.0], 2, 2, 14),
        ([4.0], 2, 1, 4),
        ([4.0, 7.0], 2, 6, 34),
        ([1.0, 2.0, 3.0], 2, 0, 2),
    ],
)
def test_job_begins_when_those_before_it_have_left_a_slot(
    left_s: list[float], slots: int, before: int, wait: float
) -> None:
    assert wait_s(left_s, slots=slots, before=before, mean_s=10) == wait


def test_others_get_turns_by_their_weight_as_far_as_they_have_jobs() -> None:
    line = Line(own_waiting=5, own_sent=0, sent=2)
    assert jobs_before(line, FREE, [], is_newcomer=False) == 7
    assert jobs_before(line, FREE, [(FREE, 100), (PREMIUM, 100), (FREE, 1)], is_newcomer=False) == 7 + 5 + 10 + 1
    assert jobs_before(line, PREMIUM, [(FREE, 100)], is_newcomer=False) == 7 + 2


def test_newcomer_does_not_wait_for_what_others_have_sent() -> None:
    line = Line(own_waiting=0, own_sent=0, sent=4)
    assert jobs_before(line, FREE, [(FREE, 1000)] * 50, is_newcomer=True) == 0


def test_run_time_follows_size_where_jobs_alike_tell_how() -> None:
    assert run_s(times(alike=5, alike_mean_s=6, slope=0.5, intercept_s=1), kind="render") == 6
    assert run_s(times(alike=5, alike_mean_s=6, slope=0.5, intercept_s=1, size=60), kind="render") == 31
    proportional = times(alike=5, alike_mean_s=6, alike_mean_size=20, slope=0.9, intercept_s=-4)
    assert run_s(proportional, kind="render") == 3


def test_run_time_is_the_mean_where_they_do_not() -> None:
    assert run_s(times(), kind="render") == USUAL_RUN_S["render"]
    assert run_s(times(mean_s=3), kind="render") == 3
    assert run_s(times(mean_s=3, alike=2, alike_mean_s=8, slope=5, intercept_s=0), kind="render") == 8
    assert run_s(times(mean_s=3, alike=9, alike_mean_s=8, slope=-1, intercept_s=9), kind="render") == 8
    assert run_s(times(mean_s=3, size=None), kind="ingest") == 3
