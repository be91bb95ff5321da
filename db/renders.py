"""Renders: the files that equal clips share, and the clips that use them."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from db.connection import Transaction


class Render(Struct, frozen=True, kw_only=True):
    """A render that a clip has begun or joined."""

    id: UUID
    job_id: UUID | None


# Inserts the row or locks the existing one, after waiting for a transaction that inserts or closes it.
TAKE = """
INSERT INTO renders AS r (id, user_id, recording_id, fingerprint, title)
VALUES (CASE WHEN EXISTS (SELECT 1 FROM renders WHERE id = %(clip_id)s) THEN gen_random_uuid() ELSE %(clip_id)s END,
        %(user_id)s, %(recording_id)s, %(fingerprint)s, %(title)s)
ON CONFLICT (recording_id, fingerprint) WHERE is_current DO UPDATE SET joined_at = now()
RETURNING id, job_id
"""
SET_JOB = "UPDATE renders SET job_id = %(job_id)s WHERE id = %(render_id)s"
CLOSE = "UPDATE renders SET is_current = false WHERE id = %(render_id)s"
LOCK = "SELECT id FROM renders WHERE id = %(render_id)s FOR NO KEY UPDATE"
LOCK_OF_CLIP = """
SELECT id FROM renders WHERE id = (SELECT render_id FROM clips WHERE id = %(clip_id)s) FOR NO KEY UPDATE
"""
LOCK_JOB = "SELECT id FROM jobs WHERE id = %(job_id)s FOR NO KEY UPDATE"
IS_AWAITED = """
SELECT EXISTS (
    SELECT 1 FROM clips
    WHERE render_id = %(render_id)s AND id <> %(clip_id)s AND status IN ('queued', 'processing')
) AS found
"""
IS_USED = """
SELECT EXISTS (
    SELECT 1 FROM clips WHERE (render_id = %(render_id)s OR (id = %(render_id)s AND render_id IS NULL))
      AND (status IN ('queued', 'processing') OR objects <> '{}')
) AS found
"""
DROP_UNUSED = """
DELETE FROM renders WHERE id = %(render_id)s AND NOT EXISTS (SELECT 1 FROM clips WHERE render_id = %(render_id)s)
"""
# A render whose files get another title no longer matches its fingerprint.
RETITLE = """
UPDATE renders SET title = %(title)s, is_current = false
WHERE id = %(render_id)s AND title <> %(title)s
  AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = renders.job_id AND jobs.state = 'queued')
  AND NOT EXISTS (SELECT 1 FROM clips WHERE render_id = %(render_id)s AND id <> %(clip_id)s)
"""
# The job refers to one of the clips that wait for it, because jobs are deleted with the clip that they refer to.
HAND_ON = """
UPDATE jobs SET clip_id = (
    SELECT id FROM clips WHERE job_id = jobs.id AND id <> %(clip_id)s
    ORDER BY status IN ('queued', 'processing') DESC, created_at, id LIMIT 1
)
WHERE clip_id = %(clip_id)s AND EXISTS (SELECT 1 FROM clips WHERE job_id = jobs.id AND id <> %(clip_id)s)
"""


def take(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, clip_id: UUID, user_id: UUID, recording_id: UUID, fingerprint: str, title: str
) -> Render:
    """Return the current render of a fingerprint, locked, or a new one without a job."""
    values = {"clip_id": clip_id, "user_id": user_id, "recording_id": recording_id}
    row = tx.execute(TAKE, {**values, "fingerprint": fingerprint, "title": title}).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return Render(**row)


def set_job(tx: Transaction, *, render_id: UUID, job_id: UUID) -> None:
    """Set the job of a render."""
    tx.execute(SET_JOB, {"render_id": render_id, "job_id": job_id})


def close(tx: Transaction, *, render_id: UUID) -> None:
    """Close a render, so that no clip joins it."""
    tx.execute(CLOSE, {"render_id": render_id})


def lock(tx: Transaction, *, render_id: UUID | None, job_id: UUID | None = None) -> None:
    """Lock the job and then the render, as workers do: until the commit no clip joins and the job cannot end."""
    if job_id is not None:
        tx.execute(LOCK_JOB, {"job_id": job_id})
    if render_id is not None:
        tx.execute(LOCK, {"render_id": render_id})


def lock_of_clip(tx: Transaction, *, clip_id: UUID) -> None:
    """Lock a clip's render, so that the next statement sees every clip that has joined."""
    tx.execute(LOCK_OF_CLIP, {"clip_id": clip_id})


def is_awaited(tx: Transaction, *, render_id: UUID | None, besides: UUID) -> bool:
    """Return whether another clip waits for it."""
    return _found(tx, IS_AWAITED, {"render_id": render_id, "clip_id": besides})


def is_used(tx: Transaction, *, render_id: UUID) -> bool:
    """Return whether any clip uses the render's objects or waits for them."""
    return _found(tx, IS_USED, {"render_id": render_id})


def drop_unused(tx: Transaction, *, render_id: UUID) -> None:
    """Delete the render if no clip refers to it."""
    tx.execute(DROP_UNUSED, {"render_id": render_id})


def retitle(tx: Transaction, *, render_id: UUID, clip_id: UUID, title: str) -> None:
    """Change the title for the files, if nothing is made yet and no other clip shares it."""
    tx.execute(RETITLE, {"render_id": render_id, "clip_id": clip_id, "title": title})


def pass_on(tx: Transaction, *, clip_id: UUID) -> None:
    """Make the clip's jobs refer to another clip that shares them, if any."""
    tx.execute(HAND_ON, {"clip_id": clip_id})


def _found(tx: Transaction, query: str, values: dict[str, Any]) -> bool:
    row = tx.execute(query, values).fetchone()
    return bool(row and row["found"])
