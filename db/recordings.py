"""Recordings, from an announced upload to the results of ingest and detection."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db import sorting
from db.connection import Transaction
from db.jobs import JobError, error_json, row_with_error
from db.sorting import Position, Sort


class Recording(Struct, frozen=True, kw_only=True):
    """A row of `recordings`."""

    id: UUID
    user_id: UUID
    title: str
    filename: str
    content_type: str
    size_bytes: int | None
    status: str
    source_key: str
    source_url: str | None
    upload_id: str | None
    part_size_bytes: int | None
    duration_s: float | None
    has_audio: bool | None
    has_video: bool | None
    probe: dict[str, Any] | None
    timeline_key: str | None
    index_key: str | None
    waveform_key: str | None
    poster_key: str | None
    curve_key: str | None
    tagger: str | None
    tags_key: str | None
    error: JobError | None
    created_at: datetime
    updated_at: datetime
    ready_at: datetime | None


class Ingested(Struct, frozen=True, kw_only=True):
    """The results of an ingest job, and the keys of its objects."""

    probe: dict[str, Any]
    duration_s: float
    has_audio: bool
    has_video: bool
    size_bytes: int
    timeline_key: str
    index_key: str | None
    waveform_key: str
    poster_key: str | None
    tagger: str | None
    tags_key: str | None


class RecordingActivity(Struct, frozen=True, kw_only=True):
    """The running work on a recording, and the number of its highlights."""

    recording_id: UUID
    highlight_count: int
    job_id: UUID | None
    kind: str | None
    state: str | None
    stage: str | None
    progress: float | None
    eta_s: float | None


COLUMNS = """id, user_id, title, filename, content_type, size_bytes, status, source_key, source_url, upload_id,
part_size_bytes, duration_s, has_audio, has_video, probe, timeline_key, index_key, waveform_key, poster_key, curve_key,
tagger, tags_key, error, created_at, updated_at, ready_at"""

INSERT_RECORDING = f"""
INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key, source_url,
                        upload_id, part_size_bytes)
VALUES (%(recording_id)s, %(user_id)s, %(title)s, %(filename)s, %(content_type)s, %(size_bytes)s, %(status)s,
        %(source_key)s, %(source_url)s, %(upload_id)s, %(part_size_bytes)s)
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_RECORDING = f"""
SELECT {COLUMNS} FROM recordings WHERE id = %(recording_id)s AND user_id = %(user_id)s AND status <> 'deleted'
"""  # noqa: S608 - the columns are a constant
COUNT_UPLOADING = """
SELECT count(*) AS open FROM recordings WHERE user_id = %(user_id)s AND status = 'uploading'
"""
FIND_SOURCE = f"SELECT {COLUMNS} FROM recordings WHERE id = %(recording_id)s"  # noqa: S608 - the columns are a constant
FILTERED = f"""
SELECT {COLUMNS} FROM recordings
WHERE user_id = %(user_id)s AND status <> 'deleted'
  AND (%(q)s::text IS NULL OR position(lower(%(q)s::text) IN lower(title)) > 0)
  AND (%(status)s::text IS NULL OR status = %(status)s::text)"""  # noqa: S608 - the columns are a constant
LIST_NEWEST = FILTERED + sorting.newest()
LIST_OLDEST = FILTERED + sorting.oldest()
LIST_LONGEST = FILTERED + sorting.longest("coalesce(duration_s, 0)")
LIST_BY_NAME = FILTERED + sorting.by_name()
LISTS: Mapping[Sort, str] = {
    "newest": LIST_NEWEST,
    "oldest": LIST_OLDEST,
    "longest": LIST_LONGEST,
    "name": LIST_BY_NAME,
}
# Counts the highlights of a list without a sensitivity: those above the default, or else the best few.
LIST_ACTIVITY = """
SELECT r.id AS recording_id, j.id AS job_id, j.kind, j.state, j.stage, j.progress, j.eta_s,
       CASE WHEN h.at_default > 0 THEN h.at_default ELSE least(h.above_floor, %(few)s) END AS highlight_count
FROM recordings r
LEFT JOIN LATERAL (
    SELECT id, kind, state, stage, progress, eta_s FROM jobs
    WHERE jobs.recording_id = r.id AND jobs.clip_id IS NULL AND jobs.state IN ('queued', 'running')
    ORDER BY jobs.created_at DESC LIMIT 1
) j ON true
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE score >= %(default)s) AS at_default, count(*) AS above_floor FROM highlights
    WHERE highlights.recording_id = r.id AND score >= %(floor)s
) h
WHERE r.id = ANY(%(recording_ids)s)
"""
COUNT_RECORDINGS = """
SELECT status, count(*) AS number FROM recordings WHERE user_id = %(user_id)s AND status <> 'deleted' GROUP BY status
"""
UPDATE_TITLE = f"""
UPDATE recordings SET title = %(title)s, updated_at = now()
WHERE id = %(recording_id)s AND user_id = %(user_id)s AND status <> 'deleted'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
CLOSE_UPLOAD = f"""
UPDATE recordings SET status = 'processing', upload_id = NULL, updated_at = now()
WHERE id = %(recording_id)s AND user_id = %(user_id)s AND status = 'uploading'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_DELETED = f"""
UPDATE recordings SET status = 'deleted', upload_id = NULL, updated_at = now()
WHERE id = %(recording_id)s AND user_id = %(user_id)s AND status <> 'deleted'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
UPDATE_INGESTED = f"""
UPDATE recordings SET probe = %(probe)s, duration_s = %(duration_s)s, has_audio = %(has_audio)s,
       has_video = %(has_video)s, size_bytes = %(size_bytes)s, timeline_key = %(timeline_key)s,
       index_key = %(index_key)s, waveform_key = %(waveform_key)s, poster_key = %(poster_key)s,
       tagger = %(tagger)s, tags_key = %(tags_key)s, updated_at = now()
