"""Statements that keep the tables small and true: retention, abandoned uploads, old keys. Each works in batches."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.types.json import Jsonb

from db.connection import Transaction


class PublishedClip(Struct, frozen=True, kw_only=True):
    """A clip and the keys of its visible objects."""

    clip_id: UUID
    user_id: UUID
    keys: frozenset[str]


FIND_PUBLISHED = "SELECT id, user_id, objects FROM clips WHERE id = %(clip_id)s AND status = 'completed'"
EXPIRE_CLIPS = """
UPDATE clips SET status = 'expired', objects = '{}', updated_at = now() WHERE id IN (
    SELECT id FROM clips WHERE status = 'completed' AND expires_at < now()
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id, user_id
"""
FAIL_ABANDONED_UPLOADS = """
UPDATE recordings SET status = 'failed', upload_id = NULL, error = %(error)s, updated_at = now() WHERE id IN (
    SELECT id FROM recordings WHERE status = 'uploading' AND created_at < now() - make_interval(hours => %(hours)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
PURGE_IDEMPOTENCY_KEYS = """
DELETE FROM idempotency_keys WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency_keys WHERE created_at < now() - make_interval(hours => %(hours)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING key
"""
PRUNE_JOBS = """
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE finished_at < now() - make_interval(days => %(days)s)
      AND (state <> 'failed' OR finished_at < now() - make_interval(days => %(failed_days)s))
    ORDER BY finished_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def find_published(tx: Transaction, clip_id: UUID) -> PublishedClip | None:
    """Return a completed clip with the keys of its objects."""
    row = tx.execute(FIND_PUBLISHED, {"clip_id": clip_id}).fetchone()
    if row is None:
        return None
    found = frozenset(entry["key"] for entry in row["objects"].values())
    return PublishedClip(clip_id=row["id"], user_id=row["user_id"], keys=found)


def expire_clips(tx: Transaction, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Expire completed clips whose time is over; return (clip id, user id) of each."""
    return [(row["id"], row["user_id"]) for row in tx.execute(EXPIRE_CLIPS, {"limit": limit})]


def fail_abandoned_uploads(tx: Transaction, *, hours: int, error: dict[str, Any], limit: int) -> list[UUID]:
    """Fail recordings whose upload nobody has finished; return their ids."""
    rows = tx.execute(FAIL_ABANDONED_UPLOADS, {"hours": hours, "error": Jsonb(error), "limit": limit})
    return [row["id"] for row in rows]


def purge_idempotency_keys(tx: Transaction, *, hours: int, limit: int) -> int:
    """Delete keys older than that; return how many."""
    return len(tx.execute(PURGE_IDEMPOTENCY_KEYS, {"hours": hours, "limit": limit}).fetchall())


def prune_jobs(tx: Transaction, *, days: int, failed_days: int, limit: int) -> int:
    """Delete jobs that ended so long ago; return how many."""
    return len(tx.execute(PRUNE_JOBS, {"days": days, "failed_days": failed_days, "limit": limit}).fetchall())
