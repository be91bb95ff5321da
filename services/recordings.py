"""Recordings: announced, uploaded in parts or fetched, ingested, ready. And what workers write to them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from msgspec import Struct

from db import recordings as rows
from db.connection import Transaction
from db.recordings import Ingested, Recording
from services import events, jobs
from services.errors import (
    ConflictError,
    InvalidFieldError,
    NotFoundError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from services.jobs import Job
from services.paging import Page, TimeCursor, page_of
from storage.keys import download_name, source_key
from storage.multipart import MAX_PART_NUMBER, plain_etag
from storage.store import InvalidPartError, ObjectNotFoundError, Part, PartTag, Store

__all__ = ["Recording", "StoredParts", "Upload", "UploadPart"]

MIB = 1024 * 1024
# Large enough that a slow line is not all round trips, small enough to send again after a break.
LEAST_PART_BYTES = 16 * MIB
# Signing and listing one address for each is still quick; a larger recording gets larger parts instead.
MOST_PARTS = 1000
DEFAULT_MAX_BYTES = 50 * 1024**3
UPLOAD_URL_S = 24 * 3600
MAX_FILENAME_LENGTH = 255
MAX_TITLE_LENGTH = 300
MEDIA_TYPES = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]{0,80}", re.IGNORECASE)
# How browsers and phones name containers that hold sound or moving images.
OTHER_TYPES = frozenset({"application/octet-stream", "application/mp4", "application/ogg", "application/mxf"})
TYPE_IN_THE_DARK = "application/octet-stream"


class UploadPart(Struct, frozen=True, kw_only=True):
    """An address that stores one part by PUT."""

    number: int
    url: str
    expires_at: datetime


class Upload(Struct, frozen=True, kw_only=True):
    """Where the bytes of a new recording go."""

    part_size_bytes: int
    parts: list[UploadPart]


class StoredParts(Struct, frozen=True, kw_only=True):
    """How far an upload is: what storage has, and addresses for the rest."""

    part_size_bytes: int
    stored: list[Part]
    missing: list[UploadPart]


def create(
    tx: Transaction,
    *,
    user_id: UUID,
    store: Store,
    filename: str,
    size_bytes: int,
    content_type: str,
    title: str | None = None,
    max_bytes: int = DEFAULT_MAX_BYTES,
    now: datetime | None = None,
) -> tuple[Recording, Upload]:
    """Announce a recording and return where its parts go.

    PayloadTooLargeError, UnsupportedMediaTypeError, InvalidFieldError; StorageError when no upload can be begun.
    """
    if size_bytes > max_bytes:
        raise PayloadTooLargeError(
            f"The recording has {size_bytes} bytes; at most {max_bytes} are accepted. Send a shorter or smaller one.",
            field="size_bytes",
            max_bytes=max_bytes,
        )
    content_type = clean_content_type(content_type)
    filename = clean_filename(filename)
    recording_id = uuid4()
    key = source_key(user_id, recording_id)
    recording = rows.insert_recording(
        tx,
        recording_id=recording_id,
        user_id=user_id,
        title=clean_title(title) if title is not None else _title_of(filename),
        filename=filename,
        content_type=content_type,
        status="uploading",
        source_key=key,
        size_bytes=size_bytes,
        upload_id=store.create_multipart(key, content_type=content_type),
        part_size_bytes=part_size(size_bytes),
    )
    return recording, _upload(store, recording, now or datetime.now(UTC))


def import_url(
    tx: Transaction, *, user_id: UUID, url: str, title: str | None = None, trace_id: str | None = None
) -> tuple[Recording, Job]:
    """Accept a recording that a worker fetches from an address that was checked before."""
    filename = clean_filename(unquote(urlsplit(url).path).rstrip("/") or urlsplit(url).hostname or "recording")
    recording_id = uuid4()
    recording = rows.insert_recording(
        tx,
        recording_id=recording_id,
        user_id=user_id,
        title=clean_title(title) if title is not None else _title_of(filename),
        filename=filename,
        content_type=TYPE_IN_THE_DARK,
        status="processing",
        source_key=source_key(user_id, recording_id),
        source_url=url,
    )
    job = jobs.enqueue(
        tx, kind="import", user_id=user_id, payload={"url": url}, recording_id=recording_id, trace_id=trace_id
    )
    return recording, job


def get(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording:
    """Return a recording; NotFoundError when there is none of that id, or it is another's."""
    return _found(rows.find_recording(tx, user_id=user_id, recording_id=recording_id))


def list_recordings(
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    cursor: TimeCursor | None = None,
    q: str | None = None,
    status: str | None = None,
) -> Page[Recording]:
    """List recordings newest first; `q` is a part of the title in any case."""
    found = rows.list_recordings(tx, user_id=user_id, limit=limit + 1, before=cursor, q=q, status=status)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def rename(tx: Transaction, *, user_id: UUID, recording_id: UUID, title: str) -> Recording:
    """Change the title."""
    return _found(rows.update_title(tx, user_id=user_id, recording_id=recording_id, title=clean_title(title)))


