"""Cancels clips and jobs."""

from uuid import UUID

from db.connection import Transaction
from services.billing import quota as quotas
from services.clips import render as renders
from services.clips import service as clips
from services.clips import state as clip_states
from services.clips.service import Clip
from services.errors import ConflictError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.lifecycle import outcome as lifecycle


def cancel_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> tuple[Clip, Job]:
    """Cancel a queued clip at once, or a processing one within two seconds; cancelling twice is allowed.

    If other clips wait for the same render, this clip is cancelled at once and the job continues.

    NotFoundError; ConflictError when it has ended in another state.
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
    """Take a clip out of a render that others wait for, and release its part of the allowance."""
    cancelled = clip_states.cancel_one(tx, clip_id=clip.id)
    renders.pass_on(tx, clip)
    quotas.release(tx, job_id=job_id, clip_id=clip.id)
    return cancelled, jobs.get(tx, user_id=clip.user_id, job_id=job_id)


def stop_jobs(tx: Transaction, *, user_id: UUID, job_ids: list[UUID]) -> None:
    """Cancel jobs, and release the reservations of running ones at once, because their rows may be deleted next."""
    for job_id in job_ids:
        lifecycle.cancel(tx, user_id=user_id, job_id=job_id)
        quotas.release(tx, job_id=job_id)
