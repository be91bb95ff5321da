"""A scratch disk that can be full: a small tmpfs where we may mount one, else limits on the files of media children."""

import contextlib
import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil

SIZE_BYTES = 48 * 2**20
BLOCK = bytes(2**20)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small disk at the folder; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=700", "tmpfs", str(folder)]
    is_mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Leave not a byte free on the disk of this folder."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(BLOCK)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
        yield
    finally:
        filler.unlink()


def forbid_files(processes: list[psutil.Process]) -> None:
    """Let these processes write no further than the first block of any file."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.rlimit(resource.RLIMIT_FSIZE, (4096, 4096))
