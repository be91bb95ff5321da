"""Statements of maintenance: retention, abandoned uploads, old keys. Each works in batches."""

from uuid import UUID

from msgspec import Struct

from db.connection import Transaction
from db.jobs import JobError, error_json
from db.quotas import Holder


class PublishedClip(Struct, frozen=True, kw_only=True):
    """A clip's render, and the keys of the objects that its clips use."""

    render_id: UUID
    user_id: UUID
    keys: frozenset[str]


FIND_PUBLISHED = """
SELECT coalesce(clips.render_id, clips.id) AS render_id, clips.user_id, ARRAY(
    SELECT entry.value ->> 'key' FROM clips AS other, jsonb_each(other.objects) AS entry
    WHERE other.id = clips.id OR other.render_id = clips.render_id
) AS keys
FROM clips WHERE clips.id = %(clip_id)s AND clips.status = 'completed'
"""
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

# Stuck: the clip's job is gone, or has ended without ending the clip.
LIST_STUCK_CLIPS = """
SELECT id FROM clips
WHERE status IN ('queued', 'processing') AND updated_at < now() - make_interval(hours => %(hours)s)
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = clips.job_id AND jobs.state IN ('queued', 'running'))
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.clip_id = clips.id AND jobs.state IN ('queued', 'running'))
ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""
LIST_STALE_HOLDS = """
SELECT quota_holds.job_id, quota_holds.subject_id FROM quota_holds LEFT JOIN jobs ON jobs.id = quota_holds.job_id
WHERE quota_holds.state = 'held' AND (jobs.finished_at < now() - interval '1 hour'
    OR (subject_id IS NOT NULL AND quota_holds.created_at < now() - make_interval(days => %(days)s)))
ORDER BY quota_holds.created_at LIMIT %(limit)s
"""
DELETE_OLD_PERIODS = """
DELETE FROM usage_quotas WHERE (user_id, feature, period_start) IN (
    SELECT user_id, feature, period_start FROM usage_quotas
    WHERE period_start < now() - make_interval(months => %(months)s) LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING user_id
"""
LIST_KEPT_OF_CLIPS = """
SELECT coalesce(clips.render_id, clips.id) AS id, bool_or(clips.status IN ('queued', 'processing')) AS is_open,
    array_remove(array_agg(entry.value ->> 'key'), NULL) AS keys
FROM clips LEFT JOIN jsonb_each(clips.objects) AS entry ON true
WHERE clips.render_id = ANY(%(ids)s) OR (clips.id = ANY(%(ids)s) AND clips.render_id IS NULL)
GROUP BY 1
"""
LIST_KEPT_OF_RECORDINGS = """
SELECT id, status IN ('uploading', 'live', 'processing') AS is_open,
    array_remove(
        ARRAY[source_key, timeline_key, index_key, waveform_key, poster_key, curve_key, tags_key], NULL
    ) AS keys
FROM recordings WHERE id = ANY(%(ids)s) AND status <> 'deleted'
"""
ROLL_UP = """
INSERT INTO job_series (bucket, queue, kind, outcome, jobs, wait_s, run_s)
SELECT to_timestamp(floor(extract(epoch FROM finished_at) / %(bucket_s)s) * %(bucket_s)s) AS bucket,
    queue, kind, state, count(*), sum(coalesce(greatest(extract(epoch FROM started_at - run_at), 0), 0)),
    sum(coalesce(extract(epoch FROM finished_at - started_at), 0))
FROM jobs
WHERE finished_at >= to_timestamp(
    floor(extract(epoch FROM now() - make_interval(secs => %(back_s)s)) / %(bucket_s)s) * %(bucket_s)s
)
GROUP BY 1, 2, 3, 4
ON CONFLICT (bucket, queue, kind, outcome) DO UPDATE SET
    jobs = excluded.jobs, wait_s = excluded.wait_s, run_s = excluded.run_s
RETURNING bucket
"""
PRUNE_SERIES = "DELETE FROM job_series WHERE bucket < now() - make_interval(days => %(days)s) RETURNING bucket"


class Kept(Struct, frozen=True, kw_only=True):
    """An existing clip or recording, and the keys in its row."""

    id: UUID
    is_open: bool
    keys: list[str]


def find_published(tx: Transaction, clip_id: UUID) -> PublishedClip | None:
    """Return a completed clip with the keys of its objects."""
    row = tx.execute(FIND_PUBLISHED, {"clip_id": clip_id}).fetchone()
    if row is None:
        return None
    return PublishedClip(render_id=row["render_id"], user_id=row["user_id"], keys=frozenset(row["keys"]))


def expire_clips(tx: Transaction, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Expire completed clips whose retention is over; return (clip id, user id) of each."""
    return [(row["id"], row["user_id"]) for row in tx.execute(EXPIRE_CLIPS, {"limit": limit})]


def fail_abandoned_uploads(tx: Transaction, *, hours: int, error: JobError, limit: int) -> list[UUID]:
    """Fail recordings with abandoned uploads; return their ids."""
    rows = tx.execute(FAIL_ABANDONED_UPLOADS, {"hours": hours, "error": error_json(error), "limit": limit})
    return [row["id"] for row in rows]


def purge_idempotency_keys(tx: Transaction, *, hours: int, limit: int) -> int:
    """Delete keys older than that; return how many."""
    return len(tx.execute(PURGE_IDEMPOTENCY_KEYS, {"hours": hours, "limit": limit}).fetchall())


def prune_jobs(tx: Transaction, *, days: int, failed_days: int, limit: int) -> int:
    """Delete jobs that ended at least that long ago; return how many."""
    return len(tx.execute(PRUNE_JOBS, {"days": days, "failed_days": failed_days, "limit": limit}).fetchall())


def list_stuck_clips(tx: Transaction, *, hours: int, limit: int) -> list[UUID]:
    """Lock and list clips whose job no longer exists."""
    return [row["id"] for row in tx.execute(LIST_STUCK_CLIPS, {"hours": hours, "limit": limit})]


def list_stale_holds(tx: Transaction, *, days: int, limit: int) -> list[Holder]:
    """List ended jobs with open reservations, and other holders whose reservations are that many days old."""
    rows = tx.execute(LIST_STALE_HOLDS, {"days": days, "limit": limit})
    return [Holder(job_id=row["job_id"], subject_id=row["subject_id"]) for row in rows]


def delete_old_periods(tx: Transaction, *, months: int, limit: int) -> int:
    """Delete counts of periods at least that long ago; return how many."""
    return len(tx.execute(DELETE_OLD_PERIODS, {"months": months, "limit": limit}).fetchall())


def list_kept(tx: Transaction, bucket: str, ids: list[UUID]) -> list[Kept]:
    """List those of these clips or recordings that exist, with the keys in their rows."""
    statement = LIST_KEPT_OF_CLIPS if bucket == "clips" else LIST_KEPT_OF_RECORDINGS
    return [Kept(**row) for row in tx.execute(statement, {"ids": ids})]


def roll_up(tx: Transaction, *, bucket_s: int, back_s: int) -> int:
    """Count the jobs that ended in the last `back_s` seconds into buckets, replacing old counts; return how many."""
    return len(tx.execute(ROLL_UP, {"bucket_s": bucket_s, "back_s": back_s}).fetchall())


def prune_series(tx: Transaction, *, days: int) -> int:
    """Delete buckets older than that; return how many."""
    return len(tx.execute(PRUNE_SERIES, {"days": days}).fetchall())
