"""Open multipart uploads in a folder: one subfolder each, with a description and a file that stands for each part.

Where the upload has a layout, a part that is sent for the first time is written where it will stand, into the file that
all parts share (`storage.placing`), and an empty file says so: `placed-<number>-<MD5>-<bytes>`. Everything else is a
file of its own, `part-<number>-<MD5>`, copied when the parts are joined.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from storage.files import Draft, HashedFile, make_folder, open_regular
from storage.multipart import check_part_number
from storage.placing import JoinedFile, PlacedPart, create_shared, take_place, take_turn, take_whole
from storage.space import DiskReserve
from storage.store import (
    InvalidPartError,
    ObjectNotFoundError,
    Part,
    PartLayout,
    PartTooLargeError,
    StorageError,
    StorageFullError,
)

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_PART_NAME = re.compile(r"part-(\d{5})-([0-9a-f]{32})")
_PLACED_NAME = re.compile(r"placed-(\d{5})-([0-9a-f]{32})-(\d{1,16})")
_DESCRIPTION: Final = "upload.json"
_SHARED: Final = "joined"
_BLOCK_BYTES: Final = 512  # of st_blocks, whatever the file system's own block size (POSIX sys/stat.h)


class Upload(Struct, frozen=True, kw_only=True):
    """What was said when the upload was begun."""

    key: str
    content_type: str
    initiated_at: datetime
    layout: PartLayout | None = None


class StoredPart(Struct, frozen=True, kw_only=True):
    """A part, and the file that holds its bytes from `offset` on.

    `order` is its age: of two with one number the greater counts.
    """

    part: Part
    path: Path
    offset: int
    order: tuple[int, str]


class UploadFolder:
    """All open uploads of one bucket. The part's ETag is in its file name, so that storing a part is one rename."""

    def __init__(self, folder: Path, *, reserve: DiskReserve | None = None) -> None:
        make_folder(folder)
        self._folder = folder
        self._reserve = reserve

    def create(self, upload: Upload) -> str:
        """Begin an upload and return its id."""
        upload_id = secrets.token_hex(16)
        folder = self._folder / upload_id
        make_folder(folder)
        if upload.layout is not None:
            create_shared(folder / _SHARED)
        with Draft(folder) as draft:
            draft.write(msgspec.json.encode(upload))
            draft.seal()
            draft.publish(folder / _DESCRIPTION)
        return upload_id

    def get(self, key: str, upload_id: str) -> Upload:
        """Return an open upload of this key; ObjectNotFoundError when there is none."""
        upload = _read(self._folder / upload_id) if _UPLOAD_ID.fullmatch(upload_id) else None
        if upload is None or upload.key != key:
            raise ObjectNotFoundError(f"There is no open upload {upload_id!r} for this object.")
        return upload

    def walk(self) -> Iterator[tuple[str, Upload]]:
        """Yield (id, upload) of all that are open."""
        for folder in sorted(self._folder.iterdir()):
            upload = _read(folder)
            if upload:
                yield folder.name, upload

    def new_part(self, upload_id: str, upload: Upload, number: int, size_bytes: int) -> HashedFile:
        """Begin to write a part of an upload that `get` has found.

        InvalidPartError when the upload has no such part, PartTooLargeError when so many bytes have no place in it,
        PartBusyError while two others are writing the same part.
        """
        folder = self._folder / upload_id
        check_part_number(number)
        if upload.layout is None:
            return take_turn(folder, number, limit_bytes=None, reserve=self._reserve)
        _check_place(upload.layout, number, size_bytes)
        placed = self._take_place(folder, upload.layout, number)
        # What is stored stays as it is until a newer part is whole.
        if placed is not None and not any(stored.part.number == number for stored in self.stored_parts(upload_id)):
            return placed
        if placed is not None:
            placed.discard()
        return take_turn(folder, number, limit_bytes=upload.layout.length_of(number), reserve=self._reserve)

    def _take_place(self, folder: Path, layout: PartLayout, number: int) -> PlacedPart | None:
        return take_place(
            folder / _SHARED,
            folder / f"place-{number:05d}",
            offset=layout.offset_of(number),
            limit_bytes=layout.length_of(number),
            reserve=self._reserve,
        )

    def publish_part(self, file: HashedFile, upload_id: str, number: int) -> Part:
        """Make a written part count, replacing an earlier one of the same number."""
        part = Part(number=check_part_number(number), etag=file.etag, size_bytes=file.size_bytes)
        folder = self._folder / upload_id
        described = file.seal()
        if isinstance(file, PlacedPart):
            _publish_placed(folder, part)
        else:
            name = f"part-{number:05d}-{part.etag}"
            file.publish(folder / name)
            _drop_older(folder, number, described, name)
            self._move_into_place(folder, part)
        return part

    def _move_into_place(self, folder: Path, part: Part) -> None:
        """Copy a part that was written beside its place to where it belongs, so that only one copy of it stays.

        While somebody else writes there, the part stays where it is, and counts all the same.
        """
        upload = _read(folder)
        layout = upload.layout if upload else None
        placed = self._take_place(folder, layout, part.number) if layout else None
        if placed is None:
            return
        path = folder / f"part-{part.number:05d}-{part.etag}"
        with placed, suppress(ObjectNotFoundError, StorageFullError):  # replaced by a newer one meanwhile, or no room
            with open_regular(path) as source:
                placed.append_file(source, part.size_bytes)
            placed.seal()
            _publish_placed(folder, part)

    def stored_parts(self, upload_id: str) -> list[StoredPart]:
        """Return the parts stored so far, by number."""
        upload = _read(self._folder / upload_id)
        layout = upload.layout if upload else None
        newest: dict[int, StoredPart] = {}
        for path in _signs(self._folder / upload_id):
            with suppress(FileNotFoundError):  # just replaced by a newer one, or swept
                stored = _stored_part(path, layout)
                known = newest.get(stored.part.number)
                if known is None or known.order < stored.order:
                    newest[stored.part.number] = stored
        return [newest[number] for number in sorted(newest)]

    def take_joined(self, upload_id: str, upload: Upload, chosen: Sequence[StoredPart]) -> JoinedFile | None:
        """Return the file in which the chosen parts make the object, or None where they have to be copied together.

        ObjectNotFoundError when somebody else has just made the object.
        """
        layout = upload.layout
        if layout is None or not _fills(layout, chosen):
            return None
        joined = take_whole(self._folder / upload_id / _SHARED)
        if joined is None:
            return None
        try:
            for stored in chosen:
                if stored.path.name != _SHARED:
                    offset = layout.offset_of(stored.part.number)
                    joined.place(stored.path, offset=offset, length=stored.part.size_bytes)
            joined.cut(layout.size_bytes)
        except StorageError:
            joined.discard()
            raise
        return joined

    def drop(self, upload_id: str) -> None:
        """Remove an upload that `get` has found, with its parts."""
        folder = self._folder / upload_id
        # The description goes first: what remains of a half-done removal is no open upload any more.
        (folder / _DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def pending_bytes(self) -> int:
        """Return the bytes that open uploads have announced and not stored yet, where they have announced any."""
        return sum(
            _pending(self._folder / upload_id, upload.layout) for upload_id, upload in self.walk() if upload.layout
        )

    def leftovers(self) -> list[Path]:
        """Return what writers leave behind that die: drafts of parts, folders without a description."""
        halves = [folder for folder in self._folder.iterdir() if _read(folder) is None]
        return [*self._folder.glob("*/draft-*"), *halves]


def _read(folder: Path) -> Upload | None:
    try:
        upload = msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=Upload)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None
    # Without the file it was joined by somebody who died before he could drop the rest.
    return upload if upload.layout is None or (folder / _SHARED).exists() else None