def parts(tx: Transaction, *, user_id: UUID, recording_id: UUID, store: Store, now: datetime) -> StoredParts:
    """Say which parts storage has, with fresh addresses for the others; ConflictError when the upload is closed."""
    recording = _uploading(get(tx, user_id=user_id, recording_id=recording_id))
    stored = _stored_parts(store, recording)
    missing = set(range(1, part_count(recording) + 1)) - {part.number for part in stored}
    return StoredParts(
        part_size_bytes=recording.part_size_bytes or 0,
        stored=stored,
        missing=[_signed(store, recording, number, now) for number in sorted(missing)],
    )


def sign_part(
    tx: Transaction, *, user_id: UUID, recording_id: UUID, number: int, store: Store, now: datetime
) -> UploadPart:
    """Return a fresh address for one part; InvalidFieldError when the recording has no such part."""
    recording = _uploading(get(tx, user_id=user_id, recording_id=recording_id))
    if not 1 <= number <= part_count(recording):
        raise InvalidFieldError("number", f"This recording has parts 1 to {part_count(recording)}; {number} is none.")
    return _signed(store, recording, number, now)


def complete(
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    tags: list[PartTag],
    store: Store,
    trace_id: str | None = None,
) -> tuple[Recording, Job]:
    """Close the upload and queue its ingest; doing it again returns the same.

    InvalidFieldError says which part does not fit; the upload then stays open, and a part can be sent again.
    """
    recording = _found(rows.lock_recording(tx, user_id=user_id, recording_id=recording_id))
    if recording.status != "uploading":
        return recording, _ingest_job(tx, recording)
    _join(store, recording, sorted(tags, key=lambda tag: tag.number))
    closed = _found(rows.close_upload(tx, user_id=user_id, recording_id=recording_id))
    job = jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id, trace_id=trace_id)
    return closed, job


# What workers write


def get_source(tx: Transaction, *, recording_id: UUID) -> Recording:
    """Return a recording for a worker; NotFoundError when its row is gone or it was deleted."""
    recording = _found(rows.find_source(tx, recording_id=recording_id))
    if recording.status == "deleted":
        raise NotFoundError("The recording was deleted")
    return recording


def imported(tx: Transaction, *, recording_id: UUID, size_bytes: int, content_type: str, filename: str) -> Recording:
    """Write what the fetch learnt of the file; ConflictError when the recording is not processing any more."""
    return _changed(
        rows.update_imported(
            tx,
            recording_id=recording_id,
            size_bytes=size_bytes,
            content_type=content_type if is_media_type(content_type) else TYPE_IN_THE_DARK,
            filename=clean_filename(filename),
        )
    )


def publish_ingest(
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
) -> Recording:
    """Write what ingest found; the recording becomes ready with its first detection."""
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
    )
    return _changed(rows.update_ingested(tx, recording_id=recording_id, found=found))


def mark_ready(tx: Transaction, *, recording_id: UUID, curve_key: str | None = None) -> Recording:
    """Processing → ready, or a newer score curve for a ready one; ConflictError from any other state."""
    recording = _changed(rows.mark_ready(tx, recording_id=recording_id, curve_key=curve_key))
    if recording.ready_at == recording.updated_at:  # both are this transaction's time when it became ready just now
        events.recording_ready(tx, recording)
    return recording


def fail(tx: Transaction, *, recording_id: UUID, error: dict[str, Any]) -> Recording | None:
    """Fail a recording that is on its way in; None when it has ended otherwise already."""
    recording = rows.mark_failed(tx, recording_id=recording_id, error=error)
    if recording is not None:
        events.recording_failed(tx, recording)
    return recording


# Rules


