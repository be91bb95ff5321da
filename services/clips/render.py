"""Shared renders: equal clips of one recording (same bounds and settings) are rendered once.

Each clip has its own title, links, retention and part of the month's allowance. They share the job and its objects,
which are deleted with the last clip that uses them.
"""

import hashlib
from datetime import datetime
from uuid import UUID

import msgspec

from db import clips as clip_rows
from db import renders as rows
from db.clips import Clip
from db.connection import Transaction, as_service
from db.renders import Render
from services.errors import NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import DeleteObjectsPayload
from services.jobs.service import Job
from storage.keys import clip_prefix


def fingerprint(clip: Clip) -> str:
    """Return a digest of everything that the files of a clip depend on, besides the recording."""
    wanted = {
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "preset": clip.preset,
        "formats": sorted(clip.formats),
        "accuracy": clip.accuracy,
        "loudness": clip.loudness,
        "options": clip.options,
        "title": clip.title,  # the files contain it, an audiogram shows it
    }
    return hashlib.sha256(msgspec.json.encode(wanted, order="deterministic")).hexdigest()


def join(tx: Transaction, clip: Clip, *, keep_days: int) -> tuple[Clip, Job] | None:
    """Join a queued clip to the render of an equal clip; None if it is the first.

    Call `begin` for the first. Requests for equal clips wait until the transaction ends.
    """
    with as_service(tx):
        render = _take(tx, clip)
        while render.job_id is not None:
            job = _joinable(tx, clip, render.job_id)
            joined = job and clip_rows.join_render(
                tx, clip_id=clip.id, render_id=render.id, job_id=render.job_id, keep_days=keep_days
            )
            if job and joined:
                return joined, job
            rows.close(tx, render_id=render.id)
            render = _take(tx, clip)
    return None


def begin(tx: Transaction, clip: Clip, job: Job) -> Clip:
    """Store the job of a clip that is the first of its render."""
    with as_service(tx):
        render = _take(tx, clip)
        rows.set_job(tx, render_id=render.id, job_id=job.id)
        begun = clip_rows.set_job(tx, clip_id=clip.id, job_id=job.id, render_id=render.id)
    if begun is None:
        raise NotFoundError("There is no such clip.")
    return begun


def lock(tx: Transaction, clip: Clip) -> None:
    """Lock the clip's render until the transaction ends: no clip joins it, and its job does not end."""
    with as_service(tx):
        rows.lock(tx, render_id=clip.render_id, job_id=clip.job_id)


def is_awaited_by_others(tx: Transaction, clip: Clip) -> bool:
    """Return whether another clip waits for the same render."""
    return rows.is_awaited(tx, render_id=clip.render_id, besides=clip.id)


def pass_on(tx: Transaction, clip: Clip) -> None:
    """Move the clip's job to another clip that shares it, if any, so that it continues without this one."""
    with as_service(tx):
        rows.pass_on(tx, clip_id=clip.id)


def leave(tx: Transaction, clip: Clip, *, again_at: datetime | None = None) -> None:
    """Delete the objects of a render that a clip has left, unless another clip uses them.

    `again_at` is the time of a second look, if a worker may still be writing.
    """
    render_id = clip.render_id or clip.id
    with as_service(tx):
        rows.lock(tx, render_id=render_id)
        if rows.is_used(tx, render_id=render_id):
            return
        rows.close(tx, render_id=render_id)
        rows.drop_unused(tx, render_id=render_id)
        payload = DeleteObjectsPayload(bucket="clips", prefix=clip_prefix(clip.user_id, render_id))
        for run_at in (None, again_at) if again_at else (None,):
            # A job of the system, so that it is not deleted with the owner's rows.
            jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=payload, run_at=run_at)


def retitle(tx: Transaction, clip: Clip) -> None:
    """Write a new title into the render's settings, if it has not begun and no other clip shares it."""
    if clip.render_id is not None:
        with as_service(tx):
            rows.retitle(tx, render_id=clip.render_id, clip_id=clip.id, title=clip.title)


def _take(tx: Transaction, clip: Clip) -> Render:
    return rows.take(
        tx,
        clip_id=clip.id,
        user_id=clip.user_id,
        recording_id=clip.recording_id,
        fingerprint=fingerprint(clip),
        title=clip.title,
    )


def _joinable(tx: Transaction, clip: Clip, job_id: UUID) -> Job | None:
    job = jobs.get(tx, user_id=clip.user_id, job_id=job_id)
    return job if job.state in ("queued", "running", "succeeded") and job.cancel_requested_at is None else None
