"""Changes of the states of clips by workers and by the life of their job."""

from typing import Any
from uuid import UUID

from db import clip_states as rows
from db import clips as clip_rows
from db import renders as render_rows
from db.clip_states import RenderSubject
from db.clips import Clip
from db.connection import Transaction
from services.billing.tier import UNLIMITED, tier_of
from services.errors import ConflictError, NotFoundError
from services.jobs.service import JobError
from services.webhooks import event as events

__all__ = ["RenderSubject"]

KEEP_DAYS = 30
FOR_GOOD_DAYS = 36_500  # a tier without a limit of retention


def get_for_render(tx: Transaction, *, job_id: UUID) -> RenderSubject:
    """Return a job's clip with what a render needs of its recording; NotFoundError when either is gone.

    If several clips share the job, it is one of them; the changes below apply to all that wait.
    """
    subject = rows.find_for_render(tx, job_id=job_id)
    if subject is None or subject.recording_status == "deleted":
        raise NotFoundError("The clip or its recording was deleted.")
    return subject


def mark_processing(tx: Transaction, *, clip_id: UUID) -> Clip:
    """Change queued → processing; ConflictError from an end state."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    return _first(rows.mark_processing(tx, clip_id=clip_id))


def publish_preview(tx: Transaction, *, clip_id: UUID, objects: dict[str, Any]) -> Clip:
    """Publish an early version under the address of the finished one; ConflictError unless processing."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    return _first(rows.publish_preview(tx, clip_id=clip_id, objects=objects))


def publish(
    tx: Transaction, *, clip_id: UUID, objects: dict[str, Any], notes: list[Any], accuracy: str | None = None
) -> Clip:
    """Change processing → completed; ConflictError from any other state.

    If the accuracy differs from the requested one, the notes say why.
    """
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    days = keep_days(tx, clip_rows.find_owner(tx, clip_id=clip_id))
    published = rows.publish(tx, clip_id=clip_id, objects=objects, notes=notes, keep_days=days)
    clip = _first(published)
    if accuracy is not None and accuracy != clip.accuracy and not notes:
        raise ValueError("A clip made with another accuracy than asked for needs a note that says why")
    for each in published:
        events.clip_completed(tx, each)
    return clip


def fail(tx: Transaction, *, clip_id: UUID, error: JobError) -> list[Clip]:
    """Fail an unfinished clip and those that share its render; return none if it has ended already."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    failed = rows.mark_failed(tx, clip_id=clip_id, error=error)
    for clip in failed:
        events.clip_failed(tx, clip)
    return failed


def cancel(tx: Transaction, *, clip_id: UUID) -> list[Clip]:
    """Change queued | processing → cancelled, with those that share its render; return none if it has ended already."""
    render_rows.lock_of_clip(tx, clip_id=clip_id)
    return rows.mark_cancelled(tx, clip_id=clip_id)


def cancel_one(tx: Transaction, *, clip_id: UUID) -> Clip:
    """Change queued | processing → cancelled for this clip only; ConflictError if it has ended already."""
    return changed(rows.mark_one_cancelled(tx, clip_id=clip_id))


def take_up(tx: Transaction, *, clip_id: UUID) -> list[Clip]:
    """Change failed → queued, with those that share its render, because its job is tried again."""
    return rows.requeue_failed(tx, clip_id=clip_id)


def keep_days(tx: Transaction, user_id: UUID | None) -> int:
    """Return the number of days that the owner's tier keeps clips."""
    if user_id is None:
        return KEEP_DAYS
    days = tier_of(tx, user_id=user_id).limit("retention_days")
    return FOR_GOOD_DAYS if days == UNLIMITED else days


def changed(clip: Clip | None) -> Clip:
    """Return a clip that was changed; ConflictError when its state did not allow it."""
    if clip is None:
        raise ConflictError("The clip is no longer in a state that allows this.")
    return clip


def _first(clips: list[Clip]) -> Clip:
    return changed(clips[0] if clips else None)
