"""Start and finish as they are told with the 202."""

from uuid import UUID

import pytest
from fleet import add_user, rows

from db.connection import Database, user_identity
from services import admission, estimates, jobs
from services.errors import UnavailableError
from services.jobs import Job


@pytest.fixture
def user_id(database: Database) -> UUID:
    return add_user(database)


def add_worker(database: Database, slots: int) -> None:
    rows(
        database,
        "INSERT INTO workers (id, host, pid, version, queues, slots) "
        "VALUES (gen_random_uuid(), 'here', 1, '1', '{render}', %(slots)s) RETURNING id",
        slots=slots,
    )


def enqueue(database: Database, user_id: UUID, number: int = 1) -> Job:
    with database.transaction(user_identity(user_id)) as tx:
        return [jobs.enqueue(tx, kind="render", user_id=user_id) for _ in range(number)][-1]


def starts_in_s(database: Database, user_id: UUID, job: Job) -> float | None:
    with database.transaction(user_identity(user_id)) as tx:
        found = estimates.of(tx, job=job)
    return found.starts_in_s if found else None


def test_nobody_knows_without_a_worker(database: Database, user_id: UUID) -> None:
    assert starts_in_s(database, user_id, enqueue(database, user_id)) is None


def test_job_that_finds_a_free_slot_begins_at_once(database: Database, user_id: UUID) -> None:
    add_worker(database, 2)
    assert starts_in_s(database, user_id, enqueue(database, user_id)) == 0


def test_own_jobs_ahead_and_measured_times_count(database: Database, user_id: UUID) -> None:
    add_worker(database, 2)
    rows(
        database,
        "INSERT INTO job_series VALUES (now(), 'render', 'render', 'succeeded', 4, 0, 80) RETURNING bucket",
    )
    assert starts_in_s(database, user_id, enqueue(database, user_id, 10)) == 80


def test_others_take_their_share_of_the_slots(database: Database, user_id: UUID) -> None:
    add_worker(database, 2)
    alone = starts_in_s(database, user_id, enqueue(database, user_id, 10))
    enqueue(database, add_user(database), 500)
    shared = starts_in_s(database, user_id, enqueue(database, user_id, 1))
    assert alone is not None
    assert shared is not None
    assert alone < shared < 3 * alone


def test_wait_of_hours_is_refused_and_leaves_no_job(database: Database, user_id: UUID) -> None:
    add_worker(database, 1)
    enqueue(database, user_id, 2300)
    with pytest.raises(UnavailableError, match="hours"), database.transaction(user_identity(user_id)) as tx:
        admission.require_timely(tx, job=jobs.enqueue(tx, kind="render", user_id=user_id))
    assert rows(database, "SELECT count(*) AS n FROM jobs") == [{"n": 2300}]
