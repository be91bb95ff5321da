"""Folders for files in the making: one for each attempt, removed whatever happens, even when the process is killed."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

LOCK = "in-use"
REMOVE_TRIES = 5
REMOVE_PAUSE_S = 0.1
"""A killed encoder may still be writing while its folder is being removed."""

log = structlog.get_logger(__name__)


class Scratch:
    """This process's corner of the scratch disk. A lock held on a file in it says that the process lives."""

    def __init__(self, root: Path, name: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._folder = root / name
        self._folder.mkdir(mode=0o700)
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Make a folder for one attempt and remove it with all that is in it afterwards."""
        path = self._folder / name
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            remove(path)

    def close(self) -> None:
        """Remove what is left."""
        os.close(self._lock)
        remove(self._folder)


def sweep(root: Path) -> int:
    """Remove the corners of processes that are gone, and return how many there were."""
    swept = 0
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir() and _is_abandoned(folder):
            remove(folder)
            swept += 1
    return swept


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; one that stays is logged, and left to the next sweep."""
    for _ in range(REMOVE_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(REMOVE_PAUSE_S)
    log.warning("scratch_not_removed", folder=str(folder))


def _is_abandoned(folder: Path) -> bool:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Just being made, or half removed by another sweep: old enough ones are nobody's.
        return _age_s(folder) > 60  # noqa: PLR2004 - far longer than it takes to make a folder and a file in it
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
