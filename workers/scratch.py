"""Folders for files in the making: one for each attempt, removed whatever happens, even when the process is killed."""

import fcntl
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import structlog

LOCK = "in-use"
REMOVE_TRIES = 5
REMOVE_PAUSE_S = 0.1
"""A killed encoder may still be writing while its folder is being removed."""
KEPT = "kept"
KEPT_FOLDERS = 2
"""Recordings that nobody is working on. Each may hold half a gigabyte; clips of one mostly come in a row."""
KEPT_S = 60.0
"""How long what was read of a recording outlives the last clip made of it."""
KEPT_FREE_BYTES = 2**30
"""With less room than this on the disk nothing outlives its clip."""

log = structlog.get_logger(__name__)


class Scratch:
    """This process's corner of the scratch disk. A lock held on a file in it says that the process lives."""

    def __init__(self, root: Path, name: str, *, kept_s: float = KEPT_S) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._folder = root / name
        self._folder.mkdir(mode=0o700)
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._kept_s = kept_s
        self._kept_lock = threading.Lock()
        self._users: Counter[str] = Counter()
        self._idle: dict[str, threading.Timer] = {}

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Make a folder for one attempt and remove it with all that is in it afterwards."""
        path = self._folder / name
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            remove(path)

    @contextmanager
    def kept(self, recording: str) -> Iterator[Path]:
        """Offer a folder for what is read of a recording (by its key), to all attempts that work on it.

        It goes a minute after the last of them, or sooner when other recordings want its place.
        """
        name = named(recording)
        path = self._folder / KEPT / name
        with self._kept_lock:
            self._users[name] += 1
            timer = self._idle.pop(name, None)
            if timer is not None:
                timer.cancel()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            yield path
        finally:
            self._leave(name)

    def _leave(self, name: str) -> None:
        with self._kept_lock:
            self._users[name] -= 1
            if self._users[name]:
                return
            del self._users[name]
            if shutil.disk_usage(self._folder).free < KEPT_FREE_BYTES:
                remove(self._folder / KEPT / name)
                return
            timer = threading.Timer(self._kept_s, self._forget, [name])
            timer.daemon = True
            timer.start()
            self._idle[name] = timer
            for oldest in list(self._idle)[:-KEPT_FOLDERS]:
                self._idle.pop(oldest).cancel()
                remove(self._folder / KEPT / oldest)

    def _forget(self, name: str) -> None:
        with self._kept_lock:
            if self._idle.get(name) is threading.current_thread():
                del self._idle[name]
                remove(self._folder / KEPT / name)

    def close(self) -> None:
        """Remove what is left."""
        with self._kept_lock:
            for timer in self._idle.values():
                timer.cancel()
            self._idle.clear()
        os.close(self._lock)
        remove(self._folder)


def named(key: str) -> str:
    """Return a file name for a key of storage, the same for the same key and no other."""
    return sha256(key.encode()).hexdigest()[:32]


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
