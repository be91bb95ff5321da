"""Reads the lines of a child process, and kills its whole process group at the end."""

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Iterator
from typing import IO, Protocol

TICK_S = 0.5
"""The delay in noticing a deadline, or the death of a child whose pipes another process holds open."""
LINE_BYTES = 16 * 2**20
"""The longest line a child may write: five hundred highlights with their reasons are a tenth of this."""
READ_BYTES = 64 * 1024
STDERR_BYTES = 16 * 1024
"""The last bytes of standard error, for the log."""
GRACE_AFTER_EXIT_S = 1.0


class LineTooLongError(Exception):
    """The child wrote more than LINE_BYTES without ending the line."""


class StartedProcess(Protocol):
    """A child that leads its own session, however it was started."""

    pid: int
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def kill_group(self) -> None:
        """Kill the child and its descendants; not after `wait`, when its process id may be reused."""

    def has_ended(self) -> bool:
        """Return whether the child has ended, even if its descendants have not."""

    def wait(self) -> int:
        """Wait for its end, once, and return its status (negative: the signal it died of)."""


class ChildProcess:
    """Watches a child that has just started, and kills it after `wall_s`."""

    def __init__(self, process: StartedProcess, *, wall_s: float | None = None) -> None:
        self.timed_out = False
        self._deadline_s = None if wall_s is None else time.monotonic() + wall_s
        self._lock = threading.Lock()
        self._is_reaped = False
        self._ended_s: float | None = None
        self._stderr = bytearray()
        self._process = process

    @property
    def stderr(self) -> str:
        """The last part of the child's standard error."""
        return self._stderr.decode(errors="replace")

    def kill(self) -> None:
        """Kill the child and its descendants; from any thread, at any time."""
        with self._lock:
            if not self._is_reaped:
                self._process.kill_group()

    def lines(self, request: bytes) -> Iterator[bytes]:
        """Write `request` to the child's standard input and yield its lines until it has ended, or is killed.

        Kills it at its deadline. LineTooLongError when a line does not end.
        """
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        with contextlib.suppress(BrokenPipeError):  # if the child died at once, its status says so
            stdin.write(request)
            stdin.close()
        buffer = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while selector.get_map() and not self._is_over():
                for key, _ in selector.select(TICK_S):
                    chunk = os.read(key.fd, READ_BYTES)
                    if not chunk:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is stderr:
                        self._stderr = (self._stderr + chunk)[-STDERR_BYTES:]
                    else:
                        *lines, buffer = (buffer + chunk).split(b"\n")
                        yield from filter(None, lines)
                        if len(buffer) > LINE_BYTES:
                            raise LineTooLongError
                if self._deadline_s is not None and time.monotonic() > self._deadline_s:
                    self.timed_out = True
                    self.kill()

    def end(self) -> int:
        """Kill the rest of the group and return the child's status (negative: the signal that ended it)."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        with self._lock:
            # Killed above, so this is quick. The lock keeps `kill` from using a process id that may be reused.
            status = self._process.wait()
            self._is_reaped = True
        return status

    def _is_over(self) -> bool:
        """Return whether the child ended long enough ago; another process may hold its pipes open forever."""
        if not self._process.has_ended():
            return False
        now = time.monotonic()
        if self._ended_s is None:
            self._ended_s = now
        return now - self._ended_s > GRACE_AFTER_EXIT_S
