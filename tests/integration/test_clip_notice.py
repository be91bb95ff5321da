"""The mail that says that clips are ready: one for all that were asked for together, to those who want it."""

from uuid import UUID, uuid4

import pytest
from support.api.webhook_worker import OBJECT, add_clip
from support.servers.fleet import add_user, rows

from db import dispatch
from db.connection import SERVICE, Database, Transaction
from db.leases import Completion
from services.clips import state as clip_states
from services.jobs import service as jobs
from services.jobs.service import Job, JobError
from services.lifecycle import outcome as lifecycle

ERROR = JobError(code="unreadable", message="It cannot be read.", remedy="Send another.", retryable=False)


@pytest.fixture
def owner(database: Database) -> UUID:
    user_id = add_user(database)
    rows(
        database,
        "UPDATE users SET mail_clips_ready = true, email_verified_at = now() WHERE id = %(id)s RETURNING id",
        id=user_id,
    )
    return user_id


def begin(database: Database, owner: UUID, number: int) -> list[Job]:
    """Clips of one recording, each with its job at work."""
    first = add_clip(database, owner)
    (recording,) = rows(database, "SELECT recording_id AS id FROM clips WHERE id = %(id)s", id=first)
    made = [first] + [uuid4() for _ in range(number - 1)]
    for clip_id in made[1:]:
        rows(
            database,
            "INSERT INTO clips (id, user_id, recording_id, title, start_s, end_s, status) "
            "VALUES (%(id)s, %(owner)s, %(recording)s, 'Laugh', 1, 7, 'processing') RETURNING id",
            id=clip_id,
            owner=owner,
            recording=recording["id"],
        )
    with database.transaction(SERVICE) as tx:
        queued = [
            jobs.enqueue(tx, kind="render", user_id=owner, clip_id=clip_id, recording_id=recording["id"])
            for clip_id in made
        ]
        dispatch.mark_sent(tx, [job.id for job in queued])
    with database.transaction(SERVICE) as tx:
        return lifecycle.claim(tx, [(job.id, 1) for job in queued], worker_id=uuid4())


def complete(database: Database, job: Job) -> None:
    def publish(tx: Transaction) -> None:
        assert job.clip_id is not None
        clip_states.publish(tx, clip_id=job.clip_id, objects={"mp4": OBJECT}, notes=[])

    with database.transaction(SERVICE) as tx:
        lifecycle.complete(tx, [Completion(lease=jobs.lease_of(job), publish=publish)])


def fail(database: Database, job: Job) -> None:
    with database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, jobs.lease_of(job), error=ERROR)


def mailed(database: Database) -> list[int]:
    """How many clips each mail speaks of."""
    found = rows(database, "SELECT payload FROM mails WHERE kind = 'clips_ready' ORDER BY created_at")
    return [row["payload"]["clips"] for row in found]


def test_clips_of_one_request_are_one_mail(database: Database, owner: UUID) -> None:
    first, second, third = begin(database, owner, 3)
    complete(database, first)
    complete(database, second)
    assert mailed(database) == []
    fail(database, third)
    assert mailed(database) == [2]


def test_later_clips_are_counted_from_the_last_mail(database: Database, owner: UUID) -> None:
    (first,) = begin(database, owner, 1)
    complete(database, first)
    rows(database, "UPDATE clips SET status = 'processing', completed_at = NULL, expires_at = NULL RETURNING id")
    with database.transaction(SERVICE) as tx:
        again = jobs.enqueue(tx, kind="render", user_id=owner, clip_id=first.clip_id, recording_id=first.recording_id)
        dispatch.mark_sent(tx, [again.id])
    with database.transaction(SERVICE) as tx:
        (claimed,) = lifecycle.claim(tx, [(again.id, 1)], worker_id=uuid4())
    complete(database, claimed)
    assert mailed(database) == [1, 1]


def test_nobody_is_mailed_unasked_or_about_failures_alone(database: Database, owner: UUID) -> None:
    (failing,) = begin(database, owner, 1)
    fail(database, failing)
    (other,) = begin(database, add_user(database), 1)
    complete(database, other)
    rows(database, "UPDATE users SET email_verified_at = NULL WHERE id = %(id)s RETURNING id", id=owner)
    (unverified,) = begin(database, owner, 1)
    complete(database, unverified)
    assert mailed(database) == []
