"""Exports: all rows of one owner, and the archives made from them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

# The column lists leave out credentials (hashes, upload ids) and keys of our storage.
EXPORT_RECORDINGS = """
SELECT id, title, filename, content_type, size_bytes, status, source_url, duration_s, has_audio, has_video, probe,
       error, created_at, updated_at, ready_at
FROM recordings WHERE user_id = %(user_id)s AND status <> 'deleted' ORDER BY created_at, id
"""
EXPORT_HIGHLIGHTS = """
SELECT id, recording_id, start_s, end_s, core_start_s, core_end_s, peak_s, score, kind, kind_confidence, reasons,
       created_at
FROM highlights WHERE user_id = %(user_id)s ORDER BY recording_id, score DESC, id
"""
EXPORT_CLIPS = """
SELECT id, recording_id, highlight_id, title, description, start_s, end_s, preset, formats, accuracy, loudness,
       options, status, notes, error, created_at, updated_at, completed_at, expires_at
FROM clips WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_SHARES = """
SELECT id, clip_id, slug, platform, expires_at, revoked_at, created_at
FROM clip_shares WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_JOBS = """
SELECT id, kind, state, recording_id, clip_id, error, attempt, created_at, started_at, finished_at
FROM jobs WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_API_KEYS = """
SELECT id, name, prefix, last_used_at, revoked_at, created_at
FROM api_keys WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_USAGE = """
SELECT feature, period_start, used, reserved FROM usage_quotas
WHERE user_id = %(user_id)s ORDER BY period_start, feature
"""
EXPORT_WEBHOOKS = """
SELECT id, url, events, status, disabled_reason, created_at FROM webhooks
WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_EVENTS = """
SELECT id, type, recording_id, clip_id, data, created_at FROM events WHERE user_id = %(user_id)s ORDER BY seq
"""
EXPORT_SESSIONS = """
SELECT id, method, user_agent, address, created_at, last_seen_at, expires_at, ended_at
FROM sessions WHERE user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_PAYMENTS = """
SELECT id, amount_cents, currency, status, payment_date FROM payment_history
WHERE user_id = %(user_id)s ORDER BY payment_date, id
"""
EXPORT_ROOMS = """
SELECT id, room_code, name, created_at, ended_at FROM rooms WHERE host_user_id = %(user_id)s ORDER BY created_at, id
"""
EXPORT_MESSAGES = """
SELECT id, room_id, content, created_at, edited_at FROM room_messages
WHERE user_id = %(user_id)s AND deleted_at IS NULL ORDER BY created_at, id
"""
EXPORT_POLLS = """
SELECT id, room_id, question, options, created_at FROM polls WHERE created_by = %(user_id)s ORDER BY created_at, id
"""
SECTIONS = {
    "recordings": EXPORT_RECORDINGS,
    "highlights": EXPORT_HIGHLIGHTS,
    "clips": EXPORT_CLIPS,
    "shares": EXPORT_SHARES,
    "jobs": EXPORT_JOBS,
    "api_keys": EXPORT_API_KEYS,
    "usage": EXPORT_USAGE,
    "webhooks": EXPORT_WEBHOOKS,
    "events": EXPORT_EVENTS,
    "sessions": EXPORT_SESSIONS,
    "payments": EXPORT_PAYMENTS,
    "rooms": EXPORT_ROOMS,
    "room_messages": EXPORT_MESSAGES,
    "polls": EXPORT_POLLS,
}


class Export(Struct, frozen=True, kw_only=True):
    """A row of `exports`; it counts as failed if its job has ended without an archive."""

    id: UUID
    user_id: UUID
    job_id: UUID | None
    status: Literal["queued", "ready", "failed", "expired"]
    key: str | None
    size_bytes: int | None
    created_at: datetime
    ready_at: datetime | None
    expires_at: datetime | None


FAIL_ABANDONED = """
UPDATE exports SET status = 'failed' WHERE user_id = %(user_id)s AND status = 'queued'
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = exports.job_id AND jobs.state IN ('queued', 'running'))
"""
INSERT_EXPORT = """
INSERT INTO exports (user_id) VALUES (%(user_id)s) ON CONFLICT (user_id) WHERE status = 'queued' DO NOTHING RETURNING id
"""
SET_EXPORT_JOB = "UPDATE exports SET job_id = %(job_id)s WHERE id = %(export_id)s"
LATEST_EXPORT = """
SELECT id, user_id, job_id, status, key, size_bytes, created_at, ready_at, expires_at FROM exports
WHERE user_id = %(user_id)s ORDER BY created_at DESC, id DESC LIMIT 1
"""
MARK_READY = """
UPDATE exports SET status = 'ready', key = %(key)s, size_bytes = %(size_bytes)s, ready_at = now(),
    expires_at = %(expires_at)s
