"""Retention and clearing up: what the schedules run. Every function may run at any time, twice, or by two at once."""

from uuid import UUID

from db import maintenance as rows
from db.connection import Transaction
from db.maintenance import PublishedClip
from services import clips, events, jobs, recordings

BATCH = 500
"""Rows a transaction: short enough to be in nobody's way; what is left over waits for the next tick."""
UPLOAD_HOURS = 24
IDEMPOTENCY_HOURS = 24  # CONTRACT: the same key returns the first answer for 24 hours
JOB_DAYS = 30
DEAD_JOB_DAYS = 90
ABANDONED_ERROR = {
    "code": "upload_abandoned",
    "message": "The upload was not finished within a day.",
    "remedy": "Start a new upload.",
    "retryable": False,
    "stream": None,
    "time_s": None,
}


def find_published(tx: Transaction, *, clip_id: UUID) -> PublishedClip | None:
    """Return a completed clip with the keys of its objects; None while it is not completed."""
    return rows.find_published(tx, clip_id)


def expire_clips(tx: Transaction) -> int:
    """Expire clips that were kept long enough, and queue the deletion of their objects; return how many."""
    expired = rows.expire_clips(tx, limit=BATCH)
    for clip_id, user_id in expired:
        jobs.enqueue(
            tx, kind="delete_objects", user_id=None, payload={"bucket": "clips", "prefix": f"{user_id}/{clip_id}/"}
        )
        events.clip_expired(tx, clips.get(tx, user_id=user_id, clip_id=clip_id))
    return len(expired)


def fail_abandoned_uploads(tx: Transaction) -> int:
    """Fail recordings whose upload was not finished within a day; return how many."""
    failed = rows.fail_abandoned_uploads(tx, hours=UPLOAD_HOURS, error=ABANDONED_ERROR, limit=BATCH)
    for recording_id in failed:
        events.recording_failed(tx, recordings.get_source(tx, recording_id=recording_id))
    return len(failed)


def purge_idempotency_keys(tx: Transaction) -> int:
    """Forget keys older than a day; return how many."""
    return rows.purge_idempotency_keys(tx, hours=IDEMPOTENCY_HOURS, limit=BATCH)


def prune_jobs(tx: Transaction) -> int:
    """Forget jobs that ended a month ago, dead ones after three; return how many."""
    return rows.prune_jobs(tx, days=JOB_DAYS, failed_days=DEAD_JOB_DAYS, limit=BATCH)
