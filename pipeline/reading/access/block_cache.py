"""Caches the blocks read from a recording in a folder that all its clips share, across processes and threads.

Blocks are stored at their offsets in files of 8 MiB, so that a long recording needs neither a huge sparse file nor a
lock: writing a block twice writes the same bytes, and a block counts only after its length has been written.
"""

import contextlib
import os
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

BLOCK_BYTES = 64 * 1024
"""Unit of caching: large enough to keep requests few, small enough that the edges of a range waste little."""
BLOCKS_A_FILE = 128
MAX_FILES = 64
"""512 MiB on scratch disk; beyond this the least recently used file is dropped."""
OPEN_FILES = 16
LENGTH_BYTES = 4
DATA_AT = 4096
"""The start of the blocks, on a page after the lengths of all blocks."""
IDENTITY = "identity"
SUFFIX = ".blocks"


class Blocks(Protocol):
    """Blocks of a file by number."""

    def __contains__(self, block: int) -> bool:
        """Return whether a block is cached."""

    def get(self, block: int) -> bytes | None:
        """Return a block, or None if it is not cached."""

    def put(self, block: int, content: bytes) -> None:
        """Store a block; it may be dropped at any time."""

    def close(self) -> None:
        """Close the files."""


class Identity(Struct, frozen=True):
    """Identifies the file of the blocks, from the server's answer to the first read."""

    etag: str
    size_bytes: int


class SharedBlockCache:
    """Blocks of one recording in a shared folder; OSError when the disk is full or the folder gone."""

    def __init__(self, folder: Path, *, limit: int = MAX_FILES) -> None:
        self._folder = folder
        self._limit = limit
        self._open: OrderedDict[int, int] = OrderedDict()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def identity(self) -> Identity | None:
        """Return the file of the blocks; None before the first read."""
        try:
            return msgspec.json.decode((self._folder / IDENTITY).read_bytes(), type=Identity)
        except (OSError, msgspec.MsgspecError):
            return None

    def identify(self, identity: Identity) -> bool:
        """Set the file of the blocks; False if another process has set another one."""
        made = self._folder / f"{IDENTITY}.{os.getpid()}.{id(self)}"
        made.write_bytes(msgspec.json.encode(identity))
        with contextlib.suppress(FileExistsError):
            os.link(made, self._folder / IDENTITY)
        made.unlink()
        return self.identity() == identity

    def __contains__(self, block: int) -> bool:
        return self._length(block) > 0

    def get(self, block: int) -> bytes | None:
        """Return a block, or None if it is not cached."""
        length = self._length(block)
        if not length:
            return None
        return os.pread(self._open[block // BLOCKS_A_FILE], length, _data_at(block))

    def put(self, block: int, content: bytes) -> None:
        """Store a block."""
        file = self._file(block, makes=True)
        assert file is not None  # noqa: S101 - created if missing
        write_at(file, content, _data_at(block))
        write_at(file, len(content).to_bytes(LENGTH_BYTES, "big"), _length_at(block))

    def close(self) -> None:
        """Close the files, which stay for other processes."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _length(self, block: int) -> int:
        file = self._file(block, makes=False)
        return 0 if file is None else int.from_bytes(os.pread(file, LENGTH_BYTES, _length_at(block)), "big")

    def _file(self, block: int, *, makes: bool) -> int | None:
        """Return the descriptor of a block's file; None if it is missing and not to be created."""
        number = block // BLOCKS_A_FILE
        file = self._open.get(number)
        if file is not None:
            self._open.move_to_end(number)
            return file
        path = self._folder / f"{number}{SUFFIX}"
        if not path.exists():
            if not makes:
                return None
            self._make_room()
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if makes else 0), 0o600)
        except FileNotFoundError:  # dropped just now
            if makes:
                raise
            return None
        os.utime(file)
        self._open[number] = file
        if len(self._open) > OPEN_FILES:
            os.close(self._open.popitem(last=False)[1])
        return file

    def _make_room(self) -> None:
        """Drop the least recently used files; current readers keep theirs until they close it."""
        aged: list[tuple[float, Path]] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                aged.append((path.stat().st_mtime, path))
        for _, path in sorted(aged)[: max(0, len(aged) + 1 - self._limit)]:
            path.unlink(missing_ok=True)


def write_at(file: int, content: bytes, place: int) -> None:
    """Write all bytes at an offset; OSError if the disk is full. A single write may be partial without an error."""
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], place + written)


def _length_at(block: int) -> int:
    return block % BLOCKS_A_FILE * LENGTH_BYTES


def _data_at(block: int) -> int:
    return DATA_AT + block % BLOCKS_A_FILE * BLOCK_BYTES
