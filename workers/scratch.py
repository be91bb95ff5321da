"""Scratch folders: one for each attempt, removed when it ends or, after a kill, by the next process that starts."""

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
"""A killed encoder may still write while its folder is removed."""
CACHE = "cache"
IDLE_CACHES = 2
"""Number of idle caches. Each may take half a gigabyte; clips of one recording mostly come in a row."""
CACHE_IDLE_S = 60.0
"""How long a cache outlives the last attempt that used it."""
CACHE_FREE_BYTES = 2**30
"""With less free disk space than this, a cache is removed at once."""

log = structlog.get_logger(__name__)


class Scratch:
    """The folder of this process on the scratch disk. A lock on a file in it shows that the process lives."""

    def __init__(self, root: Path, name: str, *, cache_idle_s: float = CACHE_IDLE_S) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._folder = root / name
        self._folder.mkdir(mode=0o711)  # children with another user can open their own folders, but not list this one
        self._lock = os.open(self._folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._cache_idle_s = cache_idle_s
        self._cache_lock = threading.Lock()
        self._users: Counter[str] = Counter()
        self._idle: dict[str, threading.Timer] = {}

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Create a folder for one attempt and remove it afterwards."""
        path = self._folder / name
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            remove(path)

    @contextmanager
    def cache(self, recording: str) -> Iterator[Path]:
        """Return the cache folder of a recording (by its key), shared by all attempts that work on it.

        It is removed a minute after the last attempt ends, or earlier when other caches replace it.
        """
        name = named(recording)
        path = self._folder / CACHE / name
        with self._cache_lock:
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
        with self._cache_lock:
            self._users[name] -= 1
            if self._users[name]:
                return
            del self._users[name]
            if shutil.disk_usage(self._folder).free < CACHE_FREE_BYTES:
                remove(self._folder / CACHE / name)
                return
            timer = threading.Timer(self._cache_idle_s, self._forget, [name])
            timer.daemon = True
            timer.start()
            self._idle[name] = timer
            for oldest in list(self._idle)[:-IDLE_CACHES]:
                self._idle.pop(oldest).cancel()
                remove(self._folder / CACHE / oldest)

    def _forget(self, name: str) -> None:
        with self._cache_lock:
            if self._idle.get(name) is threading.current_thread():
                del self._idle[name]
                remove(self._folder / CACHE / name)

    def close(self) -> None:
        """Remove the folder of this process."""
        with self._cache_lock:
            for timer in self._idle.values():
                timer.cancel()
            self._idle.clear()
        os.close(self._lock)
        remove(self._folder)


def named(key: str) -> str:
    """Return a file name for an object key: a hash, so that any key gives a valid name."""
    return sha256(key.encode()).hexdigest()[:32]


def sweep(root: Path) -> int:
    """Remove the folders of dead processes; return how many."""
    swept = 0
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir() and _is_abandoned(folder):
            remove(folder)
            swept += 1
    return swept


def remove(folder: Path) -> None:
    """Remove a folder and its contents; if that fails, log it and leave the folder to the next sweep."""
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
        # Being created, or half removed by another sweep. An old one is abandoned.
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
