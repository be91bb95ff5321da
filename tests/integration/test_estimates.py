"""When a job begins and ends, and what is refused because that would be too late."""

from datetime import datetime
from uuid import UUID

import psycopg
import pytest
from support.servers.fleet import add_user, rows

from db import estimates as statements
from db.connection import SERVICE, Database, user_identity
from services.billing.tier import Tier
from services.errors import UnavailableError
from services.jobs import estimate as estimates
from services.jobs import service as jobs
from services.jobs.service import Job
from services.recordings import admission

FREE = Tier(name="free", display_name="Free", features={})
PRO = Tier(name="pro", display_name="Pro", features={})
ENDED = """
INSERT INTO jobs (user_id, kind, queue, state, started_at, finished_at)
SELECT %(user)s, 'render', 'render', 'succeeded', now() - interval '1 minute', now() - interval '1 minute'
    + make_interval(secs => %(run_s)s) FROM generate_series(1, 4) RETURNING id
"""
MANY = """
INSERT INTO jobs (user_id, kind, queue, run_at)
SELECT %(user)s, 'render', 'render', now() - make_interval(secs => %(age_s)s) FROM generate_series(1, %(number)s)
RETURNING id
"""


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


def add_many(database: Database, user_id: UUID, number: int, *, age_s: float = 1.0) -> None:
    rows(database, MANY, user=user_id, number=number, age_s=age_s)


def enqueue(database: Database, user_id: UUID) -> Job:
    with database.transaction(user_identity(user_id)) as tx:
        return jobs.enqueue(tx, kind="render", user_id=user_id)


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
    rows(database, ENDED, user=user_id, run_s=20)
    add_many(database, user_id, 9)
    assert starts_in_s(database, user_id, enqueue(database, user_id)) == 80


def test_others_take_their_turns(database: Database, user_id: UUID) -> None:
    add_worker(database, 2)
    add_many(database, user_id, 10)
    add_many(database, add_user(database), 500)
    add_many(database, add_user(database), 2)
    # Ten turns of his own and of the one with many, two of the one with two.
    assert starts_in_s(database, user_id, enqueue(database, user_id)) == 11 * 10


def test_newcomer_waits_for_nobodys_backlog(database: Database, user_id: UUID) -> None:
    add_worker(database, 2)
    add_many(database, add_user(database), 500)
    assert starts_in_s(database, user_id, enqueue(database, user_id)) == 0


def test_job_under_way_ends_when_its_worker_says_and_one_that_ended_says_nothing(
    database: Database, user_id: UUID
) -> None:
    job = enqueue(database, user_id)
    running = (
        "UPDATE jobs SET state = 'running', started_at = now(), eta_s = 30, lease_token = gen_random_uuid(), "
        "lease_expires_at = now() WHERE id = %(id)s RETURNING started_at"
    )
    [row] = rows(database, running, id=job.id)
    with database.transaction(SERVICE) as tx:
        found = estimates.of(tx, job=jobs.get(tx, user_id=user_id, job_id=job.id))
    assert found is not None
    assert found.start_at == row["started_at"]
    assert 29 <= (found.finish_at - row["started_at"]).total_seconds() <= 60
    done = "UPDATE jobs SET state = 'succeeded', finished_at = now(), lease_token = NULL, lease_expires_at = NULL"
    rows(database, done + " RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert estimates.of(tx, job=jobs.get(tx, user_id=user_id, job_id=job.id)) is None


def test_wait_of_hours_is_refused_and_leaves_no_job(database: Database, user_id: UUID) -> None:
    add_worker(database, 1)
    add_many(database, user_id, 1000)
    with database.transaction(user_identity(user_id)) as tx:
        job = jobs.enqueue(tx, kind="render", user_id=user_id)
        assert admission.require_timely(tx, job=job, tier=PRO) is not None
    with pytest.raises(UnavailableError, match="3 hours"), database.transaction(user_identity(user_id)) as tx:
        admission.require_timely(tx, job=jobs.enqueue(tx, kind="render", user_id=user_id), tier=FREE)
    assert rows(database, "SELECT count(*) AS n FROM jobs") == [{"n": 1001}]


def test_queue_that_nobody_takes_from_for_hours_takes_no_more(database: Database, user_id: UUID) -> None:
    add_many(database, add_user(database), 1, age_s=3600)
    with database.transaction(user_identity(user_id)) as tx:
        job = jobs.enqueue(tx, kind="render", user_id=user_id)
        assert admission.require_timely(tx, job=job, tier=FREE) is None
    add_many(database, add_user(database), 1, age_s=3 * 3600)
    refusal = pytest.raises(UnavailableError, match="nobody is doing it")
    with refusal as caught, database.transaction(user_identity(user_id)) as tx:
        admission.require_timely(tx, job=job, tier=FREE)
    assert caught.value.details["reason"] == "queue"


def test_estimates_read_indexes_however_long_the_queue_is(database: Database, owner_url: str, user_id: UUID) -> None:
    for _ in range(20):
        add_many(database, add_user(database), 500)
    rows(database, ENDED, user=user_id, run_s=20)
    job = enqueue(database, user_id)
    owners = {"queue": "render", "owners": [job.owner_key], "most": 100}
    asked = [
        (statements.RUN_TIMES, {"job_id": job.id, "kind": "render", "sample": statements.SAMPLE}),
        (statements.FIND_LINE, statements.line_parameters(job)),
        (statements.LIST_RUNNING, {"queue": "render"}),
        (statements.COUNT_BACKLOGS, owners),
        (statements.OLDEST_DUE, {"queue": "render"}),
    ]
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ANALYZE")
        owner.execute("SET ROLE service_role")
        for statement, parameters in asked:
            plan = "\n".join(line for (line,) in owner.execute(f"EXPLAIN {statement}", parameters))  # type: ignore[arg-type]
            assert "Seq Scan on jobs" not in plan, plan


def test_estimate_is_a_moment_to_come(database: Database, user_id: UUID) -> None:
    add_worker(database, 1)
    job = enqueue(database, user_id)
    with database.transaction(user_identity(user_id)) as tx:
        found = estimates.of(tx, job=job)
    assert found is not None
    assert isinstance(found.start_at, datetime)
    assert (found.finish_at - found.start_at).total_seconds() == estimates.USUAL_RUN_S["render"]
