"""Claims and ends that are written together: each row is changed exactly as it would have been alone."""

from uuid import UUID, uuid4

import pytest
from support.servers.fleet import add_user, rows

from db import dispatch
from db.connection import SERVICE, Database
from services.jobs import service as jobs
from services.jobs.service import Ended, Job, LeaseLostError
from services.lifecycle import outcome as lifecycle
from workers.ledger import Ledger

WORKER = uuid4()


@pytest.fixture
def sent(database: Database) -> list[Job]:
    """Four jobs whose messages, with number 1, are on their way."""
    user_id = add_user(database)
    with database.transaction(SERVICE) as tx:
        made = [jobs.enqueue(tx, kind="delete_objects", user_id=user_id) for _ in range(4)]
        dispatch.mark_sent(tx, [job.id for job in made])
    return made


def claim(database: Database, sent: list[tuple[UUID, int]]) -> list[Job]:
    with database.transaction(SERVICE) as tx:
        return lifecycle.claim_many(tx, sent=sent, worker_id=WORKER)


def states(database: Database, made: list[Job]) -> list[str]:
    found = {row["id"]: row["state"] for row in rows(database, "SELECT id, state FROM jobs")}
    return [found[job.id] for job in made]


def test_group_claims_what_each_message_would_claim_alone(database: Database, sent: list[Job]) -> None:
    claim(database, [(sent[3].id, 1)])
    claimed = claim(database, [(sent[0].id, 1), (sent[1].id, 2), (sent[2].id, 1), (sent[2].id, 0), (sent[3].id, 1)])
    assert {job.id for job in claimed} == {sent[0].id, sent[2].id}
    assert len({job.lease_token for job in claimed}) == 2
    assert all((job.attempt, job.charged, job.worker_id) == (1, 1, WORKER) for job in claimed)
    assert states(database, sent) == ["running", "queued", "running", "running"]
    events = rows(database, "SELECT job_id FROM job_events WHERE event = 'claimed'")
    assert sorted(row["job_id"] for row in events) == sorted([sent[0].id, sent[2].id, sent[3].id])


def test_message_that_comes_twice_begins_one_attempt(database: Database, sent: list[Job]) -> None:
    ledger = Ledger(database, WORKER)
    twice = ledger.claim_all([(sent[0].id, 1), (sent[0].id, 1)])
    assert [job is not None for job in twice] == [True, False]
    assert ledger.claim(sent[0].id, 1) is None


def test_group_ends_only_what_is_still_held(database: Database, sent: list[Job]) -> None:
    held = claim(database, [(job.id, 1) for job in sent])
    mine, emptied, taken, cut = (jobs.lease_of(job) for job in held)
    rows(database, "UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = %(id)s RETURNING id", id=taken.job_id)
    with database.transaction(SERVICE) as tx:
        lifecycle.end_cancelled(tx, cut)
    with database.transaction(SERVICE) as tx:
        ended = lifecycle.succeed_plainly(
            tx,
            [
                Ended(lease=mine, result={"deleted": 3}),
                Ended(lease=emptied, result=None),
                Ended(lease=taken, result={"deleted": 4}),
                Ended(lease=cut, result={"deleted": 5}),
            ],
        )
    assert set(ended) == {mine, emptied}
    assert (ended[mine].result, ended[emptied].result) == ({"deleted": 3}, None)
    assert states(database, held) == ["succeeded", "succeeded", "running", "cancelled"]
    assert rows(database, "SELECT 1 AS one FROM jobs WHERE result IS NOT NULL") == [{"one": 1}]
    assert len(rows(database, "SELECT id FROM job_events WHERE event = 'succeeded'")) == 2


def test_end_of_a_job_that_is_no_longer_ours_is_refused(database: Database, sent: list[Job]) -> None:
    ledger = Ledger(database, WORKER)
    job = ledger.claim(sent[0].id, 1)
    assert job is not None
    lease = jobs.lease_of(job)
    assert ledger.succeed(lease, {"deleted": 1}).state == "succeeded"
    with pytest.raises(LeaseLostError):
        ledger.succeed(lease, {"deleted": 2})
    assert rows(database, "SELECT result FROM jobs WHERE id = %(id)s", id=lease.job_id) == [{"result": {"deleted": 1}}]
