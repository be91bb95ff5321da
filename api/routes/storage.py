"""Serves the signed URLs of the local folder: reads with byte ranges, and writes of objects and parts, streamed.

These routes answer with statuses of an object store (206, 304, 411, 416); failures have the API's envelope. With S3
they are not mounted, because bytes do not pass through the API.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC
from email.utils import format_datetime
from functools import partial
from typing import Any, BinaryIO, Final
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
import msgspec
from litestar import Request, Router, put, route
from litestar.enums import HttpMethod
from litestar.exceptions import InternalServerException
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

from api.http.byte_range import UnsatisfiableRangeError, choose_range, is_unchanged
from api.http.errors import failure
from storage.files import Draft
from storage.local import DEFAULT_CONTENT_TYPE, MAX_BYTES, LocalStore
from storage.multipart import MAX_PUT_BYTES
from storage.signing import SignatureError
from storage.store import (
    InvalidKeyError,
    InvalidPartError,
    ObjectNotFoundError,
    ObjectStat,
    PartBusyError,
    PartTooLargeError,
    StorageError,
    StorageFullError,
)

SEND_BYTES: Final = 512 * 1024  # one call in a thread for each half megabyte sent
WRITE_BYTES: Final = 1024 * 1024  # one call in a thread for each megabyte received
IDLE_TIMEOUT_S: Final = 60.0  # a client that sends nothing for this long is gone
LEAST_RATE_BYTES_S: Final = 4 * 1024
"""Least bytes in each IDLE_TIMEOUT_S. Even slow mobile connections are faster; a slower client would block a draft."""

TURN_TIMEOUT_S: Final = 30.0
TURN_POLL_S: Final = 0.2
BUSY_RETRY_S: Final = 5
RETRY_S: Final = 5
FULL_RETRY_S: Final = 900
_CLOSE: Final = {"Connection": "close"}  # the rest of the body is not read
# At the API's origin, a browser could run scripts from anything but plain media.
_INLINE_TYPE = re.compile(r"(?:video|audio)/[\w.+-]+|image/(?:jpeg|png|webp|gif|avif)", re.ASCII)


class _Refused(Exception):  # noqa: N818 - an answer, not an error of the program
    """Ends the request with this status and failure."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def storage_router(buckets: Mapping[str, LocalStore]) -> Router:
    """Return the routes below `/storage` for URLs that these buckets have signed, by bucket name."""

    @route("/{bucket:str}/{key:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
    async def read_object(request: Request[Any, Any, Any], bucket: FromPath[str]) -> ASGIResponse:
        try:
            store, key, query = _signed_target(buckets, request, bucket)
            file, described = await anyio.to_thread.run_sync(store.open_with_stat, key)
            return _object_response(request, file, described, query)
        except _Refused as refused:
            return _failure(refused, is_head=request.method == "HEAD")
        except StorageError as error:
            return _failure(_refusal_of(error), is_head=request.method == "HEAD")

    @put("/{bucket:str}/{key:path}", include_in_schema=False, request_max_body_size=None)
    async def write_object(request: Request[Any, Any, Any], bucket: FromPath[str]) -> ASGIResponse:
        try:
            store, key, query = _signed_target(buckets, request, bucket)
            etag = await _store_body(request, store, key, query)
        except _Refused as refused:
            return _failure(refused)
        except StorageError as error:
            return _failure(_refusal_of(error))
        return ASGIResponse(status_code=200, headers={"ETag": f'"{etag}"'})

    return Router("/storage", route_handlers=[read_object, write_object], include_in_schema=False)


def _signed_target(
    buckets: Mapping[str, LocalStore], request: Request[Any, Any, Any], bucket: str
) -> tuple[LocalStore, str, dict[str, str]]:
    """Return the store, key and query of a request with a valid signature."""
    store = buckets.get(bucket)
    if store is None:
        raise _Refused(404, "not_found", "There is no such bucket.")
    # From the raw path: the signature covers the raw key, and the router normalises its parameter.
    _, _, key = request.scope["path"].partition(f"/storage/{bucket}/")
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise _Refused(403, "forbidden", "The URL was changed: it has a parameter twice.")
    store.check_url(request.method, key, query)
    return store, key, query


def _refusal_of(error: StorageError) -> _Refused:
    match error:
        case SignatureError():
            return _Refused(403, "forbidden", str(error))
        case ObjectNotFoundError():
            return _Refused(404, "not_found", str(error))
        case PartBusyError():
            return _Refused(503, "unavailable", str(error), _CLOSE | {"Retry-After": str(BUSY_RETRY_S)})
        case PartTooLargeError():
            return _Refused(413, "payload_too_large", str(error), _CLOSE)
        case InvalidKeyError() | InvalidPartError():
            return _Refused(422, "invalid_field", str(error))
    retry_s = FULL_RETRY_S if isinstance(error, StorageFullError) else RETRY_S
    return _Refused(503, "unavailable", f"{error} Try again later.", _CLOSE | {"Retry-After": str(retry_s)})


def _failure(refused: _Refused, *, is_head: bool = False) -> ASGIResponse:
    envelope = failure(refused.code, refused.message, retryable="Retry-After" in refused.headers, details={})
    body = b"" if is_head else msgspec.json.encode(envelope)
    return ASGIResponse(
        status_code=refused.status,
        body=body,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **refused.headers},
        is_head_response=is_head,
    )


