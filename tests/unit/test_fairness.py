"""Turns between owners, shown on numbers; tests/integration/test_dispatch.py shows them on rows."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.jobs.fairness import (
    NO_CAP,
    SYSTEM,
    SYSTEM_SHARE,
    Fairness,
    Load,
    Share,
    default_share,
    share_of,
    share_of_limits,
)

PLAIN = Share(weight=1, cap=100)
HEAVY = Share(weight=4, cap=100)
A, B, C = (UUID(int=number) for number in (1, 2, 3))


def test_equal_owners_alternate() -> None:
    fairness = Fairness()
    waiting = {A: PLAIN, B: PLAIN}
    fairness.begin_round(waiting, {})
    assert fairness.choose(waiting, {}, 4) == [A, B, A, B]


def test_turns_go_on_over_rounds() -> None:
    fairness = Fairness()
    waiting = {A: PLAIN, B: PLAIN, C: PLAIN}
    served = []
    for _ in range(6):
        fairness.begin_round(waiting, {})
        served += fairness.choose(waiting, {}, 1)
    assert served == [A, B, C, A, B, C]


@pytest.mark.parametrize("free", [1, 2, 3, 7])
def test_heavier_owner_gets_four_times_as_much(free: int) -> None:
    fairness = Fairness()
    waiting = {A: PLAIN, B: HEAVY}
    served: Counter[UUID] = Counter()
    for _ in range(100):
        fairness.begin_round(waiting, {})
        served.update(fairness.choose(waiting, {}, free))
    assert served[B] == pytest.approx(4 * served[A], abs=5)


def test_capped_owner_is_passed_over() -> None:
    fairness = Fairness()
    waiting = {A: Share(weight=1, cap=2), B: PLAIN}
    loads = {A: Load(running=1)}
    fairness.begin_round(waiting, loads)
    assert Counter(fairness.choose(waiting, loads, 5)) == {A: 1, B: 4}


def test_owner_alone_gets_everything() -> None:
    fairness = Fairness()
    fairness.begin_round({A: PLAIN}, {})
    assert fairness.choose({A: PLAIN}, {}, 5) == [A] * 5


def test_newcomer_is_next_and_has_no_credit_from_the_past() -> None:
    fairness = Fairness()
    fairness.begin_round({A: PLAIN}, {})
    fairness.choose({A: PLAIN}, {}, 50)
    waiting, loads = {A: PLAIN, B: PLAIN}, {A: Load(running=2)}
    fairness.begin_round(waiting, loads)
    assert fairness.choose(waiting, loads, 5) == [B, B, A, B, A]


def test_jobs_at_hand_are_taken_back_for_a_newcomer() -> None:
    fairness = Fairness()
    fairness.begin_round({A: PLAIN}, {})
    fairness.choose({A: PLAIN}, {}, 4)
    waiting, loads = {A: PLAIN, B: PLAIN}, {A: Load(running=2, sent=2)}
    assert fairness.begin_round(waiting, loads) == [A]
    fairness.give_back(A, 2)
    assert fairness.choose(waiting, {A: Load(running=2)}, 3) == [B, B, A]


def test_nothing_is_taken_back_while_everybody_has_something_under_way() -> None:
    fairness = Fairness()
    fairness.begin_round({A: PLAIN, B: PLAIN}, {})
    loads = {A: Load(running=2, sent=2), B: Load(sent=1)}
    assert fairness.begin_round({A: PLAIN, B: PLAIN}, loads) == []


def test_owner_who_has_had_his_share_takes_nothing_back() -> None:
    fairness = Fairness()
    waiting = {A: PLAIN, B: HEAVY}
    fairness.begin_round(waiting, {})
    fairness.choose(waiting, {}, 5)
    assert fairness.begin_round(waiting, {B: Load(running=2, sent=2)}) == []


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), max_size=6), st.integers(0, 40))
def test_choice_never_exceeds_slots_or_caps(owners: list[tuple[int, int]], free: int) -> None:
    waiting = {UUID(int=place): Share(weight=weight, cap=cap) for place, (weight, cap) in enumerate(owners, 1)}
    fairness = Fairness()
    fairness.begin_round(waiting, {})
    chosen = fairness.choose(waiting, {}, free)
    assert len(chosen) == min(free, sum(share.cap for share in waiting.values()))
    assert all(count <= waiting[owner].cap for owner, count in Counter(chosen).items())


def test_system_has_a_share_of_its_own_and_unknown_tiers_are_free() -> None:
    assert share_of(SYSTEM, "free") is SYSTEM_SHARE
    assert share_of(A, "unheard-of") == share_of(A, "free")


@pytest.mark.parametrize(
    ("limits", "share"),
    [
        ({"job_weight": 3, "parallel_jobs": 2}, Share(weight=3, cap=2)),
        ({"parallel_jobs": -1}, Share(weight=4, cap=NO_CAP)),
        ({"job_weight": 10**9}, Share(weight=100, cap=16)),
        ({"job_weight": 0, "parallel_jobs": "many"}, default_share("pro")),
        ({"job_weight": True, "parallel_jobs": 1.5}, default_share("pro")),
        ({}, default_share("pro")),
    ],
)
def test_share_of_a_tier_is_what_its_row_says(limits: dict[str, object], share: Share) -> None:
    assert share_of_limits("pro", limits) == share
    assert share_of(A, "pro", {"pro": share}) == share
