"""Jobs: rows whose state changes by one conditional UPDATE with one event.

A job is `queued` until a worker claims it, `running` while a lease is renewed, and ends `succeeded`, `failed` or
`cancelled`. `services.lifecycle.outcome` applies its end to its clip or recording.
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
    "finalise_live": "ingest",
    "detect": "detect",
    "listen_live": "detect",
    "render": "render",
    "delete_objects": "housekeeping",
    "expire_clips": "housekeeping",
    "sweep_uploads": "housekeeping",
    "tidy_clip": "housekeeping",
    "relocate_clip": "housekeeping",
    "purge_idempotency_keys": "housekeeping",
    "prune_jobs": "housekeeping",
    "roll_up_jobs": "housekeeping",
    "cleanup_clips": "housekeeping",
    "cleanup_rooms": "housekeeping",
    "archive_polls": "housekeeping",
    "reset_quotas": "housekeeping",
    "sweep_objects": "housekeeping",
    "sweep_webhooks": "housekeeping",
    "sync_subscription": "webhook",
    "end_subscription": "webhook",
    "update_customer": "webhook",
    "reconcile_subscriptions": "housekeeping",
    "prune_stripe_events": "housekeeping",
    "end_silent_recordings": "housekeeping",
    "deliver_webhook": "webhook",
    "mail_webhook_disabled": "webhook",
    "send_mail": "webhook",
    "export_account": "housekeeping",
    "delete_account": "housekeeping",
    "expire_exports": "housekeeping",
}
"""Kind → queue."""

QUEUES: tuple[Queue, ...] = ("ingest", "detect", "render", "housekeeping", "webhook")

LEASE_S = 15.0
"""Workers renew every second, so an expired lease means that the worker is dead, frozen or cut off. A longer lease
would delay the jobs of a dead worker; a shorter one would take jobs from a machine that stalls for a few seconds."""


class LeaseLostError(Exception):
    """The job is no longer this worker's: another one has it, or it has ended. Nothing may be written."""


def enqueue(  # noqa: PLR0913 - keyword-only, one per column
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
    """Queue a job in the caller's transaction; once that commits, the job is certain to reach an end.

    A clip that is rendered again continues from the `attempt` of its earlier job: keys contain that number, and an
    older job that still runs somewhere must not overwrite newer outputs.
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


def is_waiting(tx: Transaction, *, kind: str, recording_id: UUID) -> bool:
    """Return whether a job of this kind is waiting for a recording; a running one does not count."""
    return rows.is_waiting(tx, kind=kind, recording_id=recording_id)


def bring_forward(tx: Transaction, *, kind: str, recording_id: UUID) -> None:
    """Make a recording's scheduled job due now; changes nothing if it has begun."""
    rows.bring_forward(tx, kind=kind, recording_id=recording_id)


def get(tx: Transaction, *, user_id: UUID, job_id: UUID) -> Job:
    """Return a user's job; NotFoundError when it does not exist or belongs to another user."""
    job = rows.find_job(tx, job_id, user_id=user_id)
    if job is None:
        raise NotFoundError("There is no such job.")
    return job


def list_jobs(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    cursor: Cursor | None = None,
    state: str | None = None,
    kind: str | None = None,
) -> list[Job]:
    """List a user's jobs, newest first, starting after the cursor."""
    return rows.list_jobs(tx, user_id=user_id, limit=limit, cursor=cursor, state=state, kind=kind)


def events(tx: Transaction, *, job_id: UUID) -> list[JobEvent]:
    """List the events of a job, oldest first."""
    return rows.list_events(tx, job_id)


def hold(tx: Transaction, lease: Lease) -> Job:
    """Lock the job for the rest of this transaction, which fences everything else that it writes.

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
    """End an attempt with an error: queue the job again if that can help and attempts are left, else fail it.

    `error.retryable` says whether trying again can help. A setback is a failure outside the job (storage, network): it
    is not charged, but has its own limit. `random` (0 to 1) sets the jitter of the pause. If the owner has requested a
    cancellation, the job ends as cancelled. LeaseLostError if the lease is no longer ours.
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
    """Return a job of a stopping worker to the queue, uncharged, or end it if its owner has requested a cancellation.

    LeaseLostError when the lease is lost.
    """
    if hold(tx, lease).cancel_requested_at is not None:
        return end_cancelled(tx, lease)
    return _held(leases.requeue(tx, lease, event="handed_back", is_charged=False))


def cancel(tx: Transaction, *, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a queued job at once, or ask the worker of a running one to stop.

    NotFoundError; ConflictError when it has already ended. Cancelling twice is allowed.
    """
    get(tx, user_id=user_id, job_id=job_id)
    changed = rows.cancel_queued(tx, [job_id]) or rows.request_cancel(tx, [job_id])
    job = changed[0] if changed else get(tx, user_id=user_id, job_id=job_id)
    if job.state in ("succeeded", "failed"):
        raise ConflictError(f"The job has already {job.state}; there is nothing to cancel")
    return job


def lost_worker_error(job: Job) -> JobError:
    """Return the error of a job whose worker died."""
    return JobError(
        code="worker_lost",
        message=f"The worker died while it was doing this, {job.charged} times so far.",
        remedy="If other recordings work, this one may be damaged: send a better copy.",
        retryable=True,
    )


def log_fields(job: Job) -> dict[str, str | int]:
    """Return the fields of every log event about an attempt."""
    fields = {"job_id": job.id, "clip_id": job.clip_id, "recording_id": job.recording_id, "owner": job.user_id}
    named = {name: str(value) for name, value in fields.items() if value is not None}
    return {**named, "kind": job.kind, "attempt": job.attempt, **({"trace_id": job.trace_id} if job.trace_id else {})}


def _held(job: Job | None) -> Job:
    if job is None:
        raise LeaseLostError
    return job