def _object_response(
    request: Request[Any, Any, Any], file: BinaryIO, described: ObjectStat, query: Mapping[str, str]
) -> ASGIResponse:
    """Return the answer to a read, which closes `file`."""
    headers = _object_headers(described, query)
    request_headers = {name.lower(): value for name, value in request.headers.items()}
    if is_unchanged(request_headers, described):
        file.close()
        return ASGIResponse(status_code=304, headers=headers)
    try:
        wanted = choose_range(request_headers, described)
    except UnsatisfiableRangeError:
        file.close()
        size = {"Content-Range": f"bytes */{described.size_bytes}"}
        raise _Refused(416, "range_not_satisfiable", "The object ends before the range begins.", size) from None
    positions = range(described.size_bytes) if wanted is None else wanted
    if wanted is not None:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{described.size_bytes}"
    headers["Content-Length"] = str(len(positions))
    if request.method == "HEAD":
        file.close()
        return _HeadResponse(status_code=200 if wanted is None else 206, headers=headers, is_head_response=True)
    return _FileResponse(file, positions, status_code=200 if wanted is None else 206, headers=headers)


def _object_headers(described: ObjectStat, query: Mapping[str, str]) -> dict[str, str]:
    content_type = query.get("response-content-type", described.content_type)
    disposition = query.get("response-content-disposition")
    if disposition is None and not _INLINE_TYPE.fullmatch(content_type):
        disposition = "attachment"
    headers = {
        "Content-Type": content_type,
        "ETag": f'"{described.etag}"',
        "Last-Modified": format_datetime(described.modified_at.astimezone(UTC), usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return headers if disposition is None else {**headers, "Content-Disposition": disposition}


class _HeadResponse(ASGIResponse):
    """The headers of an answer to HEAD; the length is that of the body."""

    _should_set_content_length = False


class _FileResponse(ASGIStreamingResponse):
    """Sends a range of a file in constant memory, and always closes the file."""

    def __init__(self, file: BinaryIO, positions: range, *, status_code: int, headers: dict[str, str]) -> None:
        media_type = headers["Content-Type"]
        super().__init__(
            iterator=_chunks(file, positions), status_code=status_code, headers=headers, media_type=media_type
        )
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _chunks(file: BinaryIO, positions: range) -> AsyncIterator[bytes]:
    file.seek(positions.start)
    left = len(positions)
    while left > 0:
        chunk = await anyio.to_thread.run_sync(file.read, min(left, SEND_BYTES))
        if not chunk:
            return
        left -= len(chunk)
        yield chunk


async def _store_body(request: Request[Any, Any, Any], store: LocalStore, key: str, query: Mapping[str, str]) -> str:
    """Receive an object or a part and return its ETag; it is stored only if every declared byte arrives."""
    size_bytes = _declared_size(request, max_bytes=int(query.get(MAX_BYTES, MAX_PUT_BYTES)))
    upload_id = query.get("uploadId")
    number = int(query.get("partNumber", "0"))
    draft: Draft
    if upload_id is None:
        draft = await anyio.to_thread.run_sync(store.new_draft)
    else:
        draft = await _new_part(partial(store.new_part, key, upload_id, number, size_bytes=size_bytes))
    try:
        await _receive(request, draft, size_bytes)
        if upload_id is None:
            content_type = request.headers.get("content-type", DEFAULT_CONTENT_TYPE)
            publish = partial(store.publish, draft, key, content_type=content_type)
            return (await anyio.to_thread.run_sync(publish)).etag
        return (await anyio.to_thread.run_sync(store.publish_part, draft, key, upload_id, number)).etag
    finally:
        draft.discard()


async def _new_part(begin: Callable[[], Draft]) -> Draft:
    """Begin to write a part; if another request is writing it, wait before reading the body."""
    gives_up_at = anyio.current_time() + TURN_TIMEOUT_S
    while True:
        try:
            return await anyio.to_thread.run_sync(begin)
        except PartBusyError:
            if anyio.current_time() >= gives_up_at:
                raise
        await anyio.sleep(TURN_POLL_S)


def _declared_size(request: Request[Any, Any, Any], *, max_bytes: int) -> int:
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise _Refused(411, "length_required", "Say how many bytes will come, in Content-Length.", _CLOSE)
    if int(declared) > max_bytes:
        raise _Refused(413, "payload_too_large", f"This URL takes at most {max_bytes} bytes.", _CLOSE)
    return int(declared)


async def _receive(request: Request[Any, Any, Any], draft: Draft, size_bytes: int) -> None:
    """Write the body of the request into the draft, in large pieces to save calls in threads."""
    received, window_bytes = bytearray(), 0
    with anyio.move_on_after(IDLE_TIMEOUT_S) as idle:
        try:
            async for chunk in request.stream():
                received += chunk
                window_bytes += len(chunk)
                if len(received) >= WRITE_BYTES:
                    await anyio.to_thread.run_sync(draft.write, received)
                    received = bytearray()
                if window_bytes >= LEAST_RATE_BYTES_S * IDLE_TIMEOUT_S:
                    window_bytes, idle.deadline = 0, anyio.current_time() + IDLE_TIMEOUT_S
        except InternalServerException as error:  # Litestar's exception for a client that disconnects
            raise _Refused(400, "incomplete_body", "The connection ended before the body did.") from error
        await anyio.to_thread.run_sync(draft.write, received)
    if idle.cancelled_caught:
        message = f"Too little came in {IDLE_TIMEOUT_S:.0f} seconds; send it again."
        raise _Refused(408, "timed_out", message, _CLOSE)
    if draft.size_bytes != size_bytes:
        message = f"{size_bytes} bytes were declared and {draft.size_bytes} came; send it again."
        raise _Refused(400, "incomplete_body", message)
