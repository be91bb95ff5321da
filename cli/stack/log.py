"""What the parts say: every line to a file of limited size, and to the terminal with the part's name."""

import os
import sys
from pathlib import Path
from typing import BinaryIO, TextIO

LIMIT_BYTES = 10 * 1024 * 1024
# The last lines of a part are told when it does not come up.
REMEMBERED_LINES = 8
NAME_WIDTH = 10


def _open_private(path: Path) -> BinaryIO:
    """Open a file to append to, readable by its owner alone even if it was there before."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.fchmod(fd, 0o600)
    return os.fdopen(fd, "ab", buffering=0)


class LogFile:
    """A file that starts anew at `limit_bytes` and keeps one predecessor beside it."""

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self._file = _open_private(path)
        self._size = path.stat().st_size

    def write(self, data: bytes) -> None:
        """Append; what does not fit on the disk is dropped, for a log must not end what it describes."""
        if self._size >= self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._file = _open_private(self._path)
            self._size = 0
        try:
            self._size += self._file.write(data) or 0
        except OSError:
            return

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
        """Take what the part wrote; nothing more than a line in the making is kept."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.say(line.decode(errors="replace").rstrip("\r"))

    def say(self, line: str) -> None:
        """Write one line."""
        self._file.write(line.encode() + b"\n")
        self.last_lines = [*self.last_lines[1 - REMEMBERED_LINES :], line]
        self._terminal.line(self._name, line)

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._rest:
            self.feed(b"\n")
        self._file.close()


class Terminal:
    """The terminal of `snuggles up`; while `quiet`, what the parts say goes to their files alone."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.quiet = False

    @classmethod
    def silent(cls) -> "Terminal":
        """Return one on which the parts are never heard."""
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