def part_size(size_bytes: int) -> int:
    """Return the size of all parts but the last: whole MiB, at most MOST_PARTS parts (S3 allows 10,000)."""
    least = -(-size_bytes // MOST_PARTS)
    return max(LEAST_PART_BYTES, -(-least // MIB) * MIB)


def part_count(recording: Recording) -> int:
    """Return into how many parts an announced recording is cut."""
    if not recording.size_bytes or not recording.part_size_bytes:
        return 0
    return min(MAX_PART_NUMBER, -(-recording.size_bytes // recording.part_size_bytes))


def clean_filename(name: str) -> str:
    """Return the last segment of a name, without anything that leads elsewhere; never empty."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return download_name(last, fallback="recording")[:MAX_FILENAME_LENGTH]


def clean_title(title: str) -> str:
    """Return a title without control characters and outer spaces; InvalidFieldError when nothing is left."""
    text = " ".join("".join(char if char.isprintable() else " " for char in title).split())
    if not text:
        raise InvalidFieldError("title", "A title has at least one visible character.")
    return text[:MAX_TITLE_LENGTH]


def is_media_type(content_type: str) -> bool:
    """Say whether a content type may be that of a recording."""
    bare = content_type.partition(";")[0].strip().lower()
    return bool(MEDIA_TYPES.fullmatch(bare)) or bare in OTHER_TYPES


def clean_content_type(content_type: str) -> str:
    """Return a content type without its parameters; UnsupportedMediaTypeError when it is not one of media."""
    if not is_media_type(content_type):
        raise UnsupportedMediaTypeError(
            "Recordings are video or audio; send one with a content type such as video/mp4 or audio/mpeg.",
            field="content_type",
        )
    return content_type.partition(";")[0].strip().lower()


def _title_of(filename: str) -> str:
    stem = filename.rpartition(".")[0] or filename
    return stem[:MAX_TITLE_LENGTH]


def _found(recording: Recording | None) -> Recording:
    if recording is None:
        raise NotFoundError("There is no such recording")
    return recording


def _changed(recording: Recording | None) -> Recording:
    if recording is None:
        raise ConflictError("The recording is no longer being processed")
    return recording


def _uploading(recording: Recording) -> Recording:
    if recording.status != "uploading":
        raise ConflictError(f"The upload is closed; the recording is {recording.status}.", status=recording.status)
    return recording


def _upload(store: Store, recording: Recording, now: datetime) -> Upload:
    return Upload(
        part_size_bytes=recording.part_size_bytes or 0,
        parts=[_signed(store, recording, number, now) for number in range(1, part_count(recording) + 1)],
    )


def _signed(store: Store, recording: Recording, number: int, now: datetime) -> UploadPart:
    url = store.presign_part(recording.source_key, recording.upload_id or "", number, expires_s=UPLOAD_URL_S)
    return UploadPart(number=number, url=url, expires_at=now + timedelta(seconds=UPLOAD_URL_S))


def _stored_parts(store: Store, recording: Recording) -> list[Part]:
    try:
        return store.list_parts(recording.source_key, recording.upload_id or "")
    except ObjectNotFoundError:
        # Swept, or joined by a completion whose transaction was lost: `complete` tells the two apart.
        return []


def _join(store: Store, recording: Recording, tags: list[PartTag]) -> None:
    """Check the parts against what was announced and make them one object."""
    stored = {part.number: part for part in _stored_parts(store, recording)}
    if not stored and _is_joined(store, recording):
        return
    count = part_count(recording)
    if [tag.number for tag in tags] != list(range(1, count + 1)):
        listed = {tag.number for tag in tags}
        missing = sorted(set(range(1, count + 1)) - listed)
        what = f"part {missing[0]} is missing" if missing else "a part is listed twice or does not belong to it"
        raise InvalidFieldError(
            "parts", f"This recording has {count} parts; {what}. Send it and complete again.", missing=missing[:100]
        )
    for tag in tags:
        _check_part(recording, stored.get(tag.number), tag)
    try:
        store.complete_multipart(recording.source_key, recording.upload_id or "", tags)
    except InvalidPartError as error:
        raise InvalidFieldError("parts", str(error)) from error
    except ObjectNotFoundError as error:
        raise ConflictError("This upload was given up after a long silence; start a new one.") from error


def _check_part(recording: Recording, part: Part | None, tag: PartTag) -> None:
    field = f"parts.{tag.number}"
    if part is None:
        raise InvalidFieldError("parts", f"Part {tag.number} was not stored; send it and complete again.", part=field)
    if plain_etag(part.etag) != plain_etag(tag.etag):
        raise InvalidFieldError(
            "parts", f"Part {tag.number} is stored with another ETag; send it again and use the new answer.", part=field
        )
    size, part_bytes = recording.size_bytes or 0, recording.part_size_bytes or 0
    expected = part_bytes if tag.number < part_count(recording) else size - part_bytes * (tag.number - 1)
    if part.size_bytes != expected:
        raise InvalidFieldError(
            "parts",
            f"Part {tag.number} has {part.size_bytes} bytes, but {expected} belong there: {size} bytes were announced. "
            "Send the part again, or announce the recording with its true size.",
            part=field,
            expected_bytes=expected,
            stored_bytes=part.size_bytes,
        )


def _is_joined(store: Store, recording: Recording) -> bool:
    try:
        return store.stat(recording.source_key).size_bytes == recording.size_bytes
    except ObjectNotFoundError:
        return False


def _ingest_job(tx: Transaction, recording: Recording) -> Job:
    job_id = rows.find_ingest_job(tx, recording_id=recording.id)
    if job_id is None:
        raise ConflictError(f"The recording is {recording.status}; there is no upload to complete.")
    return jobs.get(tx, user_id=recording.user_id, job_id=job_id)
