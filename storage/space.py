"""Keeps part of a disk free for the rest of the machine: database, queue, logs and running jobs."""

from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage

from storage.store import StorageFullError

FreeBytes = Callable[[Path], int]


def free_bytes_of(path: Path) -> int:
    """Return the free bytes of the disk that holds `path`."""
    return disk_usage(path).free


class DiskReserve:
    """Refuses bytes that would leave less than `reserve_bytes` of the disk under `folder`."""

    def __init__(self, folder: Path, reserve_bytes: int, *, free_bytes: FreeBytes = free_bytes_of) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._free_bytes = free_bytes

    def require(self, size_bytes: int) -> None:
        """Raise StorageFullError if these bytes would use the reserve."""
        if self._free_bytes(self._folder) - size_bytes < self._reserve_bytes:
            raise StorageFullError(
                "The server's disk is nearly full, so nothing is stored now. The operator can delete recordings and "
                "clips to make room."
            )
