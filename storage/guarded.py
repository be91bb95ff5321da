"""A store that runs a check before every call that reaches the storage."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from storage.store import ObjectStat, OpenUpload, Part, PartLayout, PartTag, Store


class GuardedStore:
    """Delegates to `inner`. `check` raises if a call is not allowed now; signing a URL is no call."""

    def __init__(self, inner: Store, check: Callable[[str], None]) -> None:
        self.inner = inner
        self.bucket = inner.bucket
        self._check = check

    def _checked(self) -> Store:
        self._check("storage")
        return self.inner

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> ObjectStat:
        """Store a small object in one request."""
        return self._checked().put_bytes(key, data, content_type=content_type)

    def put_file(self, key: str, path: Path, *, content_type: str) -> ObjectStat:
        """Store a local file."""
        return self._checked().put_file(key, path, content_type=content_type)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start`."""
        return self._checked().get_range(key, start, length)

    def open(self, key: str) -> BinaryIO:
        """Open the whole object as a stream."""
        return self._checked().open(key)

    def get_file(self, key: str, path: Path) -> ObjectStat:
        """Copy an object into a local file."""
        return self._checked().get_file(key, path)

    def stat(self, key: str) -> ObjectStat:
        """Describe an object."""
        return self._checked().stat(key)

    def list_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """List objects whose key starts with `prefix`."""
        return self._checked().list_objects(prefix)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        self._checked().delete(keys)

    def presign_get(
        self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object."""
        return self.inner.presign_get(key, expires_s=expires_s, filename=filename, content_type=content_type)

    def presign_put(self, key: str, *, expires_s: int, max_bytes: int | None = None) -> str:
        """Return a URL that stores the object."""
        return self.inner.presign_put(key, expires_s=expires_s, max_bytes=max_bytes)

    def child_source(self, key: str, *, expires_s: int) -> str:
        """Return the location that a media child opens."""
        return self.inner.child_source(key, expires_s=expires_s)

    def create_multipart(self, key: str, *, content_type: str, layout: PartLayout | None = None) -> str:
        """Begin a multipart upload and return its id."""
        return self._checked().create_multipart(key, content_type=content_type, layout=layout)

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """Return a URL that stores one part."""
        return self.inner.presign_part(key, upload_id, number, expires_s=expires_s)

    def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far."""
        return self._checked().list_parts(key, upload_id)

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        """Join the parts into the object."""
        return self._checked().complete_multipart(key, upload_id, parts)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts."""
        self._checked().abort_multipart(key, upload_id)

    def list_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """List multipart uploads that are still open."""
        return self._checked().list_uploads(prefix)

    def require_space(self, size_bytes: int) -> None:
        """Raise StorageFullError unless these bytes fit."""
        self._checked().require_space(size_bytes)

    def discard_leftovers(self, older_than: datetime) -> int:
        """Remove files of writers that died."""
        return self._checked().discard_leftovers(older_than)

    def ping(self) -> None:
        """Raise StorageError unless the bucket answers."""
        self._checked().ping()