WHERE id = %(recording_id)s AND status = 'processing'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_READY = f"""
UPDATE recordings SET status = 'ready', curve_key = COALESCE(%(curve_key)s, curve_key),
       ready_at = COALESCE(ready_at, now()), updated_at = now()
WHERE id = %(recording_id)s AND status IN ('processing', 'ready') AND timeline_key IS NOT NULL
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
UPDATE_TAGGED = f"""
UPDATE recordings SET timeline_key = %(timeline_key)s, tagger = %(tagger)s, tags_key = %(tags_key)s, updated_at = now()
WHERE id = %(recording_id)s AND status IN ('processing', 'ready')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
MARK_FAILED = f"""
UPDATE recordings SET status = 'failed', error = %(error)s, upload_id = NULL, updated_at = now()
WHERE id = %(recording_id)s AND status IN ('uploading', 'live', 'processing')
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
REPROCESS = f"""
UPDATE recordings SET status = 'processing', error = NULL, updated_at = now()
WHERE id = %(recording_id)s AND status = 'failed'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
UPDATE_IMPORTED = f"""
UPDATE recordings SET size_bytes = %(size_bytes)s, content_type = %(content_type)s, filename = %(filename)s,
       updated_at = now()
WHERE id = %(recording_id)s AND status = 'processing'
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
OPEN_JOBS = """
SELECT id FROM jobs WHERE recording_id = %(recording_id)s AND state IN ('queued', 'running') ORDER BY created_at
"""
INGEST_JOB = """
SELECT id FROM jobs WHERE recording_id = %(recording_id)s AND kind IN ('ingest', 'import', 'finalise_live')
ORDER BY created_at DESC, id DESC LIMIT 1
"""


def _one(tx: Transaction, query: str, values: dict[str, Any]) -> Recording | None:
    with tx.cursor(row_factory=row_with_error(Recording)) as cursor:
        return cursor.execute(query, values).fetchone()


def insert_recording(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction,
    *,
    recording_id: UUID,
    user_id: UUID,
    title: str,
    filename: str,
    content_type: str,
    status: str,
    source_key: str,
    size_bytes: int | None = None,
    source_url: str | None = None,
    upload_id: str | None = None,
    part_size_bytes: int | None = None,
) -> Recording:
    """Add a recording that is about to be uploaded or fetched."""
    values = {
        "recording_id": recording_id,
        "user_id": user_id,
        "title": title,
        "filename": filename,
        "content_type": content_type,
        "status": status,
        "source_key": source_key,
        "size_bytes": size_bytes,
        "source_url": source_url,
        "upload_id": upload_id,
        "part_size_bytes": part_size_bytes,
    }
    row = _one(tx, INSERT_RECORDING, values)
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return row


def find_recording(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording | None:
    """Return a recording that is not deleted, or None."""
    return _one(tx, FIND_RECORDING, {"user_id": user_id, "recording_id": recording_id})


def count_uploading(tx: Transaction, *, user_id: UUID) -> int:
    """Count the owner's recordings whose upload is open."""
    row = tx.execute(COUNT_UPLOADING, {"user_id": user_id}).fetchone()
    return int(row["open"]) if row else 0


def find_source(tx: Transaction, *, recording_id: UUID) -> Recording | None:
    """Return a recording of any owner in any state, for workers."""
    return _one(tx, FIND_SOURCE, {"recording_id": recording_id})


