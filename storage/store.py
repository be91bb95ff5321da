"""The storage protocol, which every adapter implements."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct


class StorageError(Exception):
    """The store failed; trying again may help."""


class ObjectNotFoundError(StorageError):
    """The object or the open upload does not exist."""


class InvalidPartError(StorageError):
    """A completion names a part that is missing, out of order or too small, or that has another ETag."""


class PartTooLargeError(InvalidPartError):
    """A part is larger than announced."""


class PartBusyError(StorageError):
    """Other requests are storing the same part of an upload at this moment."""


class InvalidKeyError(StorageError):
    """The key is empty, too long or absolute, or has a segment such as `..`."""


class StorageFullError(StorageError):
    """The disk is full, or the bytes would use the space reserved for the rest of the service."""


class ObjectStat(Struct, frozen=True, kw_only=True):
    """Metadata of one object. `content_type` is empty in listings, because S3 does not send it there."""

    key: str
    size_bytes: int
    etag: str
    content_type: str
    modified_at: datetime


class Part(Struct, frozen=True, kw_only=True):
    """One stored part of a multipart upload; numbers start at 1."""

    number: int
    etag: str
    size_bytes: int


class PartTag(Struct, frozen=True, kw_only=True):
    """The number and ETag that a client sends back for a part it has stored."""

    number: int
    etag: str


class PartLayout(Struct, frozen=True, kw_only=True):
    """The division of an object of known size: all parts except the last have `part_bytes`."""

    size_bytes: int
    part_bytes: int

    @property
    def count(self) -> int:
        """The number of parts; an empty object has one empty part."""
        return max(1, -(-self.size_bytes // self.part_bytes))

    def offset_of(self, number: int) -> int:
        """Return the position of a part in the object."""
        return self.part_bytes * (number - 1)

    def length_of(self, number: int) -> int:
        """Return the length of a part in bytes; 0 after the last one."""
        return max(0, min(self.part_bytes, self.size_bytes - self.offset_of(number)))


class OpenUpload(Struct, frozen=True, kw_only=True):
    """A multipart upload that is neither completed nor aborted."""

    key: str
    upload_id: str
    initiated_at: datetime


class Store(Protocol):
    """One bucket of an object store. Keys are relative, `/`-separated, never empty, without `.` or `..` segments."""

    bucket: str

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> ObjectStat:
        """Store a small object in one request."""

    def put_file(self, key: str, path: Path, *, content_type: str) -> ObjectStat:
        """Store a local file, in parts when it is large; constant memory."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (0-based); fewer at the end of the object."""

    def open(self, key: str) -> BinaryIO:
        """Open the whole object as a forward-only stream; the caller closes it."""

    def get_file(self, key: str, path: Path) -> ObjectStat:
        """Copy an object into a local file; constant memory."""

    def stat(self, key: str) -> ObjectStat:
        """Describe an object; ObjectNotFoundError when it does not exist."""

    def list_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """List objects whose key starts with `prefix`, in key order."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""

    def presign_get(
        self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object (byte ranges allowed) until it expires.

        With `filename` the answer carries `Content-Disposition: attachment` with that name (any Unicode).
        """

    def presign_put(self, key: str, *, expires_s: int, max_bytes: int | None = None) -> str:
        """Return a URL that stores one object by PUT until it expires.

        With `max_bytes` a store may refuse a larger one as soon as it is sent. S3 does not: check what was stored.
        """

    def child_source(self, key: str, *, expires_s: int) -> str:
        """Return the location that a media child opens: a presigned URL, or a local path."""

    def create_multipart(self, key: str, *, content_type: str, layout: PartLayout | None = None) -> str:
        """Begin a multipart upload and return its id.

        With a `layout` a store may refuse a part that is larger than announced as soon as it is sent. S3 does not:
        check the sizes of the parts before completing.
        """

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """Return a URL that stores one part by PUT until it expires; the completion needs the ETag of its answer."""

    def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far, by number; ObjectNotFoundError when the upload is not open."""

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        """Join the parts into the object; InvalidPartError when a part is missing or its ETag differs."""

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; ignored when it is not open."""

    def list_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """List multipart uploads that are still open."""

    def require_space(self, size_bytes: int) -> None:
        """Raise StorageFullError unless these bytes fit beside what open uploads may still bring.

        Open uploads count with their announced size. S3 always has room.
        """

    def discard_leftovers(self, older_than: datetime) -> int:
        """Remove files of writers that died before that time; return how many. S3 needs no such sweep."""

    def ping(self) -> None:
        """Raise StorageError unless the bucket answers."""