WHERE id = %(export_id)s AND status = 'queued' RETURNING user_id
"""
LIST_EXPIRED = "SELECT id, key FROM exports WHERE status = 'ready' AND expires_at < now() ORDER BY expires_at LIMIT 100"
MARK_EXPIRED = "UPDATE exports SET status = 'expired' WHERE id = ANY(%(ids)s) AND status = 'ready'"
LIST_CLIP_OBJECTS = """
SELECT c.id, c.title, entry.key AS format, entry.value ->> 'key' AS key
FROM clips c, jsonb_each(c.objects) AS entry
WHERE c.user_id = %(user_id)s AND c.status = 'completed' AND entry.key IN ('mp4', 'webm', 'mp3')
ORDER BY c.created_at, c.id, entry.key
"""


class ClipObject(Struct, frozen=True, kw_only=True):
    """A file of a clip for an archive."""

    id: UUID
    title: str
    format: str
    key: str


def fail_abandoned(tx: Transaction, *, user_id: UUID) -> None:
    """Mark exports as failed whose job has ended without an archive."""
    tx.execute(FAIL_ABANDONED, {"user_id": user_id})


def insert_export(tx: Transaction, *, user_id: UUID) -> UUID | None:
    """Add an export and return its id; None while another one is running."""
    row = tx.execute(INSERT_EXPORT, {"user_id": user_id}).fetchone()
    return row["id"] if row else None


def set_job(tx: Transaction, *, export_id: UUID, job_id: UUID) -> None:
    """Set the job of an export."""
    tx.execute(SET_EXPORT_JOB, {"export_id": export_id, "job_id": job_id})


def find_latest(tx: Transaction, *, user_id: UUID) -> Export | None:
    """Return a user's latest export."""
    with tx.cursor(row_factory=class_row(Export)) as cursor:
        return cursor.execute(LATEST_EXPORT, {"user_id": user_id}).fetchone()


def mark_ready(tx: Transaction, *, export_id: UUID, key: str, size_bytes: int, expires_at: datetime) -> UUID | None:
    """Store the archive's key and return its owner; None if the export was given up."""
    values = {"export_id": export_id, "key": key, "size_bytes": size_bytes, "expires_at": expires_at}
    row = tx.execute(MARK_READY, values).fetchone()
    return row["user_id"] if row else None


def list_expired(tx: Transaction) -> dict[UUID, str]:
    """Return the keys of expired archives, by export."""
    return {row["id"]: row["key"] for row in tx.execute(LIST_EXPIRED)}


def mark_expired(tx: Transaction, *, ids: list[UUID]) -> None:
    """Record that these archives were deleted."""
    tx.execute(MARK_EXPIRED, {"ids": ids})


def list_clip_objects(tx: Transaction, *, user_id: UUID) -> list[ClipObject]:
    """List the files of an owner's clips."""
    with tx.cursor(row_factory=class_row(ClipObject)) as cursor:
        return cursor.execute(LIST_CLIP_OBJECTS, {"user_id": user_id}).fetchall()


def export_rows(tx: Transaction, *, user_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return an owner's rows by section."""
    return {name: tx.execute(query, {"user_id": user_id}).fetchall() for name, query in SECTIONS.items()}
