"""The fork server: imports what media tasks need, and forks a child for each request of its worker.

Started by its path as `python -I fork_server.py`, with the environment of a child and a SOCK_SEQPACKET socket to the
worker as standard input. A request is a JSON `Request` with four descriptors: the child's standard input, output and
error, and a socket on which the child reports `Born` and the server `Ended`. An ended child stays a zombie until the
worker has closed its end of that socket, so that its process id is not reused and can be killed. The server adopts
orphans of its children: in a container they would go to the worker as the first process, which never reaps them. When
the requests end, the worker is gone, and the server ends with all its children.

No thread may run here: a fork copies only the calling thread, and a lock held by another would stay locked forever.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn

import msgspec
from msgspec import Struct

from workers.children import sandbox

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PR_SET_NAME = 15  # the same
PR_SET_CHILD_SUBREAPER = 36  # the same
SERVER_NAME, CHILD_NAME = b"media-server", b"media-child"
"""Process names in `ps` and `top`, since the command lines are the same; at most fifteen bytes."""
REQUEST_BYTES = 128 * 1024
"""An environment of a dozen variables, some of them paths."""
DESCRIPTORS = 4
STDERR = 2
ORPHANS_MS = 500
"""How often the server looks for ended descendants of killed children, while there are any."""
TASK = "pipeline.task"
NEEDED = (
    *(
        TASK,
        "pipeline.ingest",
        "pipeline.listening.detect",
        "pipeline.rendering.render",
        "pipeline.rendering.pictures.motion",
        "ffmpeg",
    ),
    *(
        "av.subtitles.stream",
        "numpy.fft",
        "numpy.ma",
        "encodings.ascii",
        "encodings.cp437",
        "encodings.idna",
        "importlib.readers",
    ),
)
"""The task, and the modules that it otherwise imports on first use."""


class Request(Struct, frozen=True):
    """Requests a child that works in `folder` with `environment` as its whole environment; both as bytes."""

    folder: bytes
    environment: dict[str, bytes]


class Born(Struct, frozen=True, tag=True):
    """The child leads its own session, and dies with the server."""

    pid: int


class Ended(Struct, frozen=True, tag=True):
    """The child's exit status; negative: the signal it died of."""

    status: int


class _Child(Struct):
    pid: int
    pidfd: int
    words: int
    """The server's end of the socket that the worker reads."""
    has_ended: bool = False
    is_released: bool = False


def main() -> None:
    """Import what tasks need and serve the worker at standard input."""
    prepare(NEEDED)
    task = importlib.import_module(TASK)
    with socket.socket(fileno=0) as requests:
        serve(requests, task.main)


def prepare(modules: Sequence[str]) -> None:
    """Import modules, and exempt their objects from garbage collection, which would copy their pages in every child."""
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket, run: Callable[[], int]) -> None:
    """Fork a child that calls `run` for each request, until the requests end.

    Descriptors are plain numbers, so that no object of the server closes one of the child's.
    """
    _prctl(PR_SET_NAME, SERVER_NAME)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    poll = select.poll()
    poll.register(requests.fileno(), select.POLLIN)
    children: dict[int, _Child] = {}
    # Groups whose leader has been reaped. Their ids cannot be reused while a process of the group exists.
    orphaned: set[int] = set()
    while True:
        for fd, _ in poll.poll(ORPHANS_MS if orphaned else None):
            if fd != requests.fileno():
                poll.unregister(fd)
                child = children.pop(fd)
                if _look_after(child, fd):
                    orphaned.add(child.pid)
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
            if not message:
                for child in children.values():
                    _kill(child)
                return
            orphaned -= _reap(
                orphaned
            )  # directly before a fork, which may get the process id of a group that has ended
            if made := _answer(requests, message, descriptors, run):
                for own in (made.pidfd, made.words):
                    children[own] = made
                    poll.register(own, select.POLLIN)
        orphaned -= _reap(orphaned)


def _answer(requests: socket.socket, message: bytes, descriptors: list[int], run: Callable[[], int]) -> _Child | None:
    """Fork for a request. None if that fails, which the worker sees by the end of the child's socket."""
    if len(descriptors) != DESCRIPTORS:  # some descriptors of the request were lost
        for each in descriptors:
            os.close(each)
        return None
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - to be counted
    if threads != 1:
        raise SystemExit(f"the fork server has {threads} threads, so it must not fork")
    request = msgspec.json.decode(message, type=Request)
    *streams, words = descriptors
    server, pid = os.getpid(), 0
    try:
        pid = os.fork()
        if pid == 0:
            requests.detach()  # the task will use this descriptor number
            _become_child(request, streams, words, server=server, run=run)
        return _Child(pid=pid, pidfd=os.pidfd_open(pid), words=words)
    except OSError:
        traceback.print_exc()
        os.close(words)
        if pid:  # no free descriptor
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        return None
    finally:
        for each in streams:
            os.close(each)


def _look_after(child: _Child, fd: int) -> bool:
    """Record that the child ended or the worker released it; after both, reap it. Return whether it was reaped."""
    if fd == child.pidfd:
        child.has_ended = True
        _tell_end(child)
    else:
        child.is_released = True
        _kill(child)
    if not (child.has_ended and child.is_released):
        return False
    os.waitpid(child.pid, 0)
    os.close(child.pidfd)
    os.close(child.words)
    return True


def _reap(groups: Iterable[int]) -> set[int]:
    """Reap ended processes of killed groups; return the groups without remaining processes."""
    return {group for group in groups if _is_reaped(group)}


def _is_reaped(group: int) -> bool:
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _become_child(
    request: Request, streams: Sequence[int], words: int, *, server: int, run: Callable[[], int]
) -> NoReturn:
    """Drop the state of the server and run the task; never returns."""
    status = 1
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != server:
            os._exit(status)  # the server died before PR_SET_PDEATHSIG took effect
        _prctl(PR_SET_NAME, CHILD_NAME)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.write(words, msgspec.json.encode(Born(pid=os.getpid())))
        _close_all_but_streams()
        _settle(request.folder, request.environment)
        sandbox.enter()
        status = run()
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # noqa: BLE001 - the process's edge
        traceback.print_exc()
    finally:
        for said in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                said.flush()
        os._exit(status)  # skips the server's frames and its exit handlers


def _close_all_but_streams() -> None:
    """Close the socket of requests and the descriptors of other children."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the names are numbers, not paths
        if int(name) > STDERR:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(int(name))


def _settle(folder: bytes, environment: Mapping[str, bytes]) -> None:
    """Set up this process like a new interpreter in that folder and environment."""
    os.environ.clear()
    os.environ.update({name: os.fsdecode(value) for name, value in environment.items()})
    os.chdir(folder)
    tempfile.tempdir = None
    sys.argv = [TASK]
    # The server's objects belong to other files with these numbers.
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - open as long as the process lives, and no path
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - the same
    sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115 - the same


def _tell_end(child: _Child) -> None:
    """Report the end of the child, which stays a zombie, to the worker."""
    ended = os.waitid(os.P_PIDFD, child.pidfd, os.WEXITED | os.WNOWAIT)
    assert ended is not None  # noqa: S101 - only WNOHANG may find nothing
    status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    with contextlib.suppress(ConnectionError):  # it has released the child already
        os.write(child.words, msgspec.json.encode(Ended(status=status)))


def _kill(child: _Child) -> None:
    """Kill the child and its descendants. It has not been reaped, so its process id is not reused."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(child.pid, signal.SIGKILL)
        os.killpg(child.pid, signal.SIGKILL)


def _prctl(option: int, value: int | bytes) -> None:
    """Call prctl(2) for this process."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main()
