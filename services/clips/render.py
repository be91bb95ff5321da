"""Made once for all who ask for the same: clips of one recording with the same bounds and settings share a render.

Each stays a clip of its own, with its title, links, time to live and place in the month's allowance. What they share is
the job, and the objects that it makes; those go only when the last clip that uses them does.
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
        "title": clip.title,  # the files carry it, an audiogram shows it
    }
    return hashlib.sha256(msgspec.json.encode(wanted, order="deterministic")).hexdigest()


def join(tx: Transaction, clip: Clip, *, keep_days: int) -> tuple[Clip, Job] | None:
    """Let a queued clip share what is being made, or was made, of the same; None when it is the first.

    Call `begin` then. Others who ask for the same wait until the transaction ends.
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
    """Note the job of a clip that is the first of its kind."""
    with as_service(tx):
        render = _take(tx, clip)
        rows.set_job(tx, render_id=render.id, job_id=job.id)
        begun = clip_rows.set_job(tx, clip_id=clip.id, job_id=job.id, render_id=render.id)
    if begun is None:
        raise NotFoundError("There is no such clip.")
    return begun


def lock(tx: Transaction, clip: Clip) -> None:
    """Keep others from joining the clip's render, and its job from ending, until the transaction does."""
    with as_service(tx):
        rows.lock(tx, render_id=clip.render_id, job_id=clip.job_id)


def is_awaited_by_others(tx: Transaction, clip: Clip) -> bool:
    """Say whether another clip waits for the same render."""
    return rows.is_awaited(tx, render_id=clip.render_id, besides=clip.id)


def pass_on(tx: Transaction, clip: Clip) -> None:
    """Name the clip's job after another clip that shares it, where there is one: it goes on without this one."""
    with as_service(tx):
        rows.pass_on(tx, clip_id=clip.id)


def leave(tx: Transaction, clip: Clip, *, again_at: datetime | None = None) -> None:
    """After a clip has given up its render: delete the objects when no other clip uses them.

    `again_at` is when to look once more, where a worker may still be writing.
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
            # The system's own: it must not go when the owner's rows do.
            jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=payload, run_at=run_at)


def retitle(tx: Transaction, clip: Clip) -> None:
    """Let a new title reach the files as well, while nothing is made of them and they are this clip's alone."""
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
