"""Limits that a media child sets on itself before it opens a file: memory, CPU, file size, open files, no core dump.

The parent passes them in the environment, because they belong to the process and not to its task:
`SNUGGLES_CHILD_MEMORY_BYTES` (private writable memory), `SNUGGLES_CHILD_CPU_S`, `SNUGGLES_CHILD_FILE_BYTES` (the
largest single file), `SNUGGLES_CHILD_FILES` (open descriptors). A missing variable means no limit. FFmpeg inherits all.
`SNUGGLES_CHILD_THREADS` is the number of cores that the work may keep busy.
"""

import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

MEMORY = "SNUGGLES_CHILD_MEMORY_BYTES"
CPU = "SNUGGLES_CHILD_CPU_S"
FILE = "SNUGGLES_CHILD_FILE_BYTES"
FILES = "SNUGGLES_CHILD_FILES"
THREADS = "SNUGGLES_CHILD_THREADS"
CPU_GRACE_S = 5
"""Seconds between SIGXCPU, which ends the work with a cause, and SIGKILL."""


class Limits(Struct, frozen=True, kw_only=True):
    """The limits of one media process; None means no limit."""

    memory_bytes: int | None = None
    cpu_s: int | None = None
    file_bytes: int | None = None
    files: int | None = None

    def environment(self) -> dict[str, str]:
        """Return the environment variables that pass these limits to a child."""
        values = {MEMORY: self.memory_bytes, CPU: self.cpu_s, FILE: self.file_bytes, FILES: self.files}
        return {name: str(value) for name, value in values.items() if value is not None}


def from_environment(environment: Mapping[str, str] = os.environ) -> Limits:
    """Read the limits from the environment; ValueError names a variable that is not a positive whole number."""
    return Limits(
        memory_bytes=_positive(environment, MEMORY),
        cpu_s=_positive(environment, CPU),
        file_bytes=_positive(environment, FILE),
        files=_positive(environment, FILES),
    )


def apply(limits: Limits) -> None:
    """Set the limits on this process and its descendants; a lower existing limit stays. Core dumps are always off.

    Memory is RLIMIT_DATA, not RLIMIT_AS: thread stacks and allocator arenas reserve gigabytes of unused address space,
    so a limit on addresses would have no effect or kill work that uses little.
    """
    _lower(resource.RLIMIT_CORE, 0)
    if limits.memory_bytes is not None:
        _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    if limits.cpu_s is not None:
        _lower(resource.RLIMIT_CPU, limits.cpu_s, limits.cpu_s + CPU_GRACE_S)
    if limits.file_bytes is not None:
        _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    if limits.files is not None:
        _lower(resource.RLIMIT_NOFILE, limits.files)


def is_own_file_limit(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the current limit on file sizes is the parent's, or there is none.

    A lower limit was set by the system; like a full disk, it says nothing about the media.
    """
    own = from_environment(environment).file_bytes
    in_force = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return own is None or in_force == resource.RLIM_INFINITY or in_force >= own


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    current_soft, current_hard = resource.getrlimit(kind)
    wanted_hard = soft if hard is None else hard
    new_hard = wanted_hard if current_hard == resource.RLIM_INFINITY else min(wanted_hard, current_hard)
    new_soft = soft if current_soft == resource.RLIM_INFINITY else min(soft, current_soft)
    resource.setrlimit(kind, (min(new_soft, new_hard), new_hard))


def thread_count() -> int:
    """Return how many cores this work may keep busy: the parent's number, else those that this process may run on."""
    given = os.environ.get(THREADS, "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return core_count()


def core_count() -> int:
    """Return how many cores this process may run on, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _positive(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if not text:
        return None
    if not text.isdigit() or int(text) == 0:
        raise ValueError(f"{name} must be a positive whole number, not {text!r}")
    return int(text)


def leave_realtime() -> None:
    """Reset every thread of this process to ordinary scheduling.

    SVT-AV1 takes real-time priority as root. It would leave no CPU time to other processes, and children of this thread
    would inherit it.
    """
    if not hasattr(os, "sched_setscheduler"):
        return  # not Linux
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended, or is ordinary and cannot be changed
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
