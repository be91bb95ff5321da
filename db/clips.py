"""Clips: their specification, and the objects of the published attempt."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct, field
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db import sorting
from db.connection import Transaction
from db.jobs import JobError, row_with_error
from db.sorting import Position, Sort


class Clip(Struct, frozen=True, kw_only=True):
    """A row of `clips`."""

    id: UUID
    user_id: UUID
    recording_id: UUID
    highlight_id: UUID | None
    job_id: UUID | None
    render_id: UUID | None
    title: str
    description: str
    start_s: float
    end_s: float
    preset: str
    formats: list[str]
    accuracy: str
    loudness: float | None
    options: dict[str, Any]
    status: str
    objects: dict[str, dict[str, Any]]
    is_preview: bool
    notes: list[Any]
    error: JobError | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    expires_at: datetime | None
    view_count: int
    share_count: int
    is_kept: bool


class ClipActivity(Struct, frozen=True, kw_only=True):
    """The recording of a clip, and the progress of its job in percent."""

    clip_id: UUID
    recording_title: str
    kind: str | None
    score: float | None
    stage: str | None
    progress: float | None
    eta_s: float | None


class ClipStep(Struct, frozen=True, kw_only=True):
    """The progress of the job of an open clip, in percent."""

    clip_id: UUID
    user_id: UUID
    recording_id: UUID
    job_id: UUID
    status: str
    progress: float
    stage: str | None
    eta_s: float | None


class ClipSpec(Struct, frozen=True, kw_only=True):
    """A requested clip that has passed all checks."""

    start_s: float
    end_s: float
    title: str = ""
    description: str = ""
    preset: str = "original"
    formats: list[str] = field(default_factory=lambda: ["mp4"])
    accuracy: str = "exact"
    loudness: float | None = None
    options: dict[str, Any] = {}
    highlight_id: UUID | None = None


COLUMNS = """id, user_id, recording_id, highlight_id, job_id, render_id, title, description, start_s, end_s, preset,
formats, accuracy, loudness, options, status, objects, is_preview, notes, error, created_at, updated_at, completed_at,
expires_at, view_count, share_count, is_kept"""

OWN_COLUMNS = ", ".join(f"clips.{name.strip()}" for name in COLUMNS.split(","))

INSERT_CLIP = f"""
INSERT INTO clips (user_id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy,
                   loudness, options)
VALUES (%(user_id)s, %(recording_id)s, %(highlight_id)s, %(title)s, %(description)s, %(start_s)s, %(end_s)s,
        %(preset)s, %(formats)s::text[], %(accuracy)s, %(loudness)s, %(options)s)
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
SET_JOB = f"""
UPDATE clips SET job_id = %(job_id)s, render_id = %(render_id)s, updated_at = now()
WHERE id = %(clip_id)s RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_CLIP = f"SELECT {COLUMNS} FROM clips WHERE id = %(clip_id)s AND user_id = %(user_id)s"  # noqa: S608 - the same
# The clip takes over the state of the render that it joins.
JOIN_RENDER = f"""
UPDATE clips SET render_id = other.render_id, job_id = %(job_id)s, status = other.status, objects = other.objects,
       is_preview = other.is_preview, notes = other.notes, updated_at = now(),
       completed_at = CASE WHEN other.completed_at IS NOT NULL THEN now() END,
       expires_at = CASE WHEN other.completed_at IS NOT NULL AND NOT clips.is_kept
                         THEN now() + make_interval(days => %(keep_days)s) END
