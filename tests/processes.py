"""Whether processes still run, for tests that kill them, and whether they can be forked."""

import os
from collections.abc import Iterable

import psutil
import pytest

from workers.launcher import can_fork_children


def require_fork() -> None:
    """Skip where the system cannot fork media children, and executes them; in CI it has to."""
    if can_fork_children():
        return
    if os.environ.get("CI") == "true":
        pytest.fail("media children cannot be forked here, so half of their tests would not run")
    pytest.skip("media children are executed here")


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False  # it ended between the two questions, or while /proc was read


def all_gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether not one of them runs."""
    return not any(runs(process) for process in processes)
