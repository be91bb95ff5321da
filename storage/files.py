"""Files below one folder: paths cannot leave it, and writes are complete or invisible."""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

from storage.keys import check_key
from storage.space import DiskReserve
from storage.store import ObjectNotFoundError, StorageError, StorageFullError

CHUNK_BYTES: Final = 1024 * 1024  # few system calls, and many transfers at once fit into memory
_PRUNE_TRIES: Final = 200  # a concurrent delete may remove the empty folder between mkdir and rename
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PRIVATE_DIR = 0o700
_PRIVATE_FILE = 0o600


def resolve_below(root: Path, key: str) -> Path:
    """Return the path of `key` below `root`; StorageError when a symbolic link on the way leads elsewhere.

    `root` itself must be resolved already.
    """
    path = root.joinpath(*check_key(key).split("/"))
    if os.path.realpath(path.parent) != str(path.parent):
        raise StorageError(f"The storage folder holds a symbolic link on the way to {key!r}; links are not followed.")
    return path


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, never through a symbolic link; ObjectNotFoundError when it does not exist."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise ObjectNotFoundError(f"There is no object {path.name!r}.") from None
    except OSError as error:
        raise StorageError(f"{path.name!r} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ObjectNotFoundError(f"There is no object {path.name!r}.")
    return os.fdopen(descriptor, "rb", buffering=0)


class Draft:
    """A file being written under a name of its own and hashed on the way; `publish` makes it visible.

    As a context manager it leaves nothing behind unless it was published. Not thread-safe: one caller at a time, from
    any thread. Every method raises StorageError when the disk refuses.
    """

    def __init__(self, folder: Path, *, reserve: DiskReserve | None = None) -> None:
        self.path = folder / f"draft-{secrets.token_hex(16)}"
        self._reserve = reserve
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size_bytes = 0
        with disk_errors("A file could not be created"):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self.path, flags, _PRIVATE_FILE), "wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, data: bytes | bytearray) -> None:
        """Append bytes; StorageFullError, with nothing written, when that would use the reserve."""
        if self._reserve is not None:
            self._reserve.require(len(data))
        self._md5.update(data)
        with disk_errors("The bytes could not be written"):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self.size_bytes += len(data)

    def append_file(self, source: BinaryIO, length: int) -> None:
        """Append `length` bytes of an open file inside the kernel, unhashed.

        StorageError when the file is shorter; StorageFullError, with nothing written, when that would use the reserve.
        """
        if self._reserve is not None:
            self._reserve.require(length)
        copied = 0
        while copied < length:
            with disk_errors("The bytes could not be written"):
                step = _copy_in_kernel(source.fileno(), self._file.fileno(), length - copied)
            if step == 0:
                raise StorageError(f"A stored part ends after {copied} of {length} bytes.")
            copied += step
        self.size_bytes += length

    @property
    def etag(self) -> str:
        """The MD5 of the bytes that `write` received, as S3 computes it."""
        return self._md5.hexdigest()

    def seal(self) -> os.stat_result:
        """Force the bytes to the disk, close the file, and return its stat."""
        with disk_errors("The bytes could not be written"):
            os.fsync(self._file.fileno())
            described = os.fstat(self._file.fileno())
        self._file.close()
        return described

    def publish(self, target: Path, *, durable: bool = True) -> None:
        """Rename the file, replacing an existing one; with `durable` the new name survives a power cut."""
        self._file.close()
        with disk_errors("The file could not be put in its place"):
            _rename(self.path, target)
            if durable:
                _sync_folder(target.parent)

    def discard(self) -> None:
        """Delete the draft; harmless after `publish`."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def _rename(path: Path, target: Path) -> None:
    for _ in range(_PRUNE_TRIES):
        with contextlib.suppress(FileNotFoundError):
            make_folder(target.parent)
            path.replace(target)
            return
    path.replace(target)


def _copy_in_kernel(source: int, target: int, length: int) -> int:
    if hasattr(os, "copy_file_range"):  # Linux; XFS and Btrfs share the blocks instead of copying
        with contextlib.suppress(OSError):  # such as EXDEV, or EINVAL on file systems without it
            return os.copy_file_range(source, target, length)
    return os.write(target, os.read(source, min(length, CHUNK_BYTES)))


@contextlib.contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn an OSError into a StorageError that begins with `what`."""
    try:
        yield
    except OSError as error:
        kind = StorageFullError if error.errno in _FULL else StorageError
        raise kind(f"{what}: {error.strerror}.") from error


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, private to this user."""
    if not folder.is_dir():
        # The mode of mkdir does not apply to the parents it creates, so each level is created by itself.
        make_folder(folder.parent)
        folder.mkdir(mode=_PRIVATE_DIR, exist_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the entries of a folder to the disk; otherwise a renamed file may be missing after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path, *, up_to: Path) -> None:
    """Delete a file if it exists, and the folders that become empty, up to but not including `up_to`."""
    try:
        path.unlink(missing_ok=True)
    except (NotADirectoryError, IsADirectoryError):
        return
    except PermissionError:
        if path.is_dir():  # macOS answers EPERM when a folder is unlinked
            return
        raise
    for folder in path.parents:
        if folder == up_to or not _remove_if_empty(folder):
            return


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def walk(folder: Path, prefix: str, key: str = "") -> Iterator[tuple[str, Path]]:
    """Yield (key, path) of the regular files below `folder` whose key starts with `prefix`, in S3's key order."""
    try:
        with os.scandir(folder) as scan:
            entries = [(_sort_name(entry), entry) for entry in scan]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, entry in sorted(entries, key=lambda pair: pair[0]):
        child = key + os.fsdecode(name)
        if name.endswith(b"/"):
            if child.startswith(prefix) or prefix.startswith(child):
                yield from walk(Path(entry.path), prefix, child)
        elif child.startswith(prefix) and entry.is_file(follow_symlinks=False):
            yield child, Path(entry.path)


def _sort_name(entry: os.DirEntry[str]) -> bytes:
    """Return the name as bytes, with a slash for a folder, so that sorting gives the key order of S3."""
    name = os.fsencode(entry.name)
    return name + b"/" if entry.is_dir(follow_symlinks=False) else name
