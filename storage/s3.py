"""An S3 bucket as an object store, through the MinIO client.

minio-py has no public multipart calls. The version that has the private ones used here is pinned, and
`tests/integration/test_storage_contract*.py` covers them.
"""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import urllib3
from minio import Minio
from minio.datatypes import ListMultipartUploadsResult
from minio.datatypes import Part as MinioPart
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.helpers import check_bucket_name

from storage.keys import answer_headers, check_key
from storage.multipart import MAX_PUT_BYTES, check_part_number, check_parts, find_joined, plain_etag
from storage.s3_client import NOT_FOUND, RangeError, S3Access, connect, wrapped_errors
from storage.signing import check_expires
from storage.store import (
    ObjectNotFoundError,
    ObjectStat,
    OpenUpload,
    Part,
    PartLayout,
    PartTag,
    StorageError,
)

CHUNK_BYTES: Final = 1024 * 1024
PUT_PART_BYTES: Final = 16 * 1024 * 1024  # 10,000 parts hold 156 GiB, and a few at a time fit into any worker's memory
PUT_PARALLEL: Final = 2  # one part is sent while the next one is read and hashed


class S3Store:
    """One bucket of an S3-compatible service. `page_size` is how many parts or uploads one listing request asks for."""

    def __init__(self, access: S3Access, *, bucket: str, page_size: int = 1000) -> None:
        with wrapped_errors(f"Bucket {bucket!r}"):
            check_bucket_name(bucket, strict=True)
        self.bucket = bucket
        self._page_size = page_size
        self._client = connect(access, endpoint=access.endpoint, secure=access.secure)
        self._public_client = self._client
        if access.public_endpoint:
            self._public_client = connect(access, endpoint=access.public_endpoint, secure=access.public_secure)
        self._region = access.region

    def ensure_bucket(self) -> None:
        """Create the bucket if it is missing."""
        with wrapped_errors(f"Bucket {self.bucket!r}"):
            if self._client.bucket_exists(self.bucket):
                return
            try:
                self._client.make_bucket(self.bucket, location=self._region)
            except S3Error as error:
                if error.code != "BucketAlreadyOwnedByYou":
                    raise

    # Objects

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> ObjectStat:
        """Store a small object in one request."""
        return self._put(key, io.BytesIO(data), len(data), content_type=content_type, part_bytes=MAX_PUT_BYTES)

    def put_file(self, key: str, path: Path, *, content_type: str) -> ObjectStat:
        """Store a local file, in parts when it is large; constant memory."""
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            return self._put(key, file, size_bytes, content_type=content_type, part_bytes=PUT_PART_BYTES)

    def _put(self, key: str, data: BinaryIO, size_bytes: int, *, content_type: str, part_bytes: int) -> ObjectStat:
        with wrapped_errors(f"Object {key!r}"):
            result = self._client.put_object(
                self.bucket,
                check_key(key),
                data,
                size_bytes,
                content_type=content_type,
                part_size=part_bytes,
                num_parallel_uploads=PUT_PARALLEL,
            )
            headers = result.http_headers
        return ObjectStat(
            key=key,
            size_bytes=size_bytes,
            etag=plain_etag(result.etag or ""),
            content_type=content_type,
            modified_at=_http_date(headers.get("Date")),
        )

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (0-based); fewer at the end of the object."""
        if start < 0 or length < 0:
            raise ValueError("start and length must not be negative")
        if length == 0:
            self.stat(key)  # S3 has no empty range, but a missing object is still an error
            return b""
        try:
            with wrapped_errors(f"Object {key!r}"), self._get(key, start, length) as response:
                return response.read()
        except RangeError:
            return b""

    def open(self, key: str) -> BinaryIO:
        """Open the whole object as a forward-only stream; the caller closes it."""
        with wrapped_errors(f"Object {key!r}"):
            response = self._client.get_object(self.bucket, check_key(key))
        return cast("BinaryIO", io.BufferedReader(_Body(key, response), CHUNK_BYTES))

    def get_file(self, key: str, path: Path) -> ObjectStat:
        """Copy an object into a local file, which is removed if the copy fails."""
        try:
            with wrapped_errors(f"Object {key!r}"), self._get(key) as response, path.open("wb") as file:
                for chunk in response.stream(CHUNK_BYTES):
                    file.write(chunk)
                return _stat_of_headers(key, response.headers)
        except StorageError:
            path.unlink(missing_ok=True)
            raise

    @contextmanager
    def _get(self, key: str, start: int = 0, length: int = 0) -> Iterator[urllib3.BaseHTTPResponse]:
        response = self._client.get_object(self.bucket, check_key(key), offset=start, length=length)
        try:
            yield response
        finally:
            response.close()
            response.release_conn()

    def stat(self, key: str) -> ObjectStat:
        """Describe an object; ObjectNotFoundError when it does not exist."""
        with wrapped_errors(f"Object {key!r}"):
            found = self._client.stat_object(self.bucket, check_key(key))
        return ObjectStat(
            key=key,
            size_bytes=found.size or 0,
            etag=plain_etag(found.etag or ""),
            content_type=found.content_type or "",
            modified_at=found.last_modified or datetime.now(UTC),
        )

    def list_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """List objects whose key starts with `prefix`, in key order."""
        with wrapped_errors(f"Objects below {prefix!r}"):
            for found in self._client.list_objects(self.bucket, prefix=prefix, recursive=True):
                yield ObjectStat(
                    key=cast("str", found.object_name),
                    size_bytes=found.size or 0,
                    etag=plain_etag(found.etag or ""),
                    content_type="",
                    modified_at=found.last_modified or datetime.now(UTC),
                )

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, a thousand per request; missing ones are ignored."""
        with wrapped_errors("Objects"):
            wanted = [DeleteObject(check_key(key)) for key in keys]
            errors = [e for e in self._client.remove_objects(self.bucket, wanted) if e.code not in NOT_FOUND]
        if errors:
            raise StorageError(f"{len(errors)} objects could not be deleted, the first because: {errors[0].message}.")

    # URLs

    def presign_get(
        self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object (byte ranges allowed) until it expires."""
        query = answer_headers(filename, content_type)
        return self._presign(self._public_client, "GET", key, query, expires_s=expires_s)

    def presign_put(self, key: str, *, expires_s: int, max_bytes: int | None = None) -> str:  # noqa: ARG002 - S3 has no such limit for a PUT
        """Return a URL that stores one object by PUT until it expires."""
        return self._presign(self._public_client, "PUT", key, {}, expires_s=expires_s)

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """Return a URL that stores one part by PUT until it expires; the completion needs the ETag of its answer."""
        query = {"partNumber": str(check_part_number(number)), "uploadId": upload_id}
        return self._presign(self._public_client, "PUT", key, query, expires_s=expires_s)

    def child_source(self, key: str, *, expires_s: int) -> str:
        """Return a URL of the internal endpoint, because children run where the workers run."""
        return self._presign(self._client, "GET", key, {}, expires_s=expires_s)

    def _presign(self, client: Minio, method: str, key: str, query: dict[str, str], *, expires_s: int) -> str:
        expires = timedelta(seconds=check_expires(expires_s))
        return client.get_presigned_url(method, self.bucket, check_key(key), expires, extra_query_params={**query})

    # Multipart uploads

    def create_multipart(
        self,
        key: str,
        *,
        content_type: str,
        layout: PartLayout | None = None,  # noqa: ARG002 - S3 has no place for it
    ) -> str:
        """Begin a multipart upload and return its id."""
        with wrapped_errors(f"Object {key!r}"):
            return self._client._create_multipart_upload(  # noqa: SLF001 - see the module's docstring
                self.bucket, check_key(key), {"Content-Type": content_type}
            )

    def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far, by number; ObjectNotFoundError when the upload is not open."""
        parts: list[Part] = []
        marker: str | None = None
        while True:
            with wrapped_errors(f"Upload {upload_id!r}"):
                page = self._client._list_parts(  # noqa: SLF001 - see the module's docstring
                    self.bucket, check_key(key), upload_id, self._page_size, part_number_marker=marker
                )
            parts += [_part(part) for part in page.parts]
            marker = page.next_part_number_marker
            if not page.is_truncated or not marker:
                return parts

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        """Join the parts into the object; InvalidPartError when a part is missing or its ETag differs.

        Repeating a completion whose answer was lost returns the object again.
        """
        try:
            chosen = check_parts(self.list_parts(key, upload_id), parts)
            wanted = [MinioPart(part.number, part.etag) for part in chosen]
            with wrapped_errors(f"Upload {upload_id!r}"):
                result = self._client._complete_multipart_upload(  # noqa: SLF001 - see the module's docstring
                    self.bucket, key, upload_id, wanted
                )
        except ObjectNotFoundError:
            completed = find_joined(self.stat, key, parts)
            if completed is None:
                raise
            return completed
        if not result.etag:
            # S3 may send status 200 early to keep the connection alive, and fail afterwards.
            raise StorageError(f"The service could not join the parts of {key!r}; try again.")
        return self.stat(key)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; ignored when it is not open."""
        with suppress(ObjectNotFoundError), wrapped_errors(f"Upload {upload_id!r}"):
            self._client._abort_multipart_upload(  # noqa: SLF001 - see the module's docstring
                self.bucket, check_key(key), upload_id
            )

    def list_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """List multipart uploads that are still open."""
        markers: dict[str, str] = {}
        while True:
            page = self._list_uploads_page(prefix, markers)
            for upload in page.uploads:
                yield OpenUpload(
                    key=upload.object_name,
                    upload_id=upload.upload_id or "",
                    initiated_at=upload.initiated_time or datetime.now(UTC),
                )
            if not page.is_truncated or not page.next_key_marker:
                return
            markers = {"key-marker": page.next_key_marker}
            # minio-py 7.2.20 sets this marker under a name with a stray "self._".
            upload_id_marker = page.next_upload_id_marker or getattr(page, "self._next_upload_id_marker", None)
            if upload_id_marker:
                markers["upload-id-marker"] = upload_id_marker

    def _list_uploads_page(self, prefix: str, markers: dict[str, str]) -> ListMultipartUploadsResult:
        # The client's `_list_multipart_uploads` always sends an empty delimiter, which Swift does not ignore.
        query = {
            "uploads": "",
            "prefix": prefix,
            "max-uploads": str(self._page_size),
            "encoding-type": "url",
            **markers,
        }
        with wrapped_errors("Open uploads"):
            response = self._client._execute(  # noqa: SLF001 - see the module's docstring
                "GET", self.bucket, query_params={**query}
            )
            return ListMultipartUploadsResult(response)

    def require_space(self, size_bytes: int) -> None:
        """Return at once: S3 has room for any size."""

    def discard_leftovers(self, older_than: datetime) -> int:  # noqa: ARG002 - the protocol's signature
        """Return 0: S3 itself removes leftovers of dead writers."""
        return 0

    def ping(self) -> None:
        """Raise StorageError unless the bucket answers."""
        with wrapped_errors(f"Bucket {self.bucket!r}"):
            if not self._client.bucket_exists(self.bucket):
                raise StorageError(f"There is no bucket {self.bucket!r}.")


class _Body(io.RawIOBase):
    """The body of an answer as a raw stream that raises our errors and returns its connection when closed."""

    def __init__(self, key: str, response: urllib3.BaseHTTPResponse) -> None:
        self._key = key
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with wrapped_errors(f"Object {self._key!r}"):
            data = self._response.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


def _part(part: MinioPart) -> Part:
    return Part(number=part.part_number, etag=plain_etag(part.etag), size_bytes=part.size or 0)


def _stat_of_headers(key: str, headers: urllib3.HTTPHeaderDict) -> ObjectStat:
    return ObjectStat(
        key=key,
        size_bytes=int(headers.get("Content-Length", "0")),
        etag=plain_etag(headers.get("ETag", "")),
        content_type=headers.get("Content-Type", ""),
        modified_at=_http_date(headers.get("Last-Modified")),
    )


def _http_date(value: str | None) -> datetime:
    if value is None:
        return datetime.now(UTC)
    return parsedate_to_datetime(value)
