"""Whether processes still run, for tests that kill them."""

from collections.abc import Iterable

import psutil


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; a zombie has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, ProcessLookupError):
        return False  # it ended between the two questions, or while /proc was read


def all_gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether not one of them runs."""
    return not any(runs(process) for process in processes)
