"""Recordings: importing, listing and changing them, and the writes of workers. Uploads have their own module."""

from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from db import recordings as rows
from db.connection import Transaction
from db.recordings import Ingested, Recording
from db.sorting import Sort
from services import sanitising
from services.billing import quota as quotas
from services.errors import ConflictError, NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import ImportPayload
from services.jobs.service import Job, JobError
from services.paging import Page, decode_sort_cursor, sorted_page_of
from services.webhooks import event as events
from storage.keys import source_key

__all__ = ["Recording"]

DEFAULT_MAX_BYTES = 50 * 1024**3


def import_url(
    tx: Transaction, *, user_id: UUID, url: str, title: str | None = None, trace_id: str | None = None
) -> tuple[Recording, Job]:
    """Accept a recording that a worker fetches from an address that was checked before.

    QuotaExceededError if the owner's storage is full already; the size is known only when the file arrives.
    """
    quotas.reserve(tx, user_id=user_id, feature=quotas.STORAGE)
    filename = sanitising.clean_filename(
        unquote(urlsplit(url).path).rstrip("/") or urlsplit(url).hostname or "recording"
    )
    recording_id = uuid4()
    recording = rows.insert_recording(
        tx,
        recording_id=recording_id,
        user_id=user_id,
        title=sanitising.clean_title(title) if title is not None else sanitising.title_of(filename),
        filename=filename,
        content_type=sanitising.DEFAULT_CONTENT_TYPE,
        status="processing",
        source_key=source_key(user_id, recording_id),
        source_url=url,
    )
    job = jobs.enqueue(
        tx, kind="import", user_id=user_id, payload=ImportPayload(url=url), recording_id=recording_id, trace_id=trace_id
    )
    return recording, job


def get(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording:
    """Return a recording; NotFoundError when it does not exist or belongs to another user."""
    return _found(rows.find_recording(tx, user_id=user_id, recording_id=recording_id))


def list_recordings(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    sort: Sort = "newest",
    cursor: str | None = None,
    q: str | None = None,
    status: str | None = None,
) -> Page[Recording]:
    """List recordings in an order; `q` is a part of the title, case ignored. InvalidFieldError for a wrong cursor."""
    after = decode_sort_cursor(cursor, sort)
    found = rows.list_recordings(tx, user_id=user_id, limit=limit + 1, sort=sort, after=after, q=q, status=status)
    return sorted_page_of(found, limit, sort, length_s=lambda row: row.duration_s or 0.0)


def count(tx: Transaction, *, user_id: UUID) -> dict[str, int]:
    """Count an owner's recordings by status; states without any are left out."""
    return rows.count_recordings(tx, user_id=user_id)


def rename(tx: Transaction, *, user_id: UUID, recording_id: UUID, title: str) -> Recording:
    """Change the title."""
    return _found(
        rows.update_title(tx, user_id=user_id, recording_id=recording_id, title=sanitising.clean_title(title))
    )


# What workers write


def get_source(tx: Transaction, *, recording_id: UUID) -> Recording:
    """Return a recording for a worker; NotFoundError when its row is gone or it was deleted."""
    recording = _found(rows.find_source(tx, recording_id=recording_id))
    if recording.status == "deleted":
        raise NotFoundError("The recording was deleted.")
    return recording


def imported(tx: Transaction, *, recording_id: UUID, size_bytes: int, content_type: str, filename: str) -> Recording:
    """Store the results of the fetch; ConflictError if the recording is no longer processing."""
    return _changed(
        rows.update_imported(
            tx,
            recording_id=recording_id,
            size_bytes=size_bytes,
            content_type=content_type if sanitising.is_media_type(content_type) else sanitising.DEFAULT_CONTENT_TYPE,
            filename=sanitising.clean_filename(filename),
        )
    )


def reprocess(tx: Transaction, *, recording_id: UUID) -> Recording | None:
    """Change failed → processing, because the job is retried; None if it is no longer failed."""
    return rows.reprocess(tx, recording_id=recording_id)


def publish_ingest(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    recording_id: UUID,
    probe: dict[str, Any],
    duration_s: float,
    has_audio: bool,
    has_video: bool,
    size_bytes: int,
    timeline_key: str,
    index_key: str | None,
    waveform_key: str,
    poster_key: str | None,
    tagger: str | None,
    tags_key: str | None,
) -> Recording:
    """Store the results of ingest; the recording becomes ready with its first detection."""
    found = Ingested(
        probe=probe,
        duration_s=duration_s,
        has_audio=has_audio,
        has_video=has_video,
        size_bytes=size_bytes,
        timeline_key=timeline_key,
        index_key=index_key,
        waveform_key=waveform_key,
        poster_key=poster_key,
        tagger=tagger,
        tags_key=tags_key,
    )
    return _changed(rows.update_ingested(tx, recording_id=recording_id, found=found))


def publish_tags(
    tx: Transaction, *, recording_id: UUID, timeline_key: str, tagger: str, tags_key: str | None
) -> Recording:
    """Replace a recording's timeline by that of another tagger; ConflictError if it is gone."""
    found = rows.update_tagged(
        tx, recording_id=recording_id, timeline_key=timeline_key, tagger=tagger, tags_key=tags_key
    )
    return _changed(found)


def mark_ready(tx: Transaction, *, recording_id: UUID, curve_key: str | None = None) -> Recording:
    """Change processing → ready, or a newer score curve for a ready one; ConflictError from any other state."""
    recording = _changed(rows.mark_ready(tx, recording_id=recording_id, curve_key=curve_key))
    if (
        recording.ready_at == recording.updated_at
    ):  # both are this transaction's time if the recording became ready in it
        events.recording_ready(tx, recording)
    return recording


def fail(tx: Transaction, *, recording_id: UUID, error: JobError) -> Recording | None:
    """Fail an unfinished recording; None if it has ended already."""
    recording = rows.mark_failed(tx, recording_id=recording_id, error=error)
    if recording is not None:
        events.recording_failed(tx, recording)
    return recording


def _found(recording: Recording | None) -> Recording:
    if recording is None:
        raise NotFoundError("There is no such recording.")
    return recording


def _changed(recording: Recording | None) -> Recording:
    if recording is None:
        raise ConflictError("The recording is no longer being processed.")
    return recording
