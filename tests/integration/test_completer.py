"""Claims and completions in one batch change each row exactly as they would alone."""

from uuid import UUID, uuid4

import pytest
from support.servers.fleet import add_user, rows

from db import dispatch
from db.connection import SERVICE, Database
from db.leases import Completion
from services.jobs import service as jobs
from services.jobs.service import Job, LeaseLostError
from services.lifecycle import outcome as lifecycle
from workers.attempt import Attempt
from workers.completer import Completer, Result

WORKER = uuid4()


@pytest.fixture
def sent(database: Database) -> list[Job]:
    """Four jobs that were sent with dispatch number 1."""
    user_id = add_user(database)
    with database.transaction(SERVICE) as tx:
        made = [jobs.enqueue(tx, kind="delete_objects", user_id=user_id) for _ in range(4)]
        dispatch.mark_sent(tx, [job.id for job in made])
    return made


def claim(database: Database, sent: list[tuple[UUID, int]]) -> list[Job]:
    with database.transaction(SERVICE) as tx:
        return lifecycle.claim(tx, sent, worker_id=WORKER)


def states(database: Database, made: list[Job]) -> list[str]:
    found = {row["id"]: row["state"] for row in rows(database, "SELECT id, state FROM jobs")}
    return [found[job.id] for job in made]


def test_batch_claims_what_each_message_would_claim_alone(database: Database, sent: list[Job]) -> None:
    claim(database, [(sent[3].id, 1)])
    claimed = claim(database, [(sent[0].id, 1), (sent[1].id, 2), (sent[2].id, 1), (sent[2].id, 0), (sent[3].id, 1)])
    assert {job.id for job in claimed} == {sent[0].id, sent[2].id}
    assert len({job.lease_token for job in claimed}) == 2
    assert all((job.attempt, job.charged, job.worker_id) == (1, 1, WORKER) for job in claimed)
    assert states(database, sent) == ["running", "queued", "running", "running"]
    events = rows(database, "SELECT job_id FROM job_events WHERE event = 'claimed'")
    assert sorted(row["job_id"] for row in events) == sorted([sent[0].id, sent[2].id, sent[3].id])


def test_message_that_arrives_twice_begins_one_attempt(database: Database, sent: list[Job]) -> None:
    completer = Completer(database, WORKER)
    twice = completer._claim([(sent[0].id, 1), (sent[0].id, 1)])  # noqa: SLF001 - as one batch
    assert [job is not None for job in twice] == [True, False]
    assert completer.claim(sent[0].id, 1) is None


def test_batch_ends_only_jobs_that_are_still_held(database: Database, sent: list[Job]) -> None:
    held = claim(database, [(job.id, 1) for job in sent])
    mine, emptied, taken, cut = (jobs.lease_of(job) for job in held)
    rows(database, "UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = %(id)s RETURNING id", id=taken.job_id)
    with database.transaction(SERVICE) as tx:
        lifecycle.end_cancelled(tx, cut)
    with database.transaction(SERVICE) as tx:
        ended = lifecycle.complete(
            tx,
            [
                Completion(lease=mine, result={"deleted": 3}),
                Completion(lease=emptied, result=None),
                Completion(lease=taken, result={"deleted": 4}),
                Completion(lease=cut, result={"deleted": 5}),
            ],
        )
    assert [job and job.result for job in ended] == [{"deleted": 3}, None, None, None]
    assert [job is not None for job in ended] == [True, True, False, False]
    assert states(database, held) == ["succeeded", "succeeded", "running", "cancelled"]
    assert rows(database, "SELECT 1 AS one FROM jobs WHERE result IS NOT NULL") == [{"one": 1}]
    assert len(rows(database, "SELECT id FROM job_events WHERE event = 'succeeded'")) == 2


def test_completion_of_a_job_that_is_no_longer_ours_raises(database: Database, sent: list[Job]) -> None:
    completer = Completer(database, WORKER)
    job = completer.claim(sent[0].id, 1)
    assert job is not None
    attempt = Attempt(job)
    assert completer.complete(attempt, Result({"deleted": 1})).state == "succeeded"
    for publish in (Result({"deleted": 2}), lambda _tx: {"deleted": 3}):
        with pytest.raises(LeaseLostError):
            completer.complete(attempt, publish)
    assert rows(database, "SELECT result FROM jobs WHERE id = %(id)s", id=job.id) == [{"result": {"deleted": 1}}]
