"""Open multipart uploads in a folder: one subfolder each, with a description and a file per stored part."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from storage.files import Draft, make_folder
from storage.multipart import check_part_number
from storage.store import ObjectNotFoundError, Part

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}")
_PART_NAME = re.compile(r"part-(\d{5})-([0-9a-f]{32})")
_DESCRIPTION: Final = "upload.json"


class Upload(Struct, frozen=True, kw_only=True):
    """What was said when the upload was begun."""

    key: str
    content_type: str
    initiated_at: datetime


class StoredPart(Struct, frozen=True, kw_only=True):
    """A part and the file that holds it. `order` is its age: of two with one number the greater counts."""

    part: Part
    path: Path
    order: tuple[int, str]


class UploadFolder:
    """All open uploads of one bucket. The part's ETag is in its file name, so that storing a part is one rename."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

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

    def new_draft(self, upload_id: str) -> Draft:
        """Begin to write a part of an upload that `get` has found."""
        return Draft(self._folder / upload_id)

    def publish_part(self, draft: Draft, upload_id: str, number: int) -> Part:
        """Make a written part count, replacing an earlier one of the same number."""
        folder = self._folder / upload_id
        name = f"part-{check_part_number(number):05d}-{draft.etag}"
        described = draft.seal()
        draft.publish(folder / name)
        for other in folder.glob(f"part-{number:05d}-*"):
            # Only older ones go: of two that arrive at once, exactly the later stays.
            with suppress(FileNotFoundError):
                if _age_order(other) < (described.st_mtime_ns, name):
                    other.unlink()
        return Part(number=number, etag=draft.etag, size_bytes=draft.size_bytes)

    def stored_parts(self, upload_id: str) -> list[StoredPart]:
        """Return the parts stored so far, by number."""
        newest: dict[int, StoredPart] = {}
        for path in (self._folder / upload_id).glob("part-*"):
            with suppress(FileNotFoundError):  # just replaced by a newer one, or swept
                stored = _stored_part(path)
                known = newest.get(stored.part.number)
                if known is None or known.order < stored.order:
                    newest[stored.part.number] = stored
        return [newest[number] for number in sorted(newest)]

    def drop(self, upload_id: str) -> None:
        """Remove an upload that `get` has found, with its parts."""
        folder = self._folder / upload_id
        # The description goes first: what remains of a half-done removal is no open upload any more.
        (folder / _DESCRIPTION).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def leftovers(self) -> list[Path]:
        """Return what writers leave behind that die: drafts of parts, folders without a description."""
        halves = [folder for folder in self._folder.iterdir() if _read(folder) is None]
        return [*self._folder.glob("*/draft-*"), *halves]


def _read(folder: Path) -> Upload | None:
    try:
        return msgspec.json.decode((folder / _DESCRIPTION).read_bytes(), type=Upload)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return None


def _age_order(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def _stored_part(path: Path) -> StoredPart:
    match = _PART_NAME.fullmatch(path.name)
    if match is None:
        raise FileNotFoundError(path)
    part = Part(number=int(match[1]), etag=match[2], size_bytes=path.stat().st_size)
    return StoredPart(part=part, path=path, order=_age_order(path))
