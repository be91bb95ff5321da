"""Whether processes still run, for tests that kill them, and whether they can be forked."""

from collections.abc import Iterable

import psutil
from support.servers.requirement import unavailable

from workers.children.launcher import can_fork_children


def require_fork() -> None:
    """Skip where the system cannot fork media children, and executes them; in CI it has to."""
    if not can_fork_children():
        unavailable("media children cannot be forked here: half of their tests do not run")


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False  # it ended between the two questions, or while /proc was read


def all_gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether not one of them runs."""
    return not any(runs(process) for process in processes)