def list_recordings(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    sort: Sort = "newest",
    after: Position | None = None,
    q: str | None = None,
    status: str | None = None,
) -> list[Recording]:
    """List recordings in an order, starting after `after`. `q` is a part of the title; case does not matter."""
    after_key, after_id = after or (None, None)
    values = {"user_id": user_id, "limit": limit, "after": after_key, "after_id": after_id}
    with tx.cursor(row_factory=row_with_error(Recording)) as cursor:
        return cursor.execute(LISTS[sort], {**values, "q": q, "status": status}).fetchall()


def list_activity(
    tx: Transaction, *, recording_ids: Sequence[UUID], default: float, floor: float, few: int
) -> dict[UUID, RecordingActivity]:
    """Return the activity of recordings, by id; scores from `default` count, or else `few` from `floor`."""
    values = {"recording_ids": list(recording_ids), "default": default, "floor": floor, "few": few}
    with tx.cursor(row_factory=class_row(RecordingActivity)) as cursor:
        return {row.recording_id: row for row in cursor.execute(LIST_ACTIVITY, values)}


def count_recordings(tx: Transaction, *, user_id: UUID) -> dict[str, int]:
    """Count an owner's recordings by status; statuses without recordings are left out."""
    return {row["status"]: row["number"] for row in tx.execute(COUNT_RECORDINGS, {"user_id": user_id})}


def update_title(tx: Transaction, *, user_id: UUID, recording_id: UUID, title: str) -> Recording | None:
    """Rename; None when there is no such recording."""
    return _one(tx, UPDATE_TITLE, {"user_id": user_id, "recording_id": recording_id, "title": title})


def close_upload(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording | None:
    """Change uploading → processing; None when it was not uploading."""
    return _one(tx, CLOSE_UPLOAD, {"user_id": user_id, "recording_id": recording_id})


def mark_deleted(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording | None:
    """Change any state → deleted; None when there is no such recording."""
    return _one(tx, MARK_DELETED, {"user_id": user_id, "recording_id": recording_id})


def update_ingested(tx: Transaction, *, recording_id: UUID, found: Ingested) -> Recording | None:
    """Write the results of ingest; None when the recording is no longer processing."""
    values = {
        "recording_id": recording_id,
        "probe": Jsonb(found.probe),
        "duration_s": found.duration_s,
        "has_audio": found.has_audio,
        "has_video": found.has_video,
        "size_bytes": found.size_bytes,
        "timeline_key": found.timeline_key,
        "index_key": found.index_key,
        "waveform_key": found.waveform_key,
        "poster_key": found.poster_key,
        "tagger": found.tagger,
        "tags_key": found.tags_key,
    }
    return _one(tx, UPDATE_INGESTED, values)


def update_tagged(
    tx: Transaction, *, recording_id: UUID, timeline_key: str, tagger: str, tags_key: str | None
) -> Recording | None:
    """Replace the timeline by one of another tagger; None when the recording is neither processing nor ready."""
    values = {"recording_id": recording_id, "timeline_key": timeline_key, "tagger": tagger, "tags_key": tags_key}
    return _one(tx, UPDATE_TAGGED, values)


def mark_ready(tx: Transaction, *, recording_id: UUID, curve_key: str | None) -> Recording | None:
    """Change processing → ready (or a newer score curve for a ready one); None from any other state."""
    return _one(tx, MARK_READY, {"recording_id": recording_id, "curve_key": curve_key})


def mark_failed(tx: Transaction, *, recording_id: UUID, error: JobError) -> Recording | None:
    """Change uploading | live | processing → failed; None from any other state."""
    return _one(tx, MARK_FAILED, {"recording_id": recording_id, "error": error_json(error)})


def reprocess(tx: Transaction, *, recording_id: UUID) -> Recording | None:
    """Change failed → processing; None from any other state."""
    return _one(tx, REPROCESS, {"recording_id": recording_id})


def update_imported(
    tx: Transaction, *, recording_id: UUID, size_bytes: int, content_type: str, filename: str
) -> Recording | None:
    """Write size, type and name of a fetched file; None when the recording is no longer processing."""
    values = {"size_bytes": size_bytes, "content_type": content_type, "filename": filename}
    return _one(tx, UPDATE_IMPORTED, {"recording_id": recording_id, **values})


def list_open_jobs(tx: Transaction, *, recording_id: UUID) -> list[UUID]:
    """List the jobs about a recording that have not ended."""
    return [row["id"] for row in tx.execute(OPEN_JOBS, {"recording_id": recording_id})]


def find_ingest_job(tx: Transaction, *, recording_id: UUID) -> UUID | None:
    """Return the latest job that brings the recording in, or None."""
    row = tx.execute(INGEST_JOB, {"recording_id": recording_id}).fetchone()
    return row["id"] if row else None
