"""Begins and ends jobs, with their effects on the clip or recording and its quota.

Every function changes the job and its subject in the caller's transaction, so that both become visible together.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from db import jobs as rows
from db import leases
from db.connection import Transaction, as_service
from db.dispatch import URGENT_PRIORITY
from db.leases import Completion
from services.billing import quota as quotas
from services.clips import notice as clip_notices
from services.clips import state as clip_states
from services.errors import ConflictError
from services.jobs import service as jobs
from services.jobs.service import LEASE_S, Job, JobError, Lease
from services.recordings import service as recordings

REAP_BATCH = 100
CANCELLED = JobError(
    code="cancelled",
    message="The work on this recording was cancelled.",
    remedy="Upload it again when you need it.",
)
FAILED = JobError(code="internal", message="The job failed without saying why.", retryable=True)
"""For rows without an error, which only a manual change can cause."""
BRINGS_IN = ("ingest", "import", "finalise_live")
"""Kinds of jobs without which a recording does not become ready."""


def claim(tx: Transaction, messages: Sequence[tuple[UUID, int]], *, worker_id: UUID) -> list[Job]:
    """Begin attempts, by job id and dispatch number; stale and repeated messages are left out."""
    claimed = leases.claim_jobs(tx, sent=messages, worker_id=worker_id, lease_s=LEASE_S)
    for job in claimed:
        if job.clip_id is not None:
            with suppress(ConflictError):  # the clip was cancelled meanwhile; the job notices and ends
                clip_states.mark_processing(tx, clip_id=job.clip_id)
    return claimed


def complete(tx: Transaction, completions: Sequence[Completion]) -> list[Job | None]:
    """End jobs as succeeded and publish their results; None for those that are no longer ours.

    The jobs end first, which fences the writes of their `publish` functions. These take further locks, so the caller
    gives each of them its own transaction.
    """
    ended = leases.complete_jobs(tx, completions)
    for completion in completions:
        job = ended.get(completion.lease)
        if job is None:
            continue
        result = completion.publish(tx) if completion.publish else None
        if result is not None:
            leases.set_result(tx, job.id, result)
        if job.clip_id is not None:
            quotas.commit(tx, job_id=job.id)
            _tell_ready(tx, job)
    return [ended.get(completion.lease) for completion in completions]


def fail(tx: Transaction, lease: Lease, *, error: JobError, is_setback: bool = False, random: float = 0.5) -> Job:
    """End an attempt with an error: the job is queued again if that can help, else its clip or recording fails too.

    LeaseLostError when the job is no longer ours.
    """
    job = jobs.fail(tx, lease, error=error, is_setback=is_setback, random=random)
    _tell(tx, job)
    return job


def end_cancelled(tx: Transaction, lease: Lease) -> Job:
    """End a running job as cancelled; LeaseLostError when it is no longer ours."""
    job = jobs.end_cancelled(tx, lease)
    _tell(tx, job)
    return job


def hand_back(tx: Transaction, lease: Lease) -> Job:
    """Return a job of a stopping worker to the queue, or end it if its owner has requested a cancellation.

    LeaseLostError when it is no longer ours.
    """
    job = jobs.hand_back(tx, lease)
    _tell(tx, job)
    return job


def cancel(tx: Transaction, *, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a user's job: at once if it is queued, within two seconds if it is running.

    NotFoundError; ConflictError when it has already ended.
    """
    job = jobs.cancel(tx, user_id=user_id, job_id=job_id)
    if job.state == "cancelled":
        _tell(tx, job)
    return job


def cancel_many(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Cancel the queued jobs and ask the workers of the running ones to stop; return both."""
    cancelled = rows.cancel_queued(tx, job_ids)
    for job in cancelled:
        _tell(tx, job)
    return cancelled + rows.request_cancel(tx, job_ids)


def retry_many(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Queue failed jobs again with all their attempts, without another charge of the quota; return them."""
    retried = rows.retry_failed(tx, job_ids)
    for job in retried:
        if job.clip_id is not None:
            clip_states.take_up(tx, clip_id=job.clip_id)
        elif job.recording_id is not None and job.kind in BRINGS_IN:
            recordings.reprocess(tx, recording_id=job.recording_id)
    return retried


def run_next(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Move queued jobs before all others, outside of the fair order; return those that were still queued."""
    return rows.set_priority(tx, job_ids, URGENT_PRIORITY)


def reap(tx: Transaction, *, random: Callable[[], float]) -> list[Job]:
    """Take jobs from dead workers: queue them again, or fail those with no attempts left.

    The attempt stays charged, so a job that kills its worker fails after `max_attempts`.
    """
    reaped = []
    for job in leases.list_expired(tx, limit=REAP_BATCH):
        lease = jobs.lease_of(job)
        if job.cancel_requested_at is not None:
            reaped.append(end_cancelled(tx, lease))
        else:
            reaped.append(fail(tx, lease, error=jobs.lost_worker_error(job), random=random()))
    return reaped


def _tell(tx: Transaction, job: Job) -> None:
    """Apply the failure or cancellation of a job to its clip or recording; nothing changes if it is queued again."""
    if job.state not in ("failed", "cancelled"):
        return
    with as_service(tx):
        if job.clip_id is not None and job.state == "cancelled":
            clip_states.cancel(tx, clip_id=job.clip_id)
        elif job.clip_id is not None:
            clip_states.fail(tx, clip_id=job.clip_id, error=job.error or FAILED)
            _tell_ready(tx, job)
        elif job.recording_id is not None and job.kind in BRINGS_IN:
            recordings.fail(tx, recording_id=job.recording_id, error=job.error or CANCELLED)
        elif job.recording_id is not None and job.kind == "detect":
            with suppress(ConflictError):  # deleted meanwhile
                # A recording without scores can still be cut by start and end times.
                recordings.mark_ready(tx, recording_id=job.recording_id, curve_key=None)
        # After the clips, as in `complete`: the same order of locks prevents deadlocks.
        quotas.release(tx, job_id=job.id)


def _tell_ready(tx: Transaction, job: Job) -> None:
    if job.recording_id is not None:
        clip_notices.tell_ready(tx, recording_id=job.recording_id, job_id=job.id)
