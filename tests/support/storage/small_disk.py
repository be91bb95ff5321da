"""A disk of its own for a test, small enough to be filled."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.servers.requirement import unavailable

MIB = 1024 * 1024


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of this size for as long as the block; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        unavailable("Only root can mount a small disk, and not in every container")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path, *, leave_bytes: int = 0) -> None:
    """Write a file until so much, or nothing, is left of its disk."""
    with path.open("ab", buffering=0) as file:
        while (free := free_bytes(path.parent) - leave_bytes) > 0:
            try:
                file.write(bytes(min(MIB, free)))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