def _pending(folder: Path, layout: PartLayout) -> int:
    try:
        stored_bytes = (folder / _SHARED).stat().st_blocks * _BLOCK_BYTES
    except FileNotFoundError:  # it has just become an object
        return 0
    return max(0, layout.size_bytes - stored_bytes)


def _signs(folder: Path, number: int | None = None) -> Iterator[Path]:
    """Yield the files that stand for parts, of one number or of all."""
    which = "*" if number is None else f"{number:05d}-*"
    yield from folder.glob(f"part-{which}")
    yield from folder.glob(f"placed-{which}")


def _publish_placed(folder: Path, part: Part) -> None:
    """Say that the bytes in a part's place count."""
    name = f"placed-{part.number:05d}-{part.etag}-{part.size_bytes}"
    with Draft(folder) as sign:
        described = sign.seal()
        sign.publish(folder / name)
    _drop_older(folder, part.number, described, name)


def _drop_older(folder: Path, number: int, described: os.stat_result, name: str) -> None:
    """Remove what stands for the same part and is older: of two that arrive at once, exactly the later stays."""
    for other in _signs(folder, number):
        with suppress(FileNotFoundError):
            if _age_order(other) < (described.st_mtime_ns, name):
                other.unlink()


def _check_place(layout: PartLayout, number: int, size_bytes: int) -> None:
    if number > layout.count:
        raise InvalidPartError(f"This upload has {layout.count} parts; {number} is none of them.")
    if size_bytes > (most := layout.length_of(number)):
        raise PartTooLargeError(
            f"Part {number} of this upload has at most {most} bytes, not {size_bytes}. Cut the file as it was "
            "announced, or announce it again with its true size."
        )


def _fills(layout: PartLayout, chosen: Sequence[StoredPart]) -> bool:
    """Say whether these are all the parts of a layout, each of its full length."""
    wanted = [(number, layout.length_of(number)) for number in range(1, layout.count + 1)]
    return [(stored.part.number, stored.part.size_bytes) for stored in chosen] == wanted


def _age_order(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _stored_part(path: Path, layout: PartLayout | None) -> StoredPart:
    """Read a part off the file that stands for it; FileNotFoundError when that is none, or gone."""
    if layout is not None and (match := _PLACED_NAME.fullmatch(path.name)):
        part = Part(number=int(match[1]), etag=match[2], size_bytes=int(match[3]))
        shared, offset = path.with_name(_SHARED), layout.offset_of(part.number)
        return StoredPart(part=part, path=shared, offset=offset, order=_age_order(path))
    match = _PART_NAME.fullmatch(path.name)
    if match is None:
        raise FileNotFoundError(path)
    part = Part(number=int(match[1]), etag=match[2], size_bytes=path.stat().st_size)
    return StoredPart(part=part, path=path, offset=0, order=_age_order(path))
