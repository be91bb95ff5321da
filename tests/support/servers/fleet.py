"""Worker and dispatcher processes as an operator runs them, and rows as the API makes them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import imageio_ffmpeg
import psutil

from db.connection import SERVICE, Database
from services.process.settings import Settings
from storage.keys import source_key
from storage.store import Store
from workers.children import exec_child as launch
from workers.children import fork_server

WAIT_S = 90.0
"""When to give up. On a machine with many times more work than cores, a process alone takes half of this to start."""
COMMAND = "from cli.main import main; main()"


def environment(settings: Settings) -> dict[str, str]:
    """The settings, as a process reads them."""
    given = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "STORAGE_DIR": str(settings.storage_dir or ""),
        "SCRATCH_DIR": str(settings.scratch_dir or ""),
        "S3_ENDPOINT": settings.s3_endpoint or "",
        "S3_ACCESS_KEY": settings.s3_access_key or "",
        "S3_SECRET_KEY": settings.s3_secret_key or "",
        "JWT_SECRET": settings.jwt_secret,
        "PUBLIC_URL": settings.public_url,
        "PORT": str(settings.port),
        "IMPORT_ALLOW_HOSTS": ",".join(settings.import_allow_hosts),
        "AUDIO_TAGGER_MODEL": str(settings.tagger_model or ""),
        "LOG_LEVEL": "info",
    }
    return {**os.environ, **{name: value for name, value in given.items() if value}}


class Fleet:
    """Processes of one installation; none outlives the block."""

    def __init__(self, settings: Settings, folder: Path, **variables: str) -> None:
        self.settings = settings
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._environment = {**environment(settings), **variables}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def worker(
        self, *, threads: int = 2, queues: Sequence[str] = (), options: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        chosen = ["--queues", ",".join(queues)] if queues else []
        return self._start("worker", "--threads", str(threads), *chosen, *options)

    def dispatcher(self) -> subprocess.Popen[bytes]:
        return self._start("dispatcher")

    def api(self, *, port: int, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        return self._start("api", *options, PORT=str(port))

    def realtime(self, *, port: int) -> subprocess.Popen[bytes]:
        return self._start("realtime", PORT=str(port))

    def log(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def log_of(self, process: subprocess.Popen[bytes]) -> str:
        [path] = self.folder.glob(f"{self.processes.index(process)}-*.log")
        return path.read_text(errors="replace")

    def _start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        path = self.folder / f"{len(self.processes)}-{command[0]}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *command],
                env={**self._environment, **environment},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The media children of a worker, and all that they have started; not what it forks them from."""
    try:
        found = media_children(psutil.Process(process.pid))
    except psutil.NoSuchProcess:
        return []
    return [*found, *(started for child in found for started in descendants(child))]


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All that a process has started, directly or not."""
    try:
        return descendants(psutil.Process(process.pid))
    except psutil.NoSuchProcess:
        return []


def media_children(parent: psutil.Process) -> list[psutil.Process]:
    """The media children of a process, executed or forked, without what they have started."""
    executed = [child for child in parent.children() if _runs_script(child, launch.__file__)]
    return [*executed, *(forked for server in fork_servers(parent) for forked in _children_of(server))]


def fork_servers(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children() if _runs_script(child, fork_server.__file__)]


def descendants(process: psutil.Process) -> list[psutil.Process]:
    return _children_of(process, recursive=True)


def _children_of(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    try:
        return process.children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


def _runs_script(process: psutil.Process, path: str) -> bool:
    try:
        return path in process.cmdline()
    except (psutil.Error, OSError):  # gone, or not ours yet
        return False


def kill_child(process: subprocess.Popen[bytes]) -> None:
    """kill -9 a child of a process, once it has one that has not ended by itself."""

    def strike() -> bool:
        for child in children(process):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
                return True
        return False

    wait_for(strike, what="a media child")


def kill_fork_server(process: subprocess.Popen[bytes]) -> None:
    """kill -9 what a worker forks its media children from, once it has one of these that works."""

    def strike() -> bool:
        if not children(process):
            return False
        servers = fork_servers(psutil.Process(process.pid))
        for server in servers:
            server.kill()
        return bool(servers)

    wait_for(strike, what="a fork server with a child")


def wait_for(look: Callable[[], Any], *, timeout_s: float = WAIT_S, what: str = "it") -> Any:
    """Return the first thing that `look` finds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s:.0f} s for {what} in vain")


def rows(database: Database, statement: str, **parameters: Any) -> list[dict[str, Any]]:
    with database.transaction(SERVICE) as tx:
        return tx.execute(statement, parameters).fetchall()


def add_user(database: Database, *, tier: str = "free") -> UUID:
    user_id = uuid4()
    with database.transaction(SERVICE) as tx:
        tx.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user_id, f"{user_id.hex}@example.org"))
        tx.execute("UPDATE subscriptions SET tier = %s, status = 'active' WHERE user_id = %s", (tier, user_id))
    return user_id


def add_ready_recording(database: Database, store: Store, user_id: UUID, media: Path, *, duration_s: float) -> UUID:
    """A recording whose ingest and detection are behind it."""
    recording_id = add_recording(database, store, user_id, media)
    with database.transaction(SERVICE) as tx:
        tx.execute(
            "UPDATE recordings SET status = 'ready', probe = '{}', duration_s = %s, has_audio = true, "
            "has_video = true, timeline_key = 'none' WHERE id = %s",
            (duration_s, recording_id),
        )
    return recording_id


def add_recording(database: Database, store: Store, user_id: UUID, media: Path) -> UUID:
    """A recording that has just been uploaded."""
    recording_id = uuid4()
    key = source_key(user_id, recording_id)
    store.put_file(key, media, content_type="video/mp4")
    with database.transaction(SERVICE) as tx:
        tx.execute(
            "INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key) "
            "VALUES (%s, %s, 'Talk', 'talk.mp4', 'video/mp4', %s, 'processing', %s)",
            (recording_id, user_id, media.stat().st_size, key),
        )
    return recording_id


def make_media(path: Path, *, duration_s: int = 30, size: str = "320x180") -> Path:
    """A moving picture with a tone that grows loud now and then."""
    tone = f"sine=frequency=440:duration={duration_s},volume='if(lt(mod(t,10),7),0.05,0.9)':eval=frame"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "lavfi", "-i", f"testsrc2=duration={duration_s}:size={size}:rate=25", "-f", "lavfi", "-i", tone]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)
    return path


@contextlib.contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a process, as a machine that swaps or a paused container does."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
