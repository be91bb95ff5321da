"""Parts of one upload written where they will stand, so that joining them is a change of name.

All parts share one sparse file. A writer holds a shared lock on that file and an exclusive one on its part's place;
whoever joins them holds the file alone. The locks belong to the open files: they end with the process that dies.
"""

import fcntl
import io
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from storage.files import Draft, HashedFile, disk_errors, open_private, open_regular
from storage.space import DiskReserve
from storage.store import ObjectNotFoundError, PartBusyError, PartTooLargeError, StorageError

_CLOSED: Final = "The upload is not open any more."
_FREE: Final = fcntl.LOCK_NB  # nobody waits: who does not get a lock writes a file of his own, or copies


class PlacedPart(HashedFile):
    """One part being written at its offset, `limit_bytes` at most. It counts once its upload says so."""

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        path: Path,
        file: io.FileIO,
        *,
        place: io.FileIO,
        offset: int,
        limit_bytes: int,
        reserve: DiskReserve | None = None,
    ) -> None:
        super().__init__(path, file, reserve=reserve)
        self._place = place
        self._limit_bytes = limit_bytes
        with disk_errors("The bytes could not be written"):
            file.seek(offset)

    def write(self, data: bytes | bytearray) -> None:
        """Append bytes; PartTooLargeError, and nothing written, when they would reach into the next part."""
        if self.size_bytes + len(data) > self._limit_bytes:
            raise PartTooLargeError(f"The part has more than its {self._limit_bytes} bytes.")
        super().write(data)

    def discard(self) -> None:
        """Let go of the place; what was written there does not count."""
        super().discard()
        self._place.close()


class JoinedFile(HashedFile):
    """The whole file with all its parts in place, closed to writers until it is let go."""

    def place(self, part: Path, *, offset: int, length: int) -> None:
        """Copy a part that was written elsewhere to where it belongs."""
        with open_regular(part) as source, disk_errors("The bytes could not be written"):
            self._file.seek(offset)
            self.append_file(source, length)

    def cut(self, size_bytes: int) -> None:
        """Give the file its final size and the present time."""
        with disk_errors("The bytes could not be written"):
            self._file.truncate(size_bytes)
            os.utime(self._file.fileno())


def create_shared(path: Path) -> None:
    """Make the empty file that the parts will share."""
    with disk_errors("A file could not be created"):
        open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, "r+b").close()


class ResentPart(Draft):
    """A part written beside its place, because the place holds an older one or another writer. One at a time."""

    def __init__(self, folder: Path, turn: io.FileIO, *, limit_bytes: int | None, reserve: DiskReserve | None) -> None:
        super().__init__(folder, reserve=reserve)
        self._turn = turn
        self._limit_bytes = limit_bytes

    def write(self, data: bytes | bytearray) -> None:
        """Append bytes; PartTooLargeError, and nothing written, when the part would be larger than its place."""
        if self._limit_bytes is not None and self.size_bytes + len(data) > self._limit_bytes:
            raise PartTooLargeError(f"The part has more than its {self._limit_bytes} bytes.")
        super().write(data)

    def discard(self) -> None:
        """Drop what was written, and let another writer have its turn."""
        super().discard()
        self._turn.close()


def take_turn(folder: Path, number: int, *, limit_bytes: int | None, reserve: DiskReserve | None = None) -> ResentPart:
    """Return a writer for a part beside its place; PartBusyError while another one is at work.

    Each writer may hold a whole part on the disk, so there is one beside the one in the place.
    """
    with disk_errors("The file could not be opened"):
        turn = _lock(open_private(folder / f"turn-{number:05d}", os.O_RDWR | os.O_CREAT, "r+b"), fcntl.LOCK_EX)
    if turn is None:
        raise PartBusyError(f"Part {number} is being sent by other requests; wait for one of them to end.")
    try:
        return ResentPart(folder, turn, limit_bytes=limit_bytes, reserve=reserve)
    except StorageError:
        turn.close()
        raise


def take_place(
    path: Path, place: Path, *, offset: int, limit_bytes: int, reserve: DiskReserve | None = None
) -> PlacedPart | None:
    """Return a writer for one place in the shared file; None when somebody else writes there or joins the parts."""
    with disk_errors("The file could not be opened"):
        file = _open_locked(path, fcntl.LOCK_SH)
        if file is None:
            return None
        try:
            held = _lock(open_private(place, os.O_RDWR | os.O_CREAT, "r+b"), fcntl.LOCK_EX)
        except OSError:
            file.close()
            raise
    if held is None:
        file.close()
        return None
    return PlacedPart(path, file, place=held, offset=offset, limit_bytes=limit_bytes, reserve=reserve)


def take_whole(path: Path) -> JoinedFile | None:
    """Return the shared file for joining; None while anybody writes to it.

    ObjectNotFoundError when it has become an object.
    """
    with disk_errors("The file could not be opened"):
        file = _open_locked(path, fcntl.LOCK_EX)
    return None if file is None else JoinedFile(path, file)


def _open_locked(path: Path, kind: int) -> io.FileIO | None:
    try:
        file = _lock(open_private(path, os.O_RDWR, "r+b"), kind)
    except FileNotFoundError:
        raise ObjectNotFoundError(_CLOSED) from None
    if file is not None and not _is_at(path, file):
        file.close()
        raise ObjectNotFoundError(_CLOSED)
    return file


def _is_at(path: Path, file: io.FileIO) -> bool:
    """Say whether the file has still its name: between opening and locking it may have become an object."""
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _lock(file: io.FileIO, kind: int) -> io.FileIO | None:
    try:
        fcntl.flock(file, kind | _FREE)
    except BlockingIOError:
        file.close()
        return None
    return file
