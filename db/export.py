"""All rows of one owner, for `GET /api/me/export`."""

from typing import Any
from uuid import UUID

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
}


def export_rows(tx: Transaction, *, user_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return an owner's rows by section."""
    return {name: tx.execute(query, {"user_id": user_id}).fetchall() for name, query in SECTIONS.items()}
