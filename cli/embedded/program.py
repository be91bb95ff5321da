"""Starts a child of the stack: its program, user and environment."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from msgspec import Struct

RUN_UNDER_PARENT = Path(__file__).with_name("parent_death.py")
# Variables that any program may need; others are passed by name. LD_LIBRARY_PATH is needed by interpreters that were
# built with a shared library.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


class Account(Struct, frozen=True):
    """A user and group that a program runs as."""

    uid: int
    gid: int


class Program(Struct, frozen=True, kw_only=True):
    """A command line with its environment. `argv[0]` is an absolute path."""

    argv: tuple[str, ...]
    environment: dict[str, str] = {}
    """Variables in addition to those of every program (PATH, HOME, locale, time zone, temporary folder)."""
    account: Account | None = None
    """Run as this user, which only root can."""
    pass_fds: tuple[int, ...] = ()
    death_signal: int = signal.SIGKILL
    """The signal that the kernel sends it when we die."""


def spawn(
    program: Program, *, stdout: int | IO[bytes] | None, stderr: int | IO[bytes] | None
) -> subprocess.Popen[bytes]:
    """Start the program in its own session, so that Ctrl-C reaches only us and we stop the parts in order.

    Call it from the main thread: on Linux the child dies with the thread that started it.
    """
    account = program.account
    uid, gid = ("-", "-") if account is None else (str(account.uid), str(account.gid))
    wrapper = (
        sys.executable,
        "-I",
        "-S",
        str(RUN_UNDER_PARENT),
        str(os.getpid()),
        str(int(program.death_signal)),
        uid,
        gid,
    )
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - the command lines are our own
        (*wrapper, *program.argv),
        env=kept | program.environment,
        pass_fds=program.pass_fds,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        cwd="/",
    )


def run(program: Program, *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run the program to its end and return its output; subprocess.TimeoutExpired when it takes too long."""
    with spawn(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, output.decode(errors="replace"))