FROM (
    SELECT * FROM clips
    WHERE render_id = %(render_id)s AND id <> %(clip_id)s AND status IN ('queued', 'processing', 'completed')
    ORDER BY created_at, id LIMIT 1
) AS other
WHERE clips.id = %(clip_id)s
RETURNING {OWN_COLUMNS}
"""  # noqa: S608 - the columns are a constant
FILTERED = f"""
SELECT {COLUMNS} FROM clips
WHERE user_id = %(user_id)s
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
  AND (%(recording_id)s::uuid IS NULL OR recording_id = %(recording_id)s::uuid)
  AND (%(q)s::text IS NULL OR position(lower(%(q)s::text) IN lower(title || ' ' || description)) > 0)"""  # noqa: S608 - the columns are a constant
LIST_NEWEST = FILTERED + sorting.newest()
LIST_OLDEST = FILTERED + sorting.oldest()
LIST_LONGEST = FILTERED + sorting.longest("(end_s - start_s)")
LIST_BY_NAME = FILTERED + sorting.by_name()
LISTS: Mapping[Sort, str] = {
    "newest": LIST_NEWEST,
    "oldest": LIST_OLDEST,
    "longest": LIST_LONGEST,
    "name": LIST_BY_NAME,
}
UPDATE_TEXT = f"""
UPDATE clips SET title = COALESCE(%(title)s::text, title), description = COALESCE(%(description)s::text, description),
       updated_at = now()
WHERE id = %(clip_id)s AND user_id = %(user_id)s
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
# Only the service may change this column, which decides the retention.
FIND_OWNER = "SELECT user_id FROM clips WHERE id = %(clip_id)s"
KEEP_CLIP = f"""
UPDATE clips SET is_kept = %(keep)s, updated_at = now(),
       expires_at = CASE WHEN %(keep)s THEN NULL
                         WHEN is_kept AND status = 'completed' THEN now() + make_interval(days => %(keep_days)s)
                         ELSE expires_at END
WHERE id = %(clip_id)s
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
COUNT_SHARE = "UPDATE clips SET share_count = share_count + 1 WHERE id = %(clip_id)s"
COUNT_VIEW = "UPDATE clips SET view_count = view_count + 1 WHERE id = %(clip_id)s"
COUNT_CLIPS = "SELECT status, count(*) AS number FROM clips WHERE user_id = %(user_id)s GROUP BY status"
LIST_CLIP_ACTIVITY = """
SELECT c.id AS clip_id, r.title AS recording_title, h.kind, h.score, j.stage, j.progress, j.eta_s
FROM clips c JOIN recordings r ON r.id = c.recording_id
LEFT JOIN highlights h ON h.id = c.highlight_id
LEFT JOIN jobs j ON j.id = c.job_id AND c.status IN ('queued', 'processing')
WHERE c.id = ANY(%(clip_ids)s)
"""
DELETE_CLIP = f"""
DELETE FROM clips WHERE id = %(clip_id)s AND user_id = %(user_id)s RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
OPEN_JOBS = """
SELECT id FROM jobs WHERE clip_id = %(clip_id)s AND state IN ('queued', 'running') ORDER BY created_at
"""
LIST_STEPS = """
SELECT clips.id AS clip_id, clips.user_id, clips.recording_id, jobs.id AS job_id, clips.status,
       jobs.progress, jobs.stage, jobs.eta_s
FROM jobs JOIN clips ON clips.job_id = jobs.id
WHERE jobs.id = ANY(%(job_ids)s) AND clips.user_id = ANY(%(user_ids)s) AND clips.status IN ('queued', 'processing')
"""


def fetch_one(tx: Transaction, query: str, values: dict[str, Any]) -> Clip | None:
    """Return the clip that a statement finds or changes, or None."""
    with tx.cursor(row_factory=row_with_error(Clip)) as cursor:
        return cursor.execute(query, values).fetchone()


def insert_clip(tx: Transaction, *, user_id: UUID, recording_id: UUID, spec: ClipSpec) -> Clip:
    """Add a clip in state `queued`."""
    values = {
        "user_id": user_id,
        "recording_id": recording_id,
        "highlight_id": spec.highlight_id,
        "title": spec.title,
        "description": spec.description,
        "start_s": spec.start_s,
        "end_s": spec.end_s,
        "preset": spec.preset,
        "formats": spec.formats,
        "accuracy": spec.accuracy,
        "loudness": spec.loudness,
        "options": Jsonb(spec.options),
    }
    row = fetch_one(tx, INSERT_CLIP, values)
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return row


def set_job(tx: Transaction, *, clip_id: UUID, job_id: UUID, render_id: UUID) -> Clip | None:
    """Set the job and the render of a clip."""
    return fetch_one(tx, SET_JOB, {"clip_id": clip_id, "job_id": job_id, "render_id": render_id})


