"""Uploads: a client announces a recording, sends its parts straight to storage, and completes it to one object.

Each step is a call to storage outside any transaction, then a short transaction. A crash between the two loses
nothing: uploads without a row are swept, and parts that are joined already are recognised.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

from msgspec import Struct

from db import recordings as rows
from db.connection import Transaction
from db.recordings import Recording
from services import sanitising
from services.billing import quota as quotas
from services.errors import ConflictError, InvalidFieldError, PayloadTooLargeError, RateLimitedError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.recordings import service as recordings
from storage.keys import source_key
from storage.multipart import MAX_PART_NUMBER, MAX_PUT_BYTES, plain_etag
from storage.store import (
    InvalidPartError,
    ObjectNotFoundError,
    Part,
    PartLayout,
    PartTag,
    StorageError,
    StorageFullError,
    Store,
)

MIB = 1024 * 1024
# Large enough to avoid many round trips, small enough to send again after an interruption.
LEAST_PART_BYTES = 16 * MIB
# Signing and listing so many addresses is still quick; larger recordings get larger parts instead.
MOST_PARTS = 1000
UPLOAD_URL_S = 24 * 3600
MAX_OPEN_UPLOADS = 100
"""Of one owner: each is a folder or an entry in storage that every announcement reads."""
OPEN_UPLOADS_RETRY_S = 60


class UploadPart(Struct, frozen=True, kw_only=True):
    """An address that stores one part by PUT."""

    number: int
    url: str
    expires_at: datetime


class Upload(Struct, frozen=True, kw_only=True):
    """The addresses for the bytes of a new recording."""

    part_size_bytes: int
    parts: list[UploadPart]


class StoredParts(Struct, frozen=True, kw_only=True):
    """The progress of an upload: the parts that storage has, and addresses for the rest."""

    part_size_bytes: int
    stored: list[Part]
    missing: list[UploadPart]


class OpenedUpload(Struct, frozen=True, kw_only=True):
    """An upload begun in storage, for a recording without a row yet."""

    recording_id: UUID
    user_id: UUID
    title: str
    filename: str
    content_type: str
    size_bytes: int
    key: str
    upload_id: str
    part_size_bytes: int


def open_upload(  # noqa: PLR0913 - keyword-only, as every use case
    store: Store,
    *,
    user_id: UUID,
    filename: str,
    size_bytes: int,
    content_type: str,
    title: str | None = None,
    max_bytes: int = recordings.DEFAULT_MAX_BYTES,
) -> OpenedUpload:
    """Begin an upload in storage; `create` adds its row. Without a row it is swept after a day.

    PayloadTooLargeError, UnsupportedMediaTypeError, InvalidFieldError; StorageFullError if the bytes do not fit beside
    those that other uploads have announced; StorageError if no upload can begin.
    """
    if size_bytes > max_bytes:
        raise PayloadTooLargeError(
            f"The recording has {size_bytes} bytes; at most {max_bytes} are accepted. Send a shorter or smaller one.",
            field="size_bytes",
            max_bytes=max_bytes,
        )
    content_type = sanitising.clean_content_type(content_type)
    filename = sanitising.clean_filename(filename)
    recording_id = uuid4()
    key = source_key(user_id, recording_id)
    layout = PartLayout(size_bytes=size_bytes, part_bytes=part_size(size_bytes))
    opened = OpenedUpload(
        recording_id=recording_id,
        user_id=user_id,
        title=sanitising.clean_title(title) if title is not None else sanitising.title_of(filename),
        filename=filename,
        content_type=content_type,
        size_bytes=size_bytes,
        key=key,
        upload_id=store.create_multipart(key, content_type=content_type, layout=layout),
        part_size_bytes=layout.part_bytes,
    )
    try:
        # Checked again once the upload counts, so that concurrent uploads see each other.
        store.require_space(0)
    except StorageFullError:
        drop_upload(store, opened)
        raise
    return opened


def drop_upload(store: Store, opened: OpenedUpload) -> None:
    """Abort an upload without a row; if storage fails now, it is swept after a day."""
    with suppress(StorageError):
        store.abort_multipart(opened.key, opened.upload_id)


def abort(store: Store, recording: Recording) -> None:
    """Abort the upload of a deleted recording at once, if storage answers; else its job does so later."""
    if recording.upload_id is not None:
        with suppress(StorageError):
            store.abort_multipart(recording.source_key, recording.upload_id)


def create(tx: Transaction, *, opened: OpenedUpload, store: Store, now: datetime) -> tuple[Recording, Upload]:
    """Add the recording of an open upload, and return the addresses for its parts.

    QuotaExceededError when its bytes exceed the owner's storage; RateLimitedError when too many uploads are open.
    """
    quotas.reserve(tx, user_id=opened.user_id, feature=quotas.STORAGE, amount=opened.size_bytes)
    if rows.count_uploading(tx, user_id=opened.user_id) >= MAX_OPEN_UPLOADS:
        raise RateLimitedError(
            f"{MAX_OPEN_UPLOADS} uploads of yours are open. Complete or delete some before you start another.",
            retry_after_s=OPEN_UPLOADS_RETRY_S,
            reason="too_many_uploads",
        )
    recording = rows.insert_recording(
        tx,
        recording_id=opened.recording_id,
        user_id=opened.user_id,
        title=opened.title,
        filename=opened.filename,
        content_type=opened.content_type,
        status="uploading",
        source_key=opened.key,
        size_bytes=opened.size_bytes,
        upload_id=opened.upload_id,
        part_size_bytes=opened.part_size_bytes,
    )
    return recording, sign_parts(store, recording, now=now)


def get_uploading(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> Recording:
    """Return a recording whose upload is open; NotFoundError, or ConflictError if it is closed."""
    return _uploading(recordings.get(tx, user_id=user_id, recording_id=recording_id))


def list_parts(store: Store, recording: Recording, *, now: datetime) -> StoredParts:
    """Return the stored parts, and new addresses for the others. StorageError."""
    stored = _stored_parts(store, recording)
    missing = set(range(1, part_count(recording) + 1)) - {part.number for part in stored}
    return StoredParts(
        part_size_bytes=recording.part_size_bytes or 0,
        stored=stored,
        missing=[_signed(store, recording, number, now) for number in sorted(missing)],
    )


def sign_parts(store: Store, recording: Recording, *, now: datetime) -> Upload:
    """Return a new address for every part of an upload; none once it is closed."""
    count = part_count(recording) if recording.status == "uploading" else 0
    return Upload(
        part_size_bytes=recording.part_size_bytes or 0,
        parts=[_signed(store, recording, number, now) for number in range(1, count + 1)],
    )


def sign_part(store: Store, recording: Recording, *, number: int, now: datetime) -> UploadPart:
    """Return a new address for one part; InvalidFieldError if the recording has no such part."""
    if not 1 <= number <= part_count(recording):
        raise InvalidFieldError("number", f"Part {number} does not exist (1 to {part_count(recording)}).")
    return _signed(store, recording, number, now)


def join_parts(store: Store, recording: Recording, tags: list[PartTag]) -> None:
    """Check the parts of an open upload and join them to one object; `close` then starts the ingest.

    A second call, also after a crash, changes nothing. InvalidFieldError names a part that does not match; the upload
    then stays open, and the part can be sent again. ConflictError if the upload was swept. StorageError.
    """
    _join(store, recording, sorted(tags, key=lambda tag: tag.number))


def close(tx: Transaction, *, user_id: UUID, recording_id: UUID, trace_id: str | None = None) -> tuple[Recording, Job]:
    """Close an upload whose parts are joined and queue its ingest; a second call returns the same.

    NotFoundError; ConflictError when the recording never had an upload, or it was given up.
    """
    closed = rows.close_upload(tx, user_id=user_id, recording_id=recording_id)
    if closed is None:
        recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
        return recording, _ingest_job(tx, recording)
    job = jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id, trace_id=trace_id)
    return closed, job


def part_size(size_bytes: int) -> int:
    """Return the size of all parts except the last: whole MiB, few parts, none above the limit of storage."""
    least = -(-size_bytes // MOST_PARTS)
    return min(MAX_PUT_BYTES, max(LEAST_PART_BYTES, -(-least // MIB) * MIB))


def part_count(recording: Recording) -> int:
    """Return the number of parts of an announced recording; 0 for other recordings."""
    layout = _layout(recording)
    return min(MAX_PART_NUMBER, layout.count) if layout else 0


def _layout(recording: Recording) -> PartLayout | None:
    if not recording.size_bytes or not recording.part_size_bytes:
        return None
    return PartLayout(size_bytes=recording.size_bytes, part_bytes=recording.part_size_bytes)


def _uploading(recording: Recording) -> Recording:
    if recording.status != "uploading":
        raise ConflictError(
            f"The upload is closed; the recording is {recording.status}.",
            status=recording.status,
            reason="upload_closed",
        )
    return recording


def _signed(store: Store, recording: Recording, number: int, now: datetime) -> UploadPart:
    url = store.presign_part(recording.source_key, recording.upload_id or "", number, expires_s=UPLOAD_URL_S)
    return UploadPart(number=number, url=url, expires_at=now + timedelta(seconds=UPLOAD_URL_S))


def _stored_parts(store: Store, recording: Recording) -> list[Part]:
    try:
        return store.list_parts(recording.source_key, recording.upload_id or "")
    except ObjectNotFoundError:
        # Swept, or joined by a completion whose transaction was lost; `complete` finds out which.
        return []


def _join(store: Store, recording: Recording, tags: list[PartTag]) -> None:
    """Check the parts against the announcement and join them to one object."""
    stored = {part.number: part for part in _stored_parts(store, recording)}
    if not stored and _is_joined(store, recording):
        return
    _check_numbers([tag.number for tag in tags], part_count(recording))
    for tag in tags:
        _check_part(recording, stored.get(tag.number), tag)
    try:
        store.complete_multipart(recording.source_key, recording.upload_id or "", tags)
    except InvalidPartError as error:
        raise InvalidFieldError("parts", str(error)) from error
    except ObjectNotFoundError as error:
        raise ConflictError(
            "This upload was given up after a long silence; start a new one.", reason="upload_closed"
        ) from error


def _check_numbers(numbers: list[int], count: int) -> None:
    """Raise InvalidFieldError unless the list names each part once; `numbers` ascend."""
    every = "1 part" if count == 1 else f"{count} parts"
    if missing := sorted(set(range(1, count + 1)) - set(numbers)):
        what = f"part {missing[0]} is missing from the list. Send it and complete again."
    elif foreign := [number for number in numbers if not 1 <= number <= count]:
        what = f"there is no part {foreign[0]}. List the parts that the upload was announced with."
    elif twice := [number for number, following in pairwise(numbers) if number == following]:
        what = f"part {twice[0]} is listed twice. List each part once, with the ETag of its last PUT."
    else:
        return
    raise InvalidFieldError("parts", f"The recording has {every}; {what}", missing=missing[:100])


def _check_part(recording: Recording, part: Part | None, tag: PartTag) -> None:
    field = f"parts.{tag.number}"
    if part is None:
        raise InvalidFieldError("parts", f"Part {tag.number} was not stored; send it and complete again.", part=field)
    if plain_etag(part.etag) != plain_etag(tag.etag):
        raise InvalidFieldError(
            "parts", f"Part {tag.number} is stored with another ETag; send it again and use the new answer.", part=field
        )
    layout = _layout(recording)
    expected = layout.length_of(tag.number) if layout else 0
    if part.size_bytes != expected:
        raise InvalidFieldError(
            "parts",
            f"Part {tag.number} has {part.size_bytes} bytes, but {expected} belong there: {recording.size_bytes} bytes "
            "were announced. Send the part again, or announce the recording with its true size.",
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
        raise ConflictError(
            f"The recording is {recording.status}; there is no upload to complete.", reason="upload_closed"
        )
    return jobs.get(tx, user_id=recording.user_id, job_id=job_id)
