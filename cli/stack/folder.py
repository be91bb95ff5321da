"""The data folder of an embedded stack: its lock, its secrets, and a list of running processes."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
from msgspec import Struct

from cli.errors import BrokenEnvironmentError
from cli.private_file import write_private

DEFAULT_FOLDER = ".snuggles"
# How long leftover processes of a killed supervisor may take to end before they are killed.
LEFTOVER_GRACE_S = 20


def _random() -> str:
    return secrets.token_hex(32)


class Secrets(Struct, kw_only=True):
    """The secrets of a folder, generated once."""

    database_owner: str = msgspec.field(default_factory=_random)
    database_application: str = msgspec.field(default_factory=_random)
    redis: str = msgspec.field(default_factory=_random)
    jwt: str = msgspec.field(default_factory=_random)
    stripe_webhook: str = msgspec.field(default_factory=lambda: f"whsec_{_random()}")
    admin_token: str = msgspec.field(default_factory=_random)
    demo_password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(12))


class RunningProcess(Struct, frozen=True):
    """A process; its start time distinguishes it from a later one with the same id."""

    pid: int
    created_at: float


class Running(Struct, kw_only=True):
    """The processes that the last supervisor of this folder started."""

    url: str = ""
    environment: dict[str, str] = {}
    """The settings of its processes, with which other commands reach the same database."""
    processes: dict[str, RunningProcess] = {}


class DataFolder:
    """The folder with all data of a stack, accessible to its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"
        self.storage = self.path / "storage"
        self.scratch = self.path / "scratch"
        self.logs = self.path / "logs"

    def create(self) -> None:
        """Create the folder; BrokenEnvironmentError when that fails."""
        try:
            for folder in (self.path, self.logs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)  # it may exist with other permissions
        except OSError as error:
            raise BrokenEnvironmentError(
                f"The data folder {self.path} cannot be used ({error.strerror}); choose another with --data"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other stacks during the block; the lock ends with the process.

        BrokenEnvironmentError when another stack uses it.
        """
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BrokenEnvironmentError(
                f"The data folder {self.path} belongs to another user ({error.strerror}); choose another with --data"
            ) from error
        try:
            _lock(fd, self.path)
            yield
        finally:
            os.close(fd)

    def is_locked(self) -> bool:
        """Return whether a stack runs on this folder."""
        try:
            with self.locked():
                return False
        except BrokenEnvironmentError:
            return True

    def secrets(self) -> Secrets:
        """Return the secrets of the folder, generating them at first. The caller holds the lock."""
        path = self.path / "secrets.json"
        known = msgspec.json.decode(path.read_bytes(), type=Secrets) if path.exists() else Secrets()
        write_private(path, msgspec.json.format(msgspec.json.encode(known)).decode())
        return known

    def running(self) -> Running:
        """Return the processes that the last supervisor recorded."""
        try:
            return msgspec.json.decode((self.path / "run.json").read_bytes(), type=Running)
        except FileNotFoundError:
            return Running()

    def write_running(self, running: Running) -> None:
        """Record the running processes, for other commands and for the next start."""
        write_private(self.path / "run.json", msgspec.json.encode(running).decode())

    def end_leftovers(self) -> None:
        """End processes that outlived a killed supervisor; the new ones continue their jobs."""
        left = [process for known in self.running().processes.values() if (process := _alive(known))]
        _, stubborn = psutil.wait_procs(left, timeout=LEFTOVER_GRACE_S)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, timeout=LEFTOVER_GRACE_S)


def default_folder() -> Path:
    """Return the folder used without --data."""
    return Path(os.environ.get("SNUGGLES_DATA") or DEFAULT_FOLDER)


def process_of(pid: int) -> RunningProcess:
    """Describe a process that was just started."""
    try:
        return RunningProcess(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return RunningProcess(pid, 0.0)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
        raise BrokenEnvironmentError(
            f"Process {holder} already runs a stack on {path}; stop it first, or choose another folder with --data"
        ) from error
    os.truncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())


def _alive(known: RunningProcess) -> psutil.Process | None:
    try:
        process = psutil.Process(known.pid)
        if process.create_time() != known.created_at or process.status() == psutil.STATUS_ZOMBIE:
            return None
        process.terminate()
    except psutil.NoSuchProcess:
        return None
    return process
