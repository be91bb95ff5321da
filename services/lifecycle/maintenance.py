"""Retention and cleanup, run by schedules. Every function may run at any time, repeatedly, and concurrently."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from db import accounts as account_rows
from db import maintenance as rows
from db import schedules as schedule_rows
from db.connection import Transaction
from db.maintenance import Kept, PublishedClip
from services.billing import quota as quotas
from services.clips import render as renders
from services.clips import service as clips
from services.clips import state as clip_states
from services.errors import ConflictError
from services.jobs.service import JobError
from services.mail import outbox
from services.polls import service as polls
from services.recordings import service as recordings
from services.rooms import recording
from services.rooms import service as rooms
from services.webhooks import event as events

UUID_PATTERN = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PREFIX = re.compile(rf"(?P<owner>{UUID_PATTERN})/(?:(?P<thing>{UUID_PATTERN})/)?")
BATCH = 500
"""Rows in one transaction, to keep it short; the next tick handles the rest."""
UPLOAD_HOURS = 24
IDEMPOTENCY_HOURS = 24  # CONTRACT: the same key returns the first answer for 24 hours
JOB_DAYS = 30
DEAD_JOB_DAYS = 90
SERIES_DAYS = 90
BUCKET_S = 300
ROLL_UP_BACK_S = 3600
"""Each roll-up recounts the last hour, so roll-ups may be missed for an hour."""
STUCK_HOURS = 2
QUOTA_MONTHS = 13  # operators can look back a year
HOLD_DAYS = 2  # longer than any live recording
STUCK = JobError(
    code="stuck",
    message="The work on this clip was lost.",
    remedy="Retry it; nothing was counted for it.",
    retryable=True,
)
ABANDONED = JobError(
    code="upload_abandoned",
    message="The upload was not finished within a day.",
    remedy="Start a new upload.",
)


def find_published(tx: Transaction, *, clip_id: UUID) -> PublishedClip | None:
    """Return a completed clip with the keys of its objects; None in any other state."""
    return rows.find_published(tx, clip_id)


def expire_clips(tx: Transaction) -> int:
    """Expire clips whose retention is over, and queue the deletion of their objects; return how many."""
    expired = rows.expire_clips(tx, limit=BATCH)
    for clip_id, user_id in expired:
        clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
        renders.leave(tx, clip)
        events.clip_expired(tx, clip)
    return len(expired)


def fail_abandoned_uploads(tx: Transaction) -> int:
    """Fail recordings whose upload was not finished within a day; return how many."""
    failed = rows.fail_abandoned_uploads(tx, hours=UPLOAD_HOURS, error=ABANDONED, limit=BATCH)
    for recording_id in failed:
        events.recording_failed(tx, recordings.get_source(tx, recording_id=recording_id))
    return len(failed)


def purge_idempotency_keys(tx: Transaction) -> int:
    """Delete keys older than a day; return how many."""
    return rows.purge_idempotency_keys(tx, hours=IDEMPOTENCY_HOURS, limit=BATCH)


def prune_jobs(tx: Transaction) -> dict[str, int]:
    """Delete jobs a month after their end (failed ones after three), ticks and series of that age; return counts."""
    return {
        "jobs": rows.prune_jobs(tx, days=JOB_DAYS, failed_days=DEAD_JOB_DAYS, limit=BATCH * 10),
        "ticks": schedule_rows.prune_ticks(tx, days=JOB_DAYS, limit=BATCH * 10),
        "buckets": rows.prune_series(tx, days=SERIES_DAYS),
        "mails": outbox.prune(tx, limit=BATCH * 10),
    }


def roll_up_jobs(tx: Transaction) -> int:
    """Count ended jobs into the operators' series; return how many buckets were written."""
    return rows.roll_up(tx, bucket_s=BUCKET_S, back_s=ROLL_UP_BACK_S)


def cleanup_clips(tx: Transaction) -> int:
    """Fail clips whose job has been gone for two hours, and release their reservations; return how many."""
    stuck = rows.list_stuck_clips(tx, hours=STUCK_HOURS, limit=BATCH)
    for clip_id in stuck:
        clip_states.fail(tx, clip_id=clip_id, error=STUCK)
    return len(stuck)


def end_silent_recordings(tx: Transaction) -> dict[str, int]:
    """Stop live recordings that get no more parts, or are as long as their tier allows; return how many."""
    return {"ended": recording.sweep(tx, now=datetime.now(UTC))}


def cleanup_rooms(tx: Transaction) -> dict[str, int]:
    """End rooms without activity for a day, with their polls; return how many of each."""
    return rooms.sweep(tx)


def archive_polls(tx: Transaction) -> dict[str, int]:
    """Expire polls whose time is over, and delete ballots 90 days after the end; return how many of each."""
    expired = sum(polls.expire(tx, poll_id=poll_id, room_id=room_id) for poll_id, room_id in polls.list_due(tx))
    return {"expired": expired, "archived": polls.archive(tx)}


def reset_quotas(tx: Transaction) -> dict[str, int]:
    """Release reservations of ended jobs and deleted recordings, and delete counts of past years; return how many.

    The end of a period needs no reset, because each period has its own rows.
    """
    stale = rows.list_stale_holds(tx, days=HOLD_DAYS, limit=BATCH)
    for holder in stale:
        quotas.release(tx, job_id=holder.job_id, subject_id=holder.subject_id)
    removed = rows.delete_old_periods(tx, months=QUOTA_MONTHS, limit=BATCH)
    return {"holds_released": len(stale), "periods_removed": removed}


def find_orphans(tx: Transaction, *, bucket: str, keys: Sequence[str]) -> list[str]:
    """Return the keys that no clip or recording refers to.

    Keys of running jobs, and keys of another form than ours, are left out.
    """
    owners = {key: _subject(key) for key in keys}
    ids = {subject for subject in owners.values() if subject is not None}
    kept = {row.id: row for row in rows.list_kept(tx, bucket, list(ids))}
    return [key for key, subject in owners.items() if subject is not None and _is_orphan(key, kept.get(subject))]


def may_delete(tx: Transaction, *, bucket: str, prefix: str, keys: Sequence[str]) -> list[str] | None:
    """Return the objects under a prefix that no row refers to, to be deleted; None while a job may write there.

    ConflictError unless it is the prefix of a deleted account, or of one recording or clip, so that a job with a wrong
    prefix cannot empty a bucket.
    """
    if not (found := PREFIX.fullmatch(prefix)):
        raise ConflictError(f"{prefix!r} is not the prefix of one account, recording or clip; nothing was deleted.")
    if found["thing"] is not None:
        kept = rows.list_kept(tx, bucket, [UUID(found["thing"])])
        return None if any(row.is_open for row in kept) else find_orphans(tx, bucket=bucket, keys=keys)
    if account_rows.find_account(tx, user_id=UUID(found["owner"])) is not None:
        raise ConflictError("The account of this prefix still exists; nothing was deleted.")
    return list(keys)


def _is_orphan(key: str, kept: Kept | None) -> bool:
    return kept is None or not (kept.is_open or key in kept.keys)


def _subject(key: str) -> UUID | None:
    """Return the id of the render or recording in a key: its second segment, after the owner's."""
    owner, _, rest = key.partition("/")
    try:
        UUID(owner)
        return UUID(rest.partition("/")[0])
    except ValueError:
        return None
