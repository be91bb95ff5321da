"""Stopping work that somebody does not want any more."""

from uuid import UUID

from db.connection import Transaction
from services.billing import quota as quotas
from services.clips import render as renders
from services.clips import service as clips
from services.clips.service import Clip
from services.errors import ConflictError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.lifecycle import outcome as lifecycle


def cancel_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> tuple[Clip, Job]:
    """Stop a clip that is waiting (at once) or being made (within two seconds); asking twice is no error.

    While others wait for the same, this one is cancelled at once and their job goes on.

    NotFoundError, or ConflictError when it has ended otherwise.
    """
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    job_id = clip.job_id
    if job_id is None or clip.status not in (*clips.OPEN_STATES, "cancelled"):
        raise ConflictError(f"This clip is {clip.status}; there is nothing to cancel.", status=clip.status)
    renders.lock(tx, clip)
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    if clip.job_id is None or clip.status == "cancelled":
        return clip, jobs.get(tx, user_id=user_id, job_id=job_id)
    if renders.is_awaited_by_others(tx, clip):
        return leave_others(tx, clip, job_id=job_id)
    job = lifecycle.cancel(tx, user_id=user_id, job_id=job_id)
    return clips.get(tx, user_id=user_id, clip_id=clip_id), job


def leave_others(tx: Transaction, clip: Clip, *, job_id: UUID) -> tuple[Clip, Job]:
    """Take a clip out of a render that others go on waiting for, with what it holds of the allowance."""
    cancelled = clips.cancel_one(tx, clip_id=clip.id)
    renders.pass_on(tx, clip)
    quotas.release(tx, job_id=job_id, clip_id=clip.id)
    return cancelled, jobs.get(tx, user_id=clip.user_id, job_id=job_id)


def stop_jobs(tx: Transaction, *, user_id: UUID, job_ids: list[UUID]) -> None:
    """Cancel jobs; of those that are running, give back at once what they hold, for their rows may go now."""
    for job_id in job_ids:
        lifecycle.cancel(tx, user_id=user_id, job_id=job_id)
        quotas.release(tx, job_id=job_id)
