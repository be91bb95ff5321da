"""The protocol of readers of local and remote files, and their common base."""

import errno
import io
import os
from abc import abstractmethod
from collections.abc import Iterable
from typing import Protocol

NO_SUCH_PLACE = -errno.EINVAL
"""The result that FFmpeg expects of an impossible seek."""


class Reader(Protocol):
    """A seekable file that counts what it reads."""

    is_remote: bool
    """Whether reads may need requests to a server."""

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk or network so far."""

    @property
    def size_bytes(self) -> int:
        """The size of the file."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the position."""

    def tell(self) -> int:
        """Return the position."""

    def ranges_read(self) -> list[tuple[int, int]]:
        """Return the ranges read so far as (first byte, byte after the last), merged, in order."""

    def know(self, parts: Iterable[tuple[int, bytes]]) -> None:
        """Store known bytes, so that they are not fetched again."""

    def prefetch(self, start: int, length: int) -> None:
        """Fetch a range that will be needed, if that saves requests."""

    def close(self) -> None:
        """Close the file."""


class RangeLog:
    """Records the parts of a file that were read, merged; forgets all once there are too many."""

    def __init__(self, limit: int = 4096) -> None:
        self._parts: list[tuple[int, int]] = []
        self._limit = limit

    def note(self, begin: int, length: int) -> None:
        """Record that `length` bytes from `begin` on were read."""
        if not length or len(self._parts) >= self._limit:
            return
        if self._parts and self._parts[-1][0] <= begin <= self._parts[-1][1]:
            first, end = self._parts[-1]
            self._parts[-1] = (first, max(end, begin + length))
            return
        self._parts.append((begin, begin + length))

    def merged(self) -> list[tuple[int, int]]:
        """Return the parts in order, with adjacent ones merged."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted(self._parts):
            if merged and begin <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            else:
                merged.append((begin, end))
        return merged


class PositionedReader(io.RawIOBase):
    """A read-only file that keeps its position as a number, so that seeking costs nothing."""

    is_remote = False

    def __init__(self) -> None:
        super().__init__()
        self._position = 0
        self._log = RangeLog()

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """The size of the file."""

    def readable(self) -> bool:
        """Return True: this file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: every position can be reached."""
        return True

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position, or return NO_SUCH_PLACE; the size is needed only for a seek from the end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        if base is None:
            base = self.size_bytes
        if base + offset < 0:
            return NO_SUCH_PLACE
        self._position = base + offset
        return self._position

    def ranges_read(self) -> list[tuple[int, int]]:
        """Return the ranges read so far as (first byte, byte after the last), merged, in order."""
        return self._log.merged()

    def know(self, parts: Iterable[tuple[int, bytes]]) -> None:
        """Ignore known bytes: reading them again costs nothing here."""

    def prefetch(self, start: int, length: int) -> None:
        """Do nothing: there is no server to spare."""
