"""The queue's truth: jobs are rows, and every change of state is one conditional UPDATE with one event.

A job is `queued` until a worker claims it, `running` while a lease is renewed, and ends `succeeded`, `failed` or
`cancelled`. What that means for the clip or the recording it is for is the business of `services.lifecycle.outcome`.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from db import jobs as rows
from db import leases
from db.connection import Transaction
from db.jobs import Cursor, Job, JobError, JobEvent, JobState, Queue
from db.leases import Lease, Renewal, lease_of
from services.errors import ConflictError, NotFoundError
from services.jobs.payload import Payload, as_json
from services.jobs.retry import MAX_SETBACKS, backoff_s

__all__ = [
    "KINDS",
    "STATES",
    "Cursor",
    "Job",
    "JobError",
    "JobEvent",
    "JobState",
    "Lease",
    "LeaseLostError",
    "Renewal",
    "lease_of",
]

STATES: tuple[JobState, ...] = ("queued", "running", "succeeded", "failed", "cancelled")

KINDS: Mapping[str, Queue] = {
    "ingest": "ingest",
    "import": "ingest",
    "detect": "detect",
    "render": "render",
    "delete_objects": "housekeeping",
    "expire_clips": "housekeeping",
    "sweep_uploads": "housekeeping",
    "tidy_clip": "housekeeping",
    "purge_idempotency_keys": "housekeeping",
    "prune_jobs": "housekeeping",
    "roll_up_jobs": "housekeeping",
    "cleanup_clips": "housekeeping",
    "cleanup_rooms": "housekeeping",
    "archive_polls": "housekeeping",
    "reset_quotas": "housekeeping",
    "sweep_objects": "housekeeping",
    "sweep_webhooks": "housekeeping",
    "deliver_webhook": "webhook",
    "mail_webhook_disabled": "webhook",
    "send_mail": "webhook",
}
"""Kind → queue."""

QUEUES: tuple[Queue, ...] = ("ingest", "detect", "render", "housekeeping", "webhook")

LEASE_S = 15.0
"""A worker renews every second, so a lease that ran out means a process that is dead, frozen or cut off. Longer would
keep the work of a dead worker waiting, shorter would take work from one whose machine stalls for a few seconds."""


class LeaseLostError(Exception):
    """The job is no longer this worker's: it was given to another, cancelled, or ended. Nothing may be written."""


def enqueue(  # noqa: PLR0913 - keyword-only, one a column
    tx: Transaction,
    *,
    kind: str,
    user_id: UUID | None,
    payload: Payload | None = None,
    recording_id: UUID | None = None,
    clip_id: UUID | None = None,
    priority: int = 0,
    run_at: datetime | None = None,
    max_attempts: int = 3,
    trace_id: str | None = None,
    attempt: int = 0,
) -> Job:
    """Queue a job in the caller's transaction: once that commits, the job is accepted and will reach an end.

    A clip that is made again goes on counting from the `attempt` of its earlier job: outputs lie under that number, and
    an older job that still runs somewhere must not replace newer ones.
    """
    return rows.insert_job(
        tx,
        kind=kind,
        queue=KINDS[kind],
        user_id=user_id,
        payload=as_json(kind, payload),
        recording_id=recording_id,
        clip_id=clip_id,
        priority=priority,
        run_at=run_at,
        max_attempts=max_attempts,
        trace_id=trace_id,
        attempt=attempt,
    )


def get(tx: Transaction, *, user_id: UUID, job_id: UUID) -> Job:
    """Return a user's job; NotFoundError when there is none of that id, or it is another's."""
    job = rows.find_job(tx, job_id, user_id=user_id)
    if job is None:
        raise NotFoundError("There is no such job.")
    return job


def list_jobs(  # noqa: PLR0913 - keyword-only, one a filter
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    cursor: Cursor | None = None,
    state: str | None = None,
    kind: str | None = None,
) -> list[Job]:
    """List a user's jobs, newest first, from after the cursor."""
    return rows.list_jobs(tx, user_id=user_id, limit=limit, cursor=cursor, state=state, kind=kind)


def events(tx: Transaction, *, job_id: UUID) -> list[JobEvent]:
    """List what happened to a job, oldest first."""
    return rows.list_events(tx, job_id)


def hold(tx: Transaction, lease: Lease) -> Job:
    """Lock the job for the rest of this transaction, so that what is written beside it is fenced.

    LeaseLostError when the lease is no longer ours.
    """
    return _held(leases.hold_job(tx, lease))


def fail(
    tx: Transaction,
    lease: Lease,
    *,
    error: JobError,
    is_setback: bool = False,
    random: float = 0.5,
) -> Job:
    """End an attempt with an error: queue the job again when that can help and attempts are left, else fail it.

    `error.retryable` says whether trying again can help. A setback is a failure of what is around the job (storage,
    network): it is not charged, but has an allowance of its own. `random` (0 to 1) places the next attempt within the
    jitter. A job whose owner has asked to cancel it ends as cancelled: no attempt follows.
    LeaseLostError when the lease is no longer ours.
    """
    job = hold(tx, lease)
    if job.cancel_requested_at is not None:
        return end_cancelled(tx, lease)
    if not error.retryable or (job.setbacks >= MAX_SETBACKS if is_setback else job.charged >= job.max_attempts):
        return _held(leases.fail(tx, lease, error))
    failures = job.setbacks + 1 if is_setback else job.charged
    return _held(
        leases.requeue(
            tx,
            lease,
            event="retry_scheduled",
            error=error,
            delay_s=backoff_s(failures, random=random),
            is_charged=not is_setback,
            is_setback=is_setback,
        )
    )


def end_cancelled(tx: Transaction, lease: Lease) -> Job:
    """End a running job that its owner cancelled; LeaseLostError when the lease is no longer ours."""
    return _held(leases.cancel(tx, lease))


def hand_back(tx: Transaction, lease: Lease) -> Job:
    """Return a job whose worker is leaving to the queue, uncharged, or end it where its owner has asked for that.

    LeaseLostError when the lease is lost.
    """
    if hold(tx, lease).cancel_requested_at is not None:
        return end_cancelled(tx, lease)
    return _held(leases.requeue(tx, lease, event="handed_back", is_charged=False))


def cancel(tx: Transaction, *, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a queued job at once, and ask the worker of a running one to stop.

    NotFoundError, or ConflictError when it has ended already. Asking twice is no error.
    """
    get(tx, user_id=user_id, job_id=job_id)
    changed = rows.cancel_queued(tx, [job_id]) or rows.request_cancel(tx, [job_id])
    job = changed[0] if changed else get(tx, user_id=user_id, job_id=job_id)
    if job.state in ("succeeded", "failed"):
        raise ConflictError(f"The job has already {job.state}; there is nothing to cancel")
    return job


def lost_worker_error(job: Job) -> JobError:
    """Return the error of a job whose worker went silent, for its row."""
    return JobError(
        code="worker_lost",
        message=f"The worker died while it was doing this, {job.charged} times so far.",
        remedy="If other recordings work, this one may be damaged: send a better copy.",
        retryable=True,
    )


def log_fields(job: Job) -> dict[str, str | int]:
    """Return what every log event about an attempt at a job carries."""
    fields = {"job_id": job.id, "clip_id": job.clip_id, "recording_id": job.recording_id, "owner": job.user_id}
    named = {name: str(value) for name, value in fields.items() if value is not None}
    return {**named, "kind": job.kind, "attempt": job.attempt, **({"trace_id": job.trace_id} if job.trace_id else {})}


def _held(job: Job | None) -> Job:
    if job is None:
        raise LeaseLostError
    return job
