"""A local folder as an object store, with the same guarantees as S3, on the disk of one machine.

Layout below `root/bucket`: `objects/<key>` holds the bytes, `facts/<key>` their content type and ETag, `uploads/<id>`
open multipart uploads, and `drafts` files being written. A crash leaves an object complete or absent, and at most
drafts, which `discard_leftovers` removes.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec import Struct

from storage.files import (
    CHUNK_BYTES,
    Draft,
    disk_errors,
    make_folder,
    open_regular,
    remove,
    resolve_below,
    walk,
)
from storage.keys import answer_headers, check_key
from storage.multipart import check_part_number, check_parts, find_joined, joined_etag
from storage.signing import UrlSigner, check_expires
from storage.space import DiskReserve
from storage.store import (
    InvalidKeyError,
    ObjectNotFoundError,
    ObjectStat,
    OpenUpload,
    Part,
    PartLayout,
    PartTag,
    StorageError,
)
from storage.uploads import Upload, UploadFolder

MAX_BYTES: Final = "maxBytes"
"""The parameter of a signed URL that limits the size of an upload."""
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
_CONTENT_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(?:[;,= \w.+\"'-]{0,120})?", re.ASCII)
_SETTLE_TRIES: Final = 20  # an overwrite takes two renames; a reader between them looks again
_SETTLE_S: Final = 0.002


class _Facts(Struct, frozen=True):
    """Metadata of an object that the file system does not store; size and time show which bytes it describes."""

    content_type: str
    etag: str
    size_bytes: int
    modified_ns: int


class LocalStore:
    """One bucket in a folder, with expiring signed URLs below `base_url` (see `api.routes.storage`).

    Safe for many threads and processes on one machine. Unlike in S3, the keys `a` and `a/b` cannot both exist; we use
    no such keys.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        root: Path,
        *,
        bucket: str,
        base_url: str,
        secret: bytes,
        reserve_bytes: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_key(bucket)
        folder = root / bucket
        make_folder(folder)
        self.bucket = bucket
        self._folder = folder.resolve()
        self._objects = self._folder / "objects"
        self._facts = self._folder / "facts"
        self._drafts = self._folder / "drafts"
        for part in (self._objects, self._facts, self._drafts):
            make_folder(part)
        self._reserve = DiskReserve(self._folder, reserve_bytes)
        self._uploads = UploadFolder(self._folder / "uploads", reserve=self._reserve)
        self._signer = UrlSigner(base_url, secret)
        self._clock = clock

    # Objects

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> ObjectStat:
        """Store a small object, even in the reserve, since it is small enough for memory."""
        with Draft(self._drafts) as draft:
            draft.write(data)
            return self.publish(draft, key, content_type=content_type)

    def put_file(self, key: str, path: Path, *, content_type: str) -> ObjectStat:
        """Store a local file by copying it; constant memory."""
        with self.new_draft() as draft, path.open("rb", buffering=0) as source:
            while chunk := source.read(CHUNK_BYTES):
                draft.write(chunk)
            return self.publish(draft, key, content_type=content_type)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Return up to `length` bytes from `start` (0-based); fewer at the end of the object."""
        if start < 0 or length < 0:
            raise ValueError("start and length must not be negative")
        with open_regular(self._path(key)) as file:
            file.seek(start)
            return _read_full(file, min(length, max(0, os.fstat(file.fileno()).st_size - start)))

    def open(self, key: str) -> BinaryIO:
        """Open the whole object; the caller closes it."""
        return open_regular(self._path(key))

    def open_with_stat(self, key: str) -> tuple[BinaryIO, ObjectStat]:
        """Open an object together with the metadata of exactly these bytes, even while it is being replaced."""
        path = self._path(key)
        for _ in range(_SETTLE_TRIES):
            file = open_regular(path)
            described = os.fstat(file.fileno())
            facts = self._read_facts(key)
            if facts and (facts.size_bytes, facts.modified_ns) == (described.st_size, described.st_mtime_ns):
                return file, _object_stat(key, facts)
            file.close()
            time.sleep(_SETTLE_S)
        file = open_regular(path)
        return file, _object_stat(key, self._restore_facts(key, file))

    def get_file(self, key: str, path: Path) -> ObjectStat:
        """Copy an object into a local file, which is removed if the copy fails."""
        source, described = self.open_with_stat(key)
        with source:
            try:
                with disk_errors(f"{key!r} could not be copied"), path.open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
            except StorageError:
                path.unlink(missing_ok=True)
                raise
        return described

    def stat(self, key: str) -> ObjectStat:
        """Describe an object; ObjectNotFoundError when it does not exist."""
        file, described = self.open_with_stat(key)
        file.close()
        return described

    def list_objects(self, prefix: str) -> Iterator[ObjectStat]:
        """List objects whose key starts with `prefix`, in key order; a deleted one may be missing."""
        for key, _ in walk(self._objects, prefix):
            # Another program may have put a file here whose name is not a valid key.
            with suppress(ObjectNotFoundError, InvalidKeyError):
                yield msgspec.structs.replace(self.stat(key), content_type="")

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are ignored."""
        for key in keys:
            with disk_errors(f"{key!r} could not be deleted"):
                remove(self._path(key), up_to=self._objects)
                remove(resolve_below(self._facts, key), up_to=self._facts)

    # URLs

    def presign_get(
        self, key: str, *, expires_s: int, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a URL that reads the object (byte ranges allowed) until it expires."""
        return self._sign("GET", key, answer_headers(filename, content_type), expires_s)

    def presign_put(self, key: str, *, expires_s: int, max_bytes: int | None = None) -> str:
        """Return a URL that stores one object of at most `max_bytes` by PUT until it expires."""
        return self._sign("PUT", key, {} if max_bytes is None else {MAX_BYTES: str(max_bytes)}, expires_s)

    def presign_part(self, key: str, upload_id: str, number: int, *, expires_s: int) -> str:
        """Return a URL that stores one part by PUT until it expires; the completion needs the ETag of its answer."""
        query = {"partNumber": str(check_part_number(number)), "uploadId": upload_id}
        return self._sign("PUT", key, query, expires_s)

    def _sign(self, method: str, key: str, query: Mapping[str, str], expires_s: int) -> str:
        expires_at = int(self._clock()) + check_expires(expires_s)
        return self._signer.sign(method, self.bucket, check_key(key), query, expires_at=expires_at)

    def check_url(self, method: str, key: str, query: Mapping[str, str]) -> None:
        """Raise SignatureError unless this store has signed the request and the URL has not expired."""
        # Players also send HEAD to a URL that was signed for GET.
        signed_method = "GET" if method == "HEAD" else method
        self._signer.check(signed_method, self.bucket, key, query, now_s=self._clock())

    def child_source(self, key: str, *, expires_s: int) -> str:  # noqa: ARG002 - a path does not expire
        """Return the absolute path of the object's bytes."""
        return str(self._path(key))

    # Multipart uploads

    def create_multipart(self, key: str, *, content_type: str, layout: PartLayout | None = None) -> str:
        """Begin a multipart upload and return its id."""
        initiated_at = datetime.fromtimestamp(self._clock(), UTC)
        upload = Upload(key=check_key(key), content_type=_clean(content_type), initiated_at=initiated_at, layout=layout)
        return self._uploads.create(upload)

    def list_parts(self, key: str, upload_id: str) -> list[Part]:
        """List the parts stored so far, by number; ObjectNotFoundError when the upload is not open."""
        self._uploads.get(key, upload_id)
        return [stored.part for stored in self._uploads.stored_parts(upload_id)]

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        """Join the parts into the object; InvalidPartError when a part is missing or its ETag differs.

        Repeating a completion whose answer was lost returns the object again.
        """
        try:
            return self._join_parts(key, upload_id, parts)
        except ObjectNotFoundError:
            completed = find_joined(self.stat, key, parts)
            if completed is None:
                raise
            return completed

    def _join_parts(self, key: str, upload_id: str, parts: Sequence[PartTag]) -> ObjectStat:
        # Requests that complete the same upload at once take turns, so that its parts are copied once.
        with self._uploads.locked(key, upload_id) as upload:
            stored = {each.part.number: each for each in self._uploads.stored_parts(upload_id)}
            chosen = check_parts([each.part for each in stored.values()], parts)
            etag = joined_etag([part.etag for part in chosen])
            with self.new_draft() as draft:
                for part in chosen:
                    with open_regular(stored[part.number].path) as source:
                        draft.append_file(source, part.size_bytes)
                described = self.publish(draft, key, content_type=upload.content_type, etag=etag)
            self._uploads.drop(upload_id)
        return described

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Drop an upload and its parts; ignored when it is not open."""
        with suppress(ObjectNotFoundError):
            self._uploads.get(key, upload_id)
            self._uploads.drop(upload_id)

    def list_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """List multipart uploads that are still open."""
        for upload_id, upload in self._uploads.walk():
            if upload.key.startswith(prefix):
                yield OpenUpload(key=upload.key, upload_id=upload_id, initiated_at=upload.initiated_at)

    def require_space(self, size_bytes: int) -> None:
        """Raise StorageFullError unless these bytes fit beside those that open uploads may still bring."""
        self._reserve.require(size_bytes + self._uploads.pending_bytes())

    def ping(self) -> None:
        """Raise StorageError unless the folder exists and can be written to, even if only into the reserve."""
        with Draft(self._drafts) as draft:
            draft.write(b"ping")

    # Writing, for the routes that receive uploads

    def new_draft(self) -> Draft:
        """Begin to write an object, which exists after `publish`. Use as a context manager."""
        return Draft(self._drafts, reserve=self._reserve)

    def publish(self, draft: Draft, key: str, *, content_type: str, etag: str | None = None) -> ObjectStat:
        """Make a draft the object `key`, durably, with its metadata."""
        path = self._path(key)
        described = draft.seal()
        facts = _Facts(_clean(content_type), etag or draft.etag, described.st_size, described.st_mtime_ns)
        # Facts first: after a crash in between, the old bytes remain and their facts are computed again.
        self._write_facts(key, facts)
        draft.publish(path)
        return _object_stat(key, facts)

    def new_part(self, key: str, upload_id: str, number: int, *, size_bytes: int) -> Draft:
        """Begin to write a part of this size.

        ObjectNotFoundError when the upload is not open; InvalidPartError or PartTooLargeError when the part does not
        fit into the layout of the upload.
        """
        upload = self._uploads.get(key, upload_id)
        return self._uploads.new_part(upload_id, upload, number, size_bytes)

    def publish_part(self, draft: Draft, key: str, upload_id: str, number: int) -> Part:
        """Store a written part, replacing an earlier one of the same number."""
        self._uploads.get(key, upload_id)
        return self._uploads.publish_part(draft, upload_id, number)

    def discard_leftovers(self, older_than: datetime) -> int:
        """Remove the files and folders of writers that died; return how many."""
        removed = 0
        for path in [*self._drafts.glob("draft-*"), *self._uploads.leftovers()]:
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than.timestamp():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed += 1
        return removed

    # Inside

    def _path(self, key: str) -> Path:
        return resolve_below(self._objects, key)

    def _read_facts(self, key: str) -> _Facts | None:
        try:
            with open_regular(resolve_below(self._facts, key)) as file:
                return msgspec.json.decode(file.read(), type=_Facts)
        except (ObjectNotFoundError, msgspec.DecodeError):
            return None

    def _write_facts(self, key: str, facts: _Facts) -> None:
        # Not forced to the disk: lost facts are computed again from the bytes.
        with Draft(self._drafts) as draft:
            draft.write(msgspec.json.encode(facts))
            draft.publish(resolve_below(self._facts, key), durable=False)

    def _restore_facts(self, key: str, file: BinaryIO) -> _Facts:
        """Compute missing facts from the bytes, after a crash between two renames or a restored backup."""
        described = os.fstat(file.fileno())
        old = self._read_facts(key)
        etag = _md5_of(file)
        file.seek(0)
        content_type = old.content_type if old else DEFAULT_CONTENT_TYPE
        facts = _Facts(content_type, etag, described.st_size, described.st_mtime_ns)
        self._write_facts(key, facts)
        return facts


def _read_full(file: BinaryIO, length: int) -> bytes:
    chunks = []
    while length > 0 and (chunk := file.read(length)):
        chunks.append(chunk)
        length -= len(chunk)
    return b"".join(chunks)


def _md5_of(file: BinaryIO) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _clean(content_type: str) -> str:
    """Return a client's content type if it is valid in a header, else the default."""
    return content_type if _CONTENT_TYPE.fullmatch(content_type) else DEFAULT_CONTENT_TYPE


def _object_stat(key: str, facts: _Facts) -> ObjectStat:
    return ObjectStat(
        key=key,
        size_bytes=facts.size_bytes,
        etag=facts.etag,
        content_type=facts.content_type,
        modified_at=datetime.fromtimestamp(facts.modified_ns / 1e9, UTC),
    )
