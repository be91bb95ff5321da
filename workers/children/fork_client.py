"""The worker's side of a fork server: requests children from it, and watches them."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import msgspec
import structlog

from workers.children import fork_server
from workers.children.fork_server import Born, Ended, Request

COMMAND = (sys.executable, "-I", fork_server.__file__)
PATIENCE_S = 60.0
"""How long to wait for an answer. A server starts in half a second on an idle machine."""
LEAVING_S = 5.0
WORD_BYTES = 256
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""OpenBLAS starts its threads when numpy is imported, and a process with threads must not fork."""
CRASHES = {-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGILL, -signal.SIGFPE, -signal.SIGTRAP}
"""Signals that mean that a child crashed."""

log = structlog.get_logger(__name__)


class ForkServerError(Exception):
    """A request produced no child: the server has died, does not answer, or could not fork."""


class ForkServer:
    """A server process; `environment` is its whole environment, which its children's `/proc` shows too."""

    def __init__(self, environment: Mapping[str, str], *, command: Sequence[str] = COMMAND) -> None:
        self.is_usable = True
        """Whether it can start more children."""
        self.patience_s = PATIENCE_S
        self._lock = threading.Lock()
        self._children = 0
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as unless_started:
            unless_started.enter_context(self._requests)
            self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
                list(command),
                cwd="/",
                env={**environment, **SINGLE_THREADED},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            unless_started.pop_all()
        self.pid = self._process.pid
        log.info("fork_server_started", pid=self.pid)

    def start(self, folder: Path, environment: Mapping[str, str]) -> "ForkedProcess":
        """Start a child; ForkServerError if that fails."""
        values = {name: os.fsencode(value) for name, value in environment.items()}
        with self._lock:
            if not self.is_usable:
                raise ForkServerError("it has been retired")
            self._children += 1
        try:
            return self._ask(msgspec.json.encode(Request(folder=os.fsencode(folder), environment=values)))
        except BaseException as error:
            self.release(None)
            if isinstance(error, OSError | msgspec.MsgspecError):
                raise ForkServerError(str(error) or type(error).__name__) from error
            raise

    def retire(self) -> None:
        """Start no more children; the server ends after its last one."""
        with self._lock:
            self.is_usable = False
            is_idle = self._children == 0
        if is_idle:
            self.close()

    def release(self, status: int | None) -> None:
        """Record the end of a child. A crash retires the server, so that later children have another memory layout."""
        with self._lock:
            self._children -= 1
        if status in CRASHES or not self.is_usable:
            self.retire()

    def kill(self) -> None:
        """Kill the server, which kills its children."""
        self._process.kill()

    @property
    def is_gone(self) -> bool:
        """Whether the server has ended."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End the server and its children."""
        with self._lock:
            self.is_usable = False
            with suppress(OSError):  # it ended before, or this is the second call
                self._requests.shutdown(socket.SHUT_RDWR)
            try:
                self._process.wait(LEAVING_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._requests.close()

    def _ask(self, request: bytes) -> "ForkedProcess":
        with ExitStack() as ours:
            stdin_theirs, stdin = _pipe(ours)
            stdout, stdout_theirs = _pipe(ours)
            stderr, stderr_theirs = _pipe(ours)
            words, words_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(words)
            for each in (words, self._requests):
                each.settimeout(self.patience_s)
            theirs = (stdin_theirs, stdout_theirs, stderr_theirs, words_theirs)
            for end in theirs:
                ours.enter_context(end)
            socket.send_fds(self._requests, [request], [end.fileno() for end in theirs])
            for end in theirs:
                end.close()
            word = words.recv(WORD_BYTES)
            if not word:
                raise ForkServerError("it has ended or could not fork; what it wrote to standard error says why")
            born = msgspec.json.decode(word, type=Born)
            pidfd = os.pidfd_open(born.pid)
            ours.pop_all()
        return ForkedProcess(self, pid=born.pid, pidfd=pidfd, words=words, streams=(stdin, stdout, stderr))


class ForkedProcess:
    """A child of the server. Its process id is not reused until `wait` has returned, unless the server dies."""

    def __init__(
        self,
        server: ForkServer,
        *,
        pid: int,
        pidfd: int,
        words: socket.socket,
        streams: tuple[IO[bytes], IO[bytes], IO[bytes]],
    ) -> None:
        self.pid = pid
        self.stdin, self.stdout, self.stderr = streams
        self._server = server
        self._pidfd = pidfd
        self._words = words

    def kill_group(self) -> None:
        """Kill the child and its descendants."""
        try:
            signal.pidfd_send_signal(self._pidfd, 0)
        except ProcessLookupError:
            # The server has died, and init has reaped the child. While processes of its group remain, the kernel does
            # not reuse the id. So if a process has it now, the group is gone.
            if Path(f"/proc/{self.pid}").exists():
                return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Return whether the child has ended, even if its descendants have not."""
        return _has(self._pidfd, select.POLLIN)

    def wait(self) -> int:
        """Wait for its end, release its process id, and return its status (negative: the signal it died of)."""
        _has(self._pidfd, select.POLLIN, timeout_ms=None)
        status = self._status()
        os.close(self._pidfd)
        self._words.close()
        self._server.release(status)
        return status

    def _status(self) -> int:
        """Return the server's report about it. If the server died, so did the child."""
        self._words.settimeout(self._server.patience_s)
        try:
            word = self._words.recv(WORD_BYTES)
        except TimeoutError:
            log.warning("fork_server_stuck", pid=self._server.pid)
            self._server.kill()
            word = b""
        return msgspec.json.decode(word, type=Ended).status if word else -signal.SIGKILL


def _pipe(stack: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """Return the end to read from and the end to write to."""
    reading, writing = os.pipe()
    return stack.enter_context(open(reading, "rb")), stack.enter_context(open(writing, "wb"))  # noqa: PTH123 - no paths


def _has(fd: int, event: int, *, timeout_ms: int | None = 0) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return any(seen & event for _, seen in poll.poll(timeout_ms))
