"""Open multipart uploads in a folder: one subfolder each, with a description and a file for each part.

The name of a part's file is `part-<number>-<MD5>`, so that storing a part is one rename.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from storage.files import Draft, disk_errors, make_folder
from storage.multipart import check_part_number
from storage.space import DiskReserve
from storage.store import (
    InvalidPartError,
    ObjectNotFoundError,
    Part,
    PartBusyError,
    PartLayout,
    PartTooLargeError,
    StorageError,
)

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_PART_NAME = re.compile(r"part-(\d{5})-([0-9a-f]{32})")
_DESCRIPTION: Final = "upload.json"
_WRITERS: Final = 2
"""Requests that may write one part at once, so that a resend need not wait for a connection that died silently."""


class Upload(Struct, frozen=True, kw_only=True):
    """The description of an open upload."""

    key: str
    content_type: str
    initiated_at: datetime
    layout: PartLayout | None = None


class StoredPart(Struct, frozen=True, kw_only=True):
    """A part and its file. If two files have the same number, the later `order` (time, name) counts."""

    part: Part
    path: Path
    order: tuple[int, str]


class PartDraft(Draft):
    """A part being written, `limit_bytes` at most. It holds one of the part's turns until it is discarded."""

    def __init__(self, folder: Path, number: int, *, limit_bytes: int | None, reserve: DiskReserve | None) -> None:
        self._turn = _take_turn(folder, number)
        self._limit_bytes = limit_bytes
        try:
            super().__init__(folder, reserve=reserve)
        except StorageError:
            os.close(self._turn)
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append bytes; PartTooLargeError, with nothing written, when the part would exceed its limit."""
        if self._limit_bytes is not None and self.size_bytes + len(data) > self._limit_bytes:
            raise PartTooLargeError(f"The part has more than its {self._limit_bytes} bytes.")
        super().write(data)

    def discard(self) -> None:
        """Delete the draft and give up the turn; harmless after `publish`."""
        super().discard()
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1


class UploadFolder:
    """All open uploads of one bucket."""

    def __init__(self, folder: Path, *, reserve: DiskReserve | None = None) -> None:
        make_folder(folder)
        self._folder = folder
        self._reserve = reserve

    def create(self, upload: Upload) -> str:
        """Begin an upload and return its id."""
        upload_id = secrets.token_hex(16)
        folder = self._folder / upload_id
        make_folder(folder)
        with Draft(folder) as draft:
            draft.write(msgspec.json.encode(upload))
            draft.seal()
            draft.publish(folder / _DESCRIPTION)
        return upload_id

    def get(self, key: str, upload_id: str) -> Upload:
        """Return an open upload of this key; ObjectNotFoundError when it does not exist."""
        upload = _read(self._folder / upload_id) if _UPLOAD_ID.fullmatch(upload_id) else None
        if upload is None or upload.key != key:
            raise ObjectNotFoundError(f"There is no open upload {upload_id!r} for this object.")
        return upload

    def walk(self) -> Iterator[tuple[str, Upload]]:
        """Yield (id, upload) of all open uploads."""
        for folder in sorted(self._folder.iterdir()):
            upload = _read(folder)
            if upload:
                yield folder.name, upload

    def new_part(self, upload_id: str, upload: Upload, number: int, size_bytes: int) -> PartDraft:
        """Begin to write a part of an upload that `get` has returned.

        InvalidPartError when the upload has no such part, PartTooLargeError when the part is longer than announced,
        PartBusyError while two other requests write it.
        """
        check_part_number(number)
        layout = upload.layout
        if layout is not None:
            _check_layout(layout, number, size_bytes)
        limit_bytes = layout.length_of(number) if layout else None
        return PartDraft(self._folder / upload_id, number, limit_bytes=limit_bytes, reserve=self._reserve)

    def publish_part(self, draft: Draft, upload_id: str, number: int) -> Part:
        """Store a written part, replacing an earlier one of the same number."""
        part = Part(number=check_part_number(number), etag=draft.etag, size_bytes=draft.size_bytes)
        folder = self._folder / upload_id
        draft.seal()
        draft.publish(folder / f"part-{number:05d}-{part.etag}")
        _drop_older(folder, number)
        return part

    def stored_parts(self, upload_id: str) -> list[StoredPart]:
        """Return the parts stored so far, by number."""
        newest: dict[int, StoredPart] = {}
        for path in (self._folder / upload_id).glob("part-*"):
            with suppress(FileNotFoundError):  # replaced by a newer one, or swept, since the listing
                stored = _stored_part(path)
                known = stored and newest.get(stored.part.number)
                if stored is not None and (known is None or known.order < stored.order):
                    newest[stored.part.number] = stored
        return [newest[number] for number in sorted(newest)]

    @contextmanager
    def locked(self, key: str, upload_id: str) -> Iterator[Upload]:
        """Return an open upload of this key, which no other process completes during the block.

        Waits for others; ObjectNotFoundError when the upload does not exist, or no longer after the wait.
        """
        self.get(key, upload_id)
        try:
            folder = os.open(self._folder / upload_id, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ObjectNotFoundError(f"There is no open upload {upload_id!r} for this object.") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield self.get(key, upload_id)
        finally:
            os.close(folder)

    def drop(self, upload_id: str) -> None:
        """Remove an upload that `get` has returned, with its parts."""
        folder = self._folder / upload_id
        # Delete the description first: a folder without it is not an open upload, even if the removal is interrupted.
        (folder / _DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def pending_bytes(self) -> int:
        """Return the bytes that open uploads may still need: announced parts that are missing, and the final copy."""
        return sum(self._pending(upload_id, upload.layout) for upload_id, upload in self.walk() if upload.layout)

    def _pending(self, upload_id: str, layout: PartLayout) -> int:
        stored_bytes = sum(stored.part.size_bytes for stored in self.stored_parts(upload_id))
        return max(0, 2 * layout.size_bytes - stored_bytes)

    def leftovers(self) -> list[Path]:
        """Return the files and folders of writers that died: drafts of parts, and folders without a description."""
        halves = [folder for folder in self._folder.iterdir() if _read(folder) is None]
        return [*self._folder.glob("*/draft-*"), *halves]


def _read(folder: Path) -> Upload | None:
    try:
        return msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=Upload)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def _take_turn(folder: Path, number: int) -> int:
    """Return the descriptor of a locked file; the lock ends with it, also when the process dies."""
    for turn in range(_WRITERS):
        with disk_errors("The file could not be opened"):
            path = folder / f"turn-{number:05d}-{turn}"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return descriptor
    raise PartBusyError(f"Part {number} is being sent by other requests; wait for one of them to end.")


def _check_layout(layout: PartLayout, number: int, size_bytes: int) -> None:
    if number > layout.count:
        raise InvalidPartError(f"Part {number} does not exist: this upload has parts 1 to {layout.count}.")
    if size_bytes > (most := layout.length_of(number)):
        raise PartTooLargeError(
            f"Part {number} of this upload has at most {most} bytes, not {size_bytes}. Cut the file into the announced "
            "parts, or announce it again with its true size."
        )


def _age_order(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _drop_older(folder: Path, number: int) -> None:
    """Remove all files of a part but the newest. Files of the same content have the same name, so one of them stays."""
    found = [(order, path) for path in folder.glob(f"part-{number:05d}-*") if (order := _find_order(path))]
    for _, path in sorted(found)[:-1]:
        # Another request may have stored this content again since the listing.
        if (order := _find_order(path)) and order < max(found)[0]:
            path.unlink(missing_ok=True)


def _find_order(path: Path) -> tuple[int, str] | None:
    try:
        return _age_order(path)
    except FileNotFoundError:
        return None


def _stored_part(path: Path) -> StoredPart | None:
    """Read a part from its file name; None for another kind of file."""
    match = _PART_NAME.fullmatch(path.name)
    if match is None:
        return None
    part = Part(number=int(match[1]), etag=match[2], size_bytes=path.stat().st_size)
    return StoredPart(part=part, path=path, order=_age_order(path))