def join_render(tx: Transaction, *, clip_id: UUID, render_id: UUID, job_id: UUID, keep_days: int) -> Clip | None:
    """Give a queued clip the state of the others of its render; None when no others are left."""
    values = {"clip_id": clip_id, "render_id": render_id, "job_id": job_id, "keep_days": keep_days}
    return fetch_one(tx, JOIN_RENDER, values)


def find_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> Clip | None:
    """Return a clip, or None."""
    return fetch_one(tx, FIND_CLIP, {"user_id": user_id, "clip_id": clip_id})


def list_clips(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    sort: Sort = "newest",
    after: Position | None = None,
    status: str | None = None,
    recording_id: UUID | None = None,
    q: str | None = None,
) -> list[Clip]:
    """List clips in an order, starting after `after`. `q` is a part of title or description; case does not matter."""
    after_key, after_id = after or (None, None)
    values = {
        "user_id": user_id,
        "limit": limit,
        "after": after_key,
        "after_id": after_id,
        "status": status,
        "recording_id": recording_id,
        "q": q,
    }
    with tx.cursor(row_factory=row_with_error(Clip)) as cursor:
        return cursor.execute(LISTS[sort], values).fetchall()


def update_text(
    tx: Transaction, *, user_id: UUID, clip_id: UUID, title: str | None, description: str | None
) -> Clip | None:
    """Change title and description where given; None when there is no such clip."""
    values = {"user_id": user_id, "clip_id": clip_id, "title": title, "description": description}
    return fetch_one(tx, UPDATE_TEXT, values)


def keep_clip(tx: Transaction, *, clip_id: UUID, keep: bool, keep_days: int) -> Clip | None:
    """Keep a clip forever, or for `keep_days` from now; None if it does not exist."""
    return fetch_one(tx, KEEP_CLIP, {"clip_id": clip_id, "keep": keep, "keep_days": keep_days})


def count_share(tx: Transaction, *, clip_id: UUID) -> None:
    """Count a share."""
    tx.execute(COUNT_SHARE, {"clip_id": clip_id})


def count_view(tx: Transaction, *, clip_id: UUID) -> None:
    """Count a view."""
    tx.execute(COUNT_VIEW, {"clip_id": clip_id})


def count_clips(tx: Transaction, *, user_id: UUID) -> dict[str, int]:
    """Count an owner's clips by status; statuses without clips are left out."""
    return {row["status"]: row["number"] for row in tx.execute(COUNT_CLIPS, {"user_id": user_id})}


def list_clip_activity(tx: Transaction, *, clip_ids: Sequence[UUID]) -> dict[UUID, ClipActivity]:
    """Return the recordings and the progress of clips, by id."""
    with tx.cursor(row_factory=class_row(ClipActivity)) as cursor:
        return {row.clip_id: row for row in cursor.execute(LIST_CLIP_ACTIVITY, {"clip_ids": list(clip_ids)})}


def delete_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> Clip | None:
    """Delete the row with its shares and jobs; None when there is no such clip."""
    return fetch_one(tx, DELETE_CLIP, {"user_id": user_id, "clip_id": clip_id})


def find_owner(tx: Transaction, *, clip_id: UUID) -> UUID | None:
    """Return the owner of a clip."""
    row = tx.execute(FIND_OWNER, {"clip_id": clip_id}).fetchone()
    return row["user_id"] if row else None


def list_steps(tx: Transaction, *, job_ids: Sequence[UUID], user_ids: Sequence[UUID]) -> list[ClipStep]:
    """List the progress of the open clips of these jobs and owners."""
    with tx.cursor(row_factory=class_row(ClipStep)) as cursor:
        return cursor.execute(LIST_STEPS, {"job_ids": list(job_ids), "user_ids": list(user_ids)}).fetchall()


def list_open_jobs(tx: Transaction, *, clip_id: UUID) -> list[UUID]:
    """List the jobs of a clip that have not ended."""
    return [row["id"] for row in tx.execute(OPEN_JOBS, {"clip_id": clip_id})]
