"""One process that the supervisor keeps running."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO

from msgspec import Struct

from cli.embedded.program import Program, spawn
from cli.stack.log import PartLog

READ_BYTES = 65536


class Part(Struct, frozen=True, kw_only=True):
    """A program, its readiness check, and the way to stop it."""

    name: str
    program: Callable[[], AbstractContextManager[Program]]
    is_ready: Callable[[], bool]
    stop_signal: int = signal.SIGTERM
    stop_s: float
    """How long it may take to stop before it is killed."""


@contextmanager
def always(program: Program) -> Iterator[Program]:
    """Wrap a program that needs no open resource while it starts."""
    yield program


class Child:
    """A part and its current process, if any."""

    def __init__(self, part: Part, log: PartLog) -> None:
        self.part = part
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.output: IO[bytes] | None = None
        self.started_at = 0.0
        self.start_again_at: float | None = None
        self.failures = 0

    def spawn(self, now: float) -> None:
        """Start the process."""
        with self.part.program() as program:
            self.process = spawn(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.output = self.process.stdout
        if self.output is not None:
            os.set_blocking(self.output.fileno(), False)
        self.started_at = now
        self.start_again_at = None

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def read(self) -> bool:
        """Read what the process has printed; False if it has printed nothing."""
        if self.output is None:
            return False
        try:
            data = os.read(self.output.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.log.feed(data)
        else:
            self._close_output()
        return bool(data)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def bury(self) -> int:
        """Reap an ended process, kill the rest of its group, and return its status."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        self.process = None
        while self.read():
            pass
        self._close_output()
        return status

    def _close_output(self) -> None:
        if self.output is not None:
            self.output.close()
            self.output = None


def describe_death(status: int) -> str:
    """Describe in words how a process ended."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
