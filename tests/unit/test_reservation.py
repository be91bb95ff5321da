"""Slots that no owner, no tier and no kind of job can take alone."""

from uuid import UUID, uuid4

import pytest

from db.dispatch import Flight
from services.jobs.reservation import Reservation

A, B, C = uuid4(), uuid4(), uuid4()


def flight(owner: UUID, *, running: int = 0, sent: int = 0, kind: str = "render", is_free: bool = True) -> Flight:
    return Flight(queue="any", owner_key=owner, kind=kind, running=running, sent=sent, is_free=is_free)


def taken(reservation: Reservation, owner: UUID, *, is_free: bool) -> int:
    return sum(reservation.take(owner, is_free=is_free) for _ in range(20))


@pytest.mark.parametrize(("slots", "most"), [(2, 1), (3, 2), (4, 3), (16, 15)])
def test_one_owner_leaves_a_slot_to_others(slots: int, most: int) -> None:
    reservation = Reservation(slots, [])
    assert taken(reservation, A, is_free=False) == most
    assert reservation.take(B, is_free=False)


def test_free_accounts_together_leave_a_slot_to_those_that_pay() -> None:
    reservation = Reservation(4, [flight(A, running=1), flight(B, running=1, sent=1)])
    assert not reservation.take(C, is_free=True)
    assert reservation.take(C, is_free=False)


def test_jobs_of_all_queues_count() -> None:
    reservation = Reservation(3, [flight(A, running=1, is_free=False), flight(A, sent=1, kind="ingest", is_free=False)])
    assert not reservation.take(A, is_free=False)


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 1), (3, 1), (4, 1), (8, 2)])
def test_imports_take_a_quarter_of_the_slots(slots: int, most: int) -> None:
    reservation = Reservation(slots, [])
    assert sum(reservation.take_import() for _ in range(20)) == most
    assert not reservation.takes_imports


def test_imports_under_way_count_whoever_owns_them() -> None:
    assert not Reservation(3, [flight(A, running=1, kind="import")]).takes_imports


def test_single_slot_is_reserved_for_nobody() -> None:
    assert taken(Reservation(1, []), A, is_free=True) == 20


def test_place_that_is_given_back_is_free_again() -> None:
    reservation = Reservation(3, [])
    assert taken(reservation, A, is_free=True) == 2
    reservation.give_back(A, is_free=True)
    assert reservation.take(B, is_free=True)
