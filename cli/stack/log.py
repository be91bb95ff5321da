"""Output of the parts: every line goes to a file of limited size, and with the part's name to the terminal."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

LIMIT_BYTES = 10 * 1024 * 1024
# The last lines of a part are shown when it does not start.
REMEMBERED_LINES = 8
NAME_WIDTH = 10


def _open_private(path: Path) -> BinaryIO:
    """Open a file to append to, readable only by its owner, even if it existed before."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return os.fdopen(fd, "ab", buffering=0)


class LogFile:
    """A log file that is rotated at `limit_bytes`, with one predecessor."""

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self._file = _open_private(path)
        self._size = path.stat().st_size

    def write(self, data: bytes) -> None:
        """Append; lines are dropped when the disk is full, because a log must not end its process."""
        with suppress(OSError):
            if self._size >= self._limit:
                self._rotate()
            self._size += self._file.write(data) or 0

    def _rotate(self) -> None:
        """Begin a new file before closing the old one: if the disk refuses, the old one stays open."""
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        fresh = _open_private(self._path)
        self._file.close()
        self._file, self._size = fresh, 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PartLog:
    """The output of one part, cut into lines."""

    def __init__(self, name: str, folder: Path, terminal: "Terminal") -> None:
        self._name = name
        self._file = LogFile(folder / f"{name}.log")
        self._terminal = terminal
        self._rest = b""
        self.last_lines: list[str] = []

    def feed(self, data: bytes) -> None:
        """Take output of the part; only an incomplete line is kept."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.say(line.decode(errors="replace").rstrip("\r"))

    def say(self, line: str) -> None:
        """Write one line."""
        self._file.write(line.encode() + b"\n")
        self.last_lines = [*self.last_lines[1 - REMEMBERED_LINES :], line]
        self._terminal.line(self._name, line)

    def close(self) -> None:
        """Write the rest and close the file."""
        if self._rest:
            self.feed(b"\n")
        self._file.close()


class Terminal:
    """The terminal of `snuggles up`; while `quiet`, the output of the parts goes to their files only."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.quiet = False

    @classmethod
    def silent(cls) -> "Terminal":
        """Return a terminal that never shows the parts."""
        terminal = cls()
        terminal.quiet = True
        return terminal

    def line(self, name: str, text: str) -> None:
        """Show a line of a part."""
        if not self.quiet:
            self.announce(f"{name:<{NAME_WIDTH}} {text}")

    def announce(self, text: str) -> None:
        """Show a line of our own."""
        try:
            print(text, file=self._stream, flush=True)
        except BrokenPipeError:
            self.quiet = True
        except OSError:  # standard output is a file on a full disk
            return
