"""Starts media children: forked from a prepared process where the system supports it, executed otherwise."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from workers.children import exec_child as launch
from workers.children.fork_client import COMMAND, ForkServer, ForkServerError
from workers.children.process import StartedProcess
from workers.children.sandbox import Sandbox

INHERITED = ("PATH", "LANG", "LC_ALL", "IMAGEIO_FFMPEG_EXE", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""The environment variables that children get. No secrets: they open recordings by short-lived URLs."""
RETRY_S = 60.0
"""After a fork server died at its first child, children are executed for this long before a new server starts."""

log = structlog.get_logger(__name__)


def inherited(source: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the part of an environment that children may have."""
    return {name: source[name] for name in INHERITED if name in source}


class Launcher:
    """One for each worker process. The fork server starts with the first child and is replaced after its death."""

    def __init__(
        self, *, can_fork: bool | None = None, server: Sequence[str] = COMMAND, sandbox: Sandbox | None = None
    ) -> None:
        self.sandbox = sandbox or Sandbox()
        """The confinement of its children."""
        self._can_fork = can_fork_children() if can_fork is None else can_fork
        self._command = server
        self._lock = threading.Lock()
        self._servers: list[ForkServer] = []
        """The last one starts children, unless it has been retired; the others wait for theirs to end."""
        self._executes_until_s = 0.0

    def start(self, folder: Path, environment: Mapping[str, str]) -> StartedProcess:
        """Start a media child in a folder; its whole environment is `environment`."""
        while self._can_fork and time.monotonic() >= self._executes_until_s:
            server, is_new = self._get_server()
            try:
                return server.start(folder, environment)
            except ForkServerError as error:
                log.warning("fork_server_lost", pid=server.pid, error=str(error))
                server.retire()
                if is_new:
                    self._executes_until_s = time.monotonic() + RETRY_S
        return execute([sys.executable, "-I", launch.__file__, str(os.getpid())], folder, environment)

    def close(self) -> None:
        """End the fork servers with their remaining children."""
        self._can_fork = False
        with self._lock:
            for server in self._servers:
                server.close()

    def _get_server(self) -> tuple[ForkServer, bool]:
        with self._lock:
            if self._servers and self._servers[-1].is_usable:
                return self._servers[-1], False
            server = ForkServer(inherited(), command=self._command)
            self._servers = [*(each for each in self._servers if not each.is_gone), server]
            return server, True


def can_fork_children() -> bool:
    """Return whether this system supports the fork server, which needs process descriptors (Linux since 5.4)."""
    if sys.platform != "linux":
        return False
    try:
        pidfd = os.pidfd_open(os.getpid())
    except (AttributeError, OSError):  # an old libc or kernel, or a sandbox that forbids it
        return False
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return True  # the call is known, and fails because this process is not its own child
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


class ExecutedProcess:
    """A direct child that runs a program."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        assert process.stderr is not None  # noqa: S101 - PIPE was asked for
        self.pid = process.pid
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout
        self.stderr: IO[bytes] = process.stderr
        self._process = process

    def kill_group(self) -> None:
        """Kill the child and its descendants."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Return whether the child has ended, even if its descendants have not."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self) -> int:
        """Wait for its end and return its status (negative: the signal it died of)."""
        return self._process.wait()


def execute(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> ExecutedProcess:
    """Start a program in a folder, as the leader of its own session; its whole environment is `environment`."""
    process = subprocess.Popen(  # noqa: S603 - our own program, no shell
        list(command),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    return ExecutedProcess(process)
