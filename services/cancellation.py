"""Stopping work that somebody does not want any more."""

from uuid import UUID

from db.connection import Transaction
from services import clips, lifecycle, quotas
from services.clips import Clip
from services.errors import ConflictError
from services.jobs import Job


def cancel_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> tuple[Clip, Job]:
    """Stop a clip that is waiting (at once) or being made (within two seconds); asking twice is no error.

    NotFoundError, or ConflictError when it has ended otherwise.
    """
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    if clip.job_id is None or clip.status not in (*clips.OPEN_STATES, "cancelled"):
        raise ConflictError(f"This clip is {clip.status}; there is nothing to cancel.", status=clip.status)
    job = lifecycle.cancel(tx, user_id=user_id, job_id=clip.job_id)
    return clips.get(tx, user_id=user_id, clip_id=clip_id), job


def stop_jobs(tx: Transaction, *, user_id: UUID, job_ids: list[UUID]) -> None:
    """Cancel jobs; of those that are running, give back at once what they hold, for their rows may go now."""
    for job_id in job_ids:
        lifecycle.cancel(tx, user_id=user_id, job_id=job_id)
        quotas.release(tx, job_id=job_id)
