"""The storage protocol: what the rest of the system may ask of an object store."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from msgspec import Struct


class StorageError(Exception):
    """The store could not do what it was asked; trying again may help."""


class ObjectNotFoundError(StorageError):
    """There is no object (or no open upload) under this name."""


class InvalidPartError(StorageError):
    """A multipart upload was completed with a part that is missing, out of order, too small or of another ETag."""


class PartTooLargeError(InvalidPartError):
    """A part has more bytes than its place in the object."""


class PartBusyError(StorageError):
    """Other requests are storing the same part of an upload at this moment."""


class InvalidKeyError(StorageError):
    """This cannot be the key of an object: empty, too long, absolute, or with a segment that leads elsewhere."""


class StorageFullError(StorageError):
    """There is no room for these bytes, or would be none for the rest of the service."""


class ObjectStat(Struct, frozen=True, kw_only=True):
    """What the store knows of one object. `content_type` is empty in listings: S3 does not send it there."""

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
    """What a client sends back for a part it has stored."""

    number: int
    etag: str


class PartLayout(Struct, frozen=True, kw_only=True):
    """How an object of known size is cut: every part has `part_bytes` but the last, which has what is left."""

    size_bytes: int
    part_bytes: int

    @property
    def count(self) -> int:
        """How many parts there are; an empty object has one, of no bytes."""
        return max(1, -(-self.size_bytes // self.part_bytes))

    def offset_of(self, number: int) -> int:
        """Return where a part begins in the object."""
        return self.part_bytes * (number - 1)

    def length_of(self, number: int) -> int:
        """Return how many bytes a part has; 0 for one behind the last."""
        return max(0, min(self.part_bytes, self.size_bytes - self.offset_of(number)))


class OpenUpload(Struct, frozen=True, kw_only=True):
    """A multipart upload that was begun and neither completed nor aborted."""

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
        """Return up to `length` bytes from `start` (0-based); shorter at the end of the object."""

    def open(self, key: str) -> BinaryIO:
        """Open the whole object as a forward-only stream; the caller closes it."""

    def get_file(self, key: str, path: Path) -> ObjectStat:
        """Copy an object into a local file; constant memory."""

    def stat(self, key: str) -> ObjectStat:
        """Describe an object; ObjectNotFoundError when it does not exist."""

    def list_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """List objects whose key starts with `prefix`, in key order."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that does not exist is no error."""

    def presign_get(
        self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object (byte ranges allowed) until it expires.

        With `filename` the answer carries `Content-Disposition: attachment` with that name (any Unicode).
        """

    def presign_put(self, key: str, *, expires_s: int) -> str:
        """Return a URL that stores one object by PUT until it expires."""

    def child_source(self, key: str, *, expires_s: int) -> str:
        """Return what a media child opens: a presigned URL, or a local path where the bytes lie on this machine."""

    def create_multipart(self, key: str, *, content_type: str, layout: PartLayout | None = None) -> str:
        """Begin a multipart upload and return its id.

        With a `layout` a store may refuse a part that is larger than announced as soon as it is sent. S3 does not:
        check the sizes of the parts before completing.
        """

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """Return a URL that stores one part by PUT until it expires; the answer's ETag goes into completion."""

    def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far, by number; ObjectNotFoundError when the upload is not open."""

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        """Join the parts into the object; InvalidPartError when a part is missing or its ETag differs."""

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; one that is not open is no error."""

    def list_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """List multipart uploads that are still open."""

    def require_space(self, size_bytes: int) -> None:
        """Raise StorageFullError when so many bytes have no place beside what open uploads may still bring.

        An upload that is open already is counted with its announced size. S3 always has place.
        """

    def discard_leftovers(self, older_than: datetime) -> int:
        """Remove what writers that died before that time have left; return how many files. S3 does so by itself."""

    def ping(self) -> None:
        """Raise StorageError unless the bucket answers."""
