"""The job's life in its row: claims, leases, ends, and who may write what."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from support.servers.fleet import add_user, rows

from db import dispatch
from db.connection import SERVICE, Database, user_identity
from db.leases import Completion, renew_leases
from services.errors import ConflictError, NotFoundError
from services.jobs import service as jobs
from services.jobs.retry import MAX_SETBACKS
from services.jobs.service import Job, JobError, LeaseLostError, Renewal, lease_of
from services.lifecycle import outcome as lifecycle

WORKER = uuid4()
BROKEN = JobError(code="decode_failed", message="It is damaged.", remedy="", retryable=False)
CRASHED = JobError(code="crashed", message="It died.", remedy="", retryable=True)


@pytest.fixture
def user_id(database: Database) -> UUID:
    return add_user(database)


def enqueue(database: Database, user_id: UUID, kind: str = "render") -> Job:
    with database.transaction(user_identity(user_id)) as tx:
        return jobs.enqueue(tx, kind=kind, user_id=user_id)


def send(database: Database, job_id: UUID) -> int:
    with database.transaction(SERVICE) as tx:
        [sent] = dispatch.mark_sent(tx, [job_id])
    return sent.dispatch_no


def claim(database: Database, job_id: UUID, dispatch_no: int) -> Job | None:
    with database.transaction(SERVICE) as tx:
        return next(iter(lifecycle.claim(tx, [(job_id, dispatch_no)], worker_id=WORKER)), None)


def start(database: Database, user_id: UUID) -> Job:
    job = enqueue(database, user_id)
    running = claim(database, job.id, send(database, job.id))
    assert running is not None
    return running


def again(database: Database, job: Job) -> Job:
    """The next attempt, now."""
    rows(database, "UPDATE jobs SET run_at = now() WHERE id = %(id)s RETURNING id", id=job.id)
    running = claim(database, job.id, send(database, job.id))
    assert running is not None
    return running


def fail(database: Database, job: Job, error: JobError, *, is_setback: bool = False) -> Job:
    with database.transaction(SERVICE) as tx:
        return lifecycle.fail(tx, lease_of(job), error=error, is_setback=is_setback)


def cancel(database: Database, job: Job) -> None:
    with database.transaction(SERVICE) as tx:
        lifecycle.cancel_many(tx, [job.id])


def expire(database: Database, job: Job) -> None:
    statement = "UPDATE jobs SET lease_expires_at = now() - interval '1 second' WHERE id = %(id)s RETURNING id"
    rows(database, statement, id=job.id)


def reap(database: Database) -> list[Job]:
    with database.transaction(SERVICE) as tx:
        return lifecycle.reap(tx, random=lambda: 0.5)


def history(database: Database, job_id: UUID) -> list[str]:
    with database.transaction(SERVICE) as tx:
        return [event.event for event in jobs.events(tx, job_id=job_id)]


def test_second_claim_of_the_same_message_gets_nothing(database: Database, user_id: UUID) -> None:
    job = enqueue(database, user_id)
    number = send(database, job.id)
    first = claim(database, job.id, number)
    assert first is not None
    assert (first.state, first.attempt, first.charged) == ("running", 1, 1)
    assert claim(database, job.id, number) is None


def test_claim_before_dispatch_or_after_a_newer_one_gets_nothing(database: Database, user_id: UUID) -> None:
    job = enqueue(database, user_id)
    assert claim(database, job.id, 0) is None
    old = send(database, job.id)
    with database.transaction(SERVICE) as tx:
        assert dispatch.unmark(tx, [(job.id, old)]) == 1
    assert claim(database, job.id, old) is None
    new = send(database, job.id)
    assert claim(database, job.id, old) is None
    assert claim(database, job.id, new) is not None


def test_every_write_without_the_current_token_is_refused(database: Database, user_id: UUID) -> None:
    stale = start(database, user_id)
    expire(database, stale)
    [requeued] = reap(database)
    assert requeued.state == "queued"
    again(database, stale)
    lease = lease_of(stale)
    for write in (
        lambda tx: jobs.hold(tx, lease),
        lambda tx: lifecycle.fail(tx, lease, error=BROKEN),
        lambda tx: lifecycle.end_cancelled(tx, lease),
        lambda tx: lifecycle.hand_back(tx, lease),
    ):
        with pytest.raises(LeaseLostError), database.transaction(SERVICE) as tx:
            write(tx)
    with database.transaction(SERVICE) as tx:
        renewal = Renewal(lease=lease, progress=1, stage=None, eta_s=None)
        assert renew_leases(tx, [renewal], lease_s=1) == {}
        assert lifecycle.complete(tx, [Completion(lease=lease, publish=lambda _tx: {"found": 3})]) == [None]


def test_renewal_writes_progress_and_tells_of_a_cancellation(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    renewal = Renewal(lease=lease_of(job), progress=42.0, stage="encode", eta_s=1.5)
    with database.transaction(SERVICE) as tx:
        assert renew_leases(tx, [renewal], lease_s=1) == {job.id: False}
    with database.transaction(user_identity(user_id)) as tx:
        assert lifecycle.cancel(tx, user_id=user_id, job_id=job.id).state == "running"
    with database.transaction(SERVICE) as tx:
        assert renew_leases(tx, [renewal], lease_s=1) == {job.id: True}
        found = jobs.get(tx, user_id=user_id, job_id=job.id)
    assert (found.progress, found.stage, found.eta_s) == (42.0, "encode", 1.5)


def test_error_that_cannot_change_is_not_tried_again(database: Database, user_id: UUID) -> None:
    failed = fail(database, start(database, user_id), BROKEN)
    assert (failed.state, failed.attempt, failed.error) == ("failed", 1, BROKEN)


def test_error_that_may_change_is_tried_three_times_with_growing_pauses(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    pauses_s = []
    for _ in range(2):
        queued = fail(database, job, CRASHED)
        assert queued.state == "queued"
        pauses_s.append((queued.run_at - datetime.now(UTC)).total_seconds())
        job = again(database, queued)
    assert 0 < pauses_s[0] < pauses_s[1]
    assert fail(database, job, CRASHED).state == "failed"
    assert history(database, job.id) == ["queued", *(["claimed", "retry_scheduled"] * 2), "claimed", "failed"]


def test_setbacks_are_not_charged_but_end_too(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    for _ in range(MAX_SETBACKS):
        queued = fail(database, job, CRASHED, is_setback=True)
        assert (queued.state, queued.charged) == ("queued", 0)
        job = again(database, queued)
    assert fail(database, job, CRASHED, is_setback=True).state == "failed"


def test_job_that_kills_its_worker_dies_after_three(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    states = []
    for _ in range(3):
        expire(database, job)
        [reaped] = reap(database)
        states.append(reaped.state)
        if reaped.state == "queued":
            job = again(database, reaped)
    assert states == ["queued", "queued", "failed"]
    assert reaped.error is not None
    assert reaped.error.code == "worker_lost"


def test_drained_job_is_not_charged_and_keeps_counting_attempts(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    for number in range(1, 5):
        with database.transaction(SERVICE) as tx:
            back = lifecycle.hand_back(tx, lease_of(job))
        assert (back.state, back.charged, back.attempt) == ("queued", 0, number)
        job = again(database, back)


def test_queued_job_is_cancelled_at_once_and_again_without_error(database: Database, user_id: UUID) -> None:
    job = enqueue(database, user_id)
    for _ in range(2):
        with database.transaction(user_identity(user_id)) as tx:
            assert lifecycle.cancel(tx, user_id=user_id, job_id=job.id).state == "cancelled"
    assert claim(database, job.id, 1) is None


def test_dead_worker_of_a_cancelled_job_leaves_it_cancelled(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    with database.transaction(user_identity(user_id)) as tx:
        lifecycle.cancel(tx, user_id=user_id, job_id=job.id)
    expire(database, job)
    [reaped] = reap(database)
    assert reaped.state == "cancelled"


@pytest.mark.parametrize("is_setback", [False, True])
def test_cancelled_job_whose_attempt_fails_retryably_is_not_tried_again(
    database: Database, user_id: UUID, *, is_setback: bool
) -> None:
    job = start(database, user_id)
    cancel(database, job)
    assert fail(database, job, CRASHED, is_setback=is_setback).state == "cancelled"
    assert history(database, job.id) == ["queued", "claimed", "cancel_requested", "cancelled"]


def test_cancelled_job_whose_worker_is_leaving_is_not_handed_back(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    cancel(database, job)
    with database.transaction(SERVICE) as tx:
        assert lifecycle.hand_back(tx, lease_of(job)).state == "cancelled"


def test_ended_job_cannot_be_cancelled(database: Database, user_id: UUID) -> None:
    failed = fail(database, start(database, user_id), BROKEN)
    with pytest.raises(ConflictError), database.transaction(user_identity(user_id)) as tx:
        lifecycle.cancel(tx, user_id=user_id, job_id=failed.id)


def test_job_of_somebody_else_does_not_exist(database: Database, user_id: UUID) -> None:
    job = enqueue(database, user_id)
    other = add_user(database)
    with pytest.raises(NotFoundError), database.transaction(user_identity(other)) as tx:
        jobs.get(tx, user_id=other, job_id=job.id)
    with pytest.raises(NotFoundError), database.transaction(user_identity(other)) as tx:
        lifecycle.cancel(tx, user_id=other, job_id=job.id)


def test_retried_dead_job_begins_anew(database: Database, user_id: UUID) -> None:
    failed = fail(database, start(database, user_id), BROKEN)
    with database.transaction(SERVICE) as tx:
        [job] = lifecycle.retry_many(tx, [failed.id])
    assert (job.state, job.charged, job.error, job.finished_at) == ("queued", 0, None, None)
    assert again(database, job).attempt == 2


def test_result_is_written_with_the_end(database: Database, user_id: UUID) -> None:
    job = start(database, user_id)
    with database.transaction(SERVICE) as tx:
        (ended,) = lifecycle.complete(tx, [Completion(lease=lease_of(job), publish=lambda _tx: {"found": 3})])
        assert ended is not None
        assert ended.state == "succeeded"
        assert jobs.get(tx, user_id=user_id, job_id=job.id).result == {"found": 3}


def test_put_off_job_waits_for_its_time(database: Database, user_id: UUID) -> None:
    with database.transaction(SERVICE) as tx:
        later = datetime.now(UTC) + timedelta(hours=1)
        jobs.enqueue(tx, kind="render", user_id=user_id, run_at=later)
        assert dispatch.list_owners(tx, "render") == []
        assert dispatch.list_next(tx, "render", {user_id: 5}) == {user_id: []}


def test_lease_of_a_job_that_is_not_running_is_an_error(database: Database, user_id: UUID) -> None:
    with pytest.raises(ValueError, match="no lease"):
        lease_of(enqueue(database, user_id))
