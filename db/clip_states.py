"""Changes of the states of clips by workers, also for the clips that share a render."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.clips import COLUMNS, Clip, fetch_one
from db.connection import Transaction
from db.jobs import JobError, error_json, row_with_error


class RenderSubject(Struct, frozen=True, kw_only=True):
    """The fields of a clip and its recording that a render needs."""

    id: UUID
    render_id: UUID
    """Part of the keys of its objects."""
    user_id: UUID
    recording_id: UUID
    job_id: UUID | None
    title: str
    start_s: float
    end_s: float
    preset: str
    formats: list[str]
    accuracy: str
    loudness: float | None
    options: dict[str, Any]
    status: str
    recording_status: str
    source_key: str
    index_key: str | None
    timeline_key: str | None
    size_bytes: int | None
    duration_s: float | None


GET_FOR_RENDER = """
SELECT c.id, coalesce(c.render_id, c.id) AS render_id, c.user_id, c.recording_id, c.job_id,
       coalesce(n.title, c.title) AS title, c.start_s, c.end_s, c.preset, c.formats, c.accuracy,
       c.loudness, c.options, c.status, r.status AS recording_status, r.source_key, r.index_key, r.timeline_key,
       r.size_bytes, r.duration_s
FROM clips c JOIN recordings r ON r.id = c.recording_id LEFT JOIN renders n ON n.id = c.render_id
WHERE c.id = (SELECT clip_id FROM jobs WHERE id = %(job_id)s)
"""
# A change of a render changes all clips that wait for it; a clip without a render changes alone.
SHARING = "(id = %(clip_id)s OR render_id = (SELECT render_id FROM clips WHERE id = %(clip_id)s))"
MARK_PROCESSING = f"""
UPDATE clips SET status = 'processing', updated_at = now()
WHERE {SHARING} AND status IN ('queued', 'processing')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
PUBLISH_PREVIEW = f"""
UPDATE clips SET objects = %(objects)s, is_preview = true, updated_at = now()
WHERE {SHARING} AND status = 'processing'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
PUBLISH = f"""
UPDATE clips SET status = 'completed', objects = %(objects)s, is_preview = false, notes = %(notes)s,
       completed_at = now(), updated_at = now(),
       expires_at = CASE WHEN NOT is_kept THEN now() + make_interval(days => %(keep_days)s) END
WHERE {SHARING} AND status = 'processing'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_FAILED = f"""
UPDATE clips SET status = 'failed', error = %(error)s, updated_at = now()
WHERE {SHARING} AND status IN ('queued', 'processing')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_CANCELLED = f"""
UPDATE clips SET status = 'cancelled', updated_at = now()
WHERE {SHARING} AND status IN ('queued', 'processing')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_ONE_CANCELLED = f"""
UPDATE clips SET status = 'cancelled', updated_at = now()
WHERE id = %(clip_id)s AND status IN ('queued', 'processing')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
# Only the service may do this, because it discards the results of earlier attempts.
REQUEUE = f"""
UPDATE clips SET status = 'queued', objects = '{{}}', is_preview = false, notes = '[]', error = NULL,
       completed_at = NULL, expires_at = NULL, updated_at = now()
WHERE id = %(clip_id)s AND status IN ('failed', 'cancelled', 'expired')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
REQUEUE_FAILED = f"""
UPDATE clips SET status = 'queued', objects = '{{}}', is_preview = false, notes = '[]', error = NULL,
       updated_at = now()
WHERE {SHARING} AND status = 'failed'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
# Store the new keys of copied objects, unless the clip was rendered again meanwhile.
RELOCATE = f"""
UPDATE clips SET objects = %(objects)s, updated_at = now()
WHERE {SHARING} AND status = 'completed' AND objects = %(before)s
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant


def _all(tx: Transaction, query: str, values: dict[str, Any]) -> list[Clip]:
    with tx.cursor(row_factory=row_with_error(Clip)) as cursor:
        return sorted(cursor.execute(query, values).fetchall(), key=lambda clip: (clip.created_at, clip.id))


# Each of these changes the clip and all clips that share its render, and returns the changed ones, oldest first.


def mark_processing(tx: Transaction, *, clip_id: UUID) -> list[Clip]:
    """Change queued → processing; no change of an ended clip."""
    return _all(tx, MARK_PROCESSING, {"clip_id": clip_id})


def publish_preview(tx: Transaction, *, clip_id: UUID, objects: dict[str, Any]) -> list[Clip]:
    """Publish a preview of a processing clip."""
    return _all(tx, PUBLISH_PREVIEW, {"clip_id": clip_id, "objects": Jsonb(objects)})


def publish(tx: Transaction, *, clip_id: UUID, objects: dict[str, Any], notes: list[Any], keep_days: int) -> list[Clip]:
    """Change processing → completed; no change from another state."""
    values = {"clip_id": clip_id, "objects": Jsonb(objects), "notes": Jsonb(notes), "keep_days": keep_days}
    return _all(tx, PUBLISH, values)


def mark_failed(tx: Transaction, *, clip_id: UUID, error: JobError) -> list[Clip]:
    """Change queued | processing → failed; no change from another state."""
    return _all(tx, MARK_FAILED, {"clip_id": clip_id, "error": error_json(error)})


def mark_cancelled(tx: Transaction, *, clip_id: UUID) -> list[Clip]:
    """Change queued | processing → cancelled; no change from another state."""
    return _all(tx, MARK_CANCELLED, {"clip_id": clip_id})


def requeue_failed(tx: Transaction, *, clip_id: UUID) -> list[Clip]:
    """Change failed → queued; no change from another state."""
    return _all(tx, REQUEUE_FAILED, {"clip_id": clip_id})


def relocate(tx: Transaction, *, clip_id: UUID, before: dict[str, Any], objects: dict[str, Any]) -> list[Clip]:
    """Replace the objects of a completed clip; no change if they are no longer the expected ones."""
    return _all(tx, RELOCATE, {"clip_id": clip_id, "before": Jsonb(before), "objects": Jsonb(objects)})


# Each of these is about one clip.


def find_for_render(tx: Transaction, *, job_id: UUID) -> RenderSubject | None:
    """Return the clip of a job with the fields of its recording that a render needs, or None."""
    with tx.cursor(row_factory=class_row(RenderSubject)) as cursor:
        return cursor.execute(GET_FOR_RENDER, {"job_id": job_id}).fetchone()


def mark_one_cancelled(tx: Transaction, *, clip_id: UUID) -> Clip | None:
    """Change queued | processing → cancelled for this clip only; None from another state."""
    return fetch_one(tx, MARK_ONE_CANCELLED, {"clip_id": clip_id})


def requeue(tx: Transaction, *, clip_id: UUID) -> Clip | None:
    """Change any state but completed → queued; None when it is completed or does not exist."""
    return fetch_one(tx, REQUEUE, {"clip_id": clip_id})
