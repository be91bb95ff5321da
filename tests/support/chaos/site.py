"""One installation for a storm: real servers behind proxies, and the processes of a fleet, which are started again."""

import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from support.api.receiver import Receiver
from support.chaos.proxy import Proxy
from support.servers.durable import PASSWORD, Servers
from support.servers.fleet import Fleet, rows
from support.servers.range_server import RangeServer
from support.storage.swift import SwiftServer

from cli.embedded import postgres
from cli.embedded.port import free_port
from db.connection import Database, DatabaseUnavailableError
from db.migrate import migrate
from services.process.settings import Settings, load
from storage.factory import Buckets, open_s3_buckets
from workers.scratch import CACHE

APIS, DISPATCHERS, WORKERS = 2, 2, 3
RESERVE_BYTES = 4 * 2**20
"""Of a scratch disk of storm_scratch.SIZE_BYTES."""
PATIENCE_S = 120.0
"""How long nothing at all may change. Longer than a lease, a reconciler's pause and a busy machine together."""
STAMP = (
    "SELECT (SELECT count(*) FROM job_events) AS events, (SELECT sum(progress) FROM jobs) AS progress, "
    "(SELECT count(*) FROM recordings) AS recordings, (SELECT sum(attempts) FROM webhook_deliveries) AS deliveries"
)
READY = ("worker_ready", " serving ", "dispatcher_active")


class Site:
    """What a storm strikes. `database` and `buckets` look past the proxies."""

    def __init__(self, folder: Path, told: Receiver, source: RangeServer) -> None:
        self.folder = folder
        self.told = told
        self.source = source
        """Where imports come from."""
        self.servers = Servers(folder)
        self.swift = SwiftServer(_made(folder / "swift"))
        self.scratch = _made(folder / "scratch")
        self.apis: dict[int, subprocess.Popen[bytes]] = {}
        self.dispatchers: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.deserters: list[str] = []
        """Processes that ended though nobody had struck them."""
        self.struck: set[int] = set()

    def start(self) -> None:
        self.servers.start_postgres()
        self.servers.start_valkey()
        self.swift.start()
        postgres.ensure_database(self.servers.postgres.url("postgres"))
        migrate(self.servers.postgres.url())
        postgres.let_application_in(self.servers.postgres.url(), password=PASSWORD)
        self.postgres_proxy = Proxy(self.servers.postgres.port)
        self.valkey_proxy = Proxy(self.servers.valkey.port)
        self.swift_proxy = Proxy(self.swift.port)
        self.settings = self._settings()
        self.database = Database(self._database_url(self.servers.postgres.port))
        self.database.open(wait_s=20)
        self.buckets: Buckets = open_s3_buckets(self.swift.access, create_buckets=True)
        self.fleet = Fleet(self.settings, _made(self.folder / "logs"), DISK_RESERVE_BYTES=str(RESERVE_BYTES))
        for _ in range(APIS):
            port = free_port()
            self.apis[port] = self.fleet.api(port=port)
        self.dispatchers = [self.fleet.dispatcher() for _ in range(DISPATCHERS)]
        self.workers = [self.fleet.worker(threads=1) for _ in range(WORKERS)]

    def stop(self) -> None:
        for name in ("fleet", "database", "postgres_proxy", "valkey_proxy", "swift_proxy"):
            part = getattr(self, name, None)
            if part is not None:
                part.__exit__(None, None, None) if name == "fleet" else part.close()
        self.swift.kill()
        self.servers.stop()

    @property
    def addresses(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.apis]

    def replace(self, process: subprocess.Popen[bytes]) -> None:
        """Start another of its kind, as a supervisor does."""
        for port, api in self.apis.items():
            if api is process:
                self.apis[port] = self.fleet.api(port=port)
                return
        kind, start = (
            (self.workers, lambda: self.fleet.worker(threads=1))
            if process in self.workers
            else (self.dispatchers, self.fleet.dispatcher)
        )
        kind[kind.index(process)] = start()

    def supervise(self) -> None:
        """Replace what has ended. Who was up and was not struck should not have."""
        for process in [*self.apis.values(), *self.dispatchers, *self.workers]:
            if process.poll() is None:
                continue
            log = self.fleet.log_of(process)
            if process.pid not in self.struck and any(word in log for word in READY):
                self.deserters.append(f"{process.returncode}: {log[-1500:]}")
            self.replace(process)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]] | None:
        """None while the database is away."""
        try:
            return rows(self.database, statement, **values)
        except DatabaseUnavailableError:
            return None

    def media_processes(self) -> list[psutil.Process]:
        """Every process that works in the scratch folder, whatever its parent."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def scratch_folders(self) -> list[Path]:
        return [path for path in self.scratch.glob("*/*") if path.is_dir() and path.name != CACHE]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.cwd().startswith(str(self.scratch))
        except (psutil.Error, OSError):
            return False

    def _database_url(self, port: int) -> str:
        return postgres.database_url(postgres.APPLICATION, PASSWORD, port, postgres.DATABASE)

    def _settings(self) -> Settings:
        valkey = self.servers.valkey
        return load(
            {
                "DATABASE_URL": self._database_url(self.postgres_proxy.port),
                "REDIS_URL": valkey.url().replace(f":{valkey.port}", f":{self.valkey_proxy.port}"),
                **self.swift.environment,
                "S3_ENDPOINT": f"http://127.0.0.1:{self.swift_proxy.port}",
                "SCRATCH_DIR": str(self.scratch),
                "JWT_SECRET": secrets.token_hex(32),
                "IMPORT_ALLOW_HOSTS": f"{self.told.authority},{urlsplit(self.source.url).netloc}",
            }
        )


class Pulse:
    """Waits for as long as anything goes on, however slow the machine is."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: Any = None
        self._changed_s = time.monotonic()

    def feel(self) -> None:
        """Look once; AssertionError when nothing has changed for PATIENCE_S."""
        self._site.supervise()
        stamp = (self._site.rows(STAMP), len(self._site.told.received))
        if stamp[0] is not None and stamp != self._seen:
            self._seen, self._changed_s = stamp, time.monotonic()
        still_s = time.monotonic() - self._changed_s
        assert still_s < PATIENCE_S, f"nothing has happened for {still_s:.0f} s; last seen {self._seen}"

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        """Return the first thing that `look` finds; None while it cannot look."""
        while True:
            found = look()
            if found:
                return found
            try:
                self.feel()
            except AssertionError as error:
                raise AssertionError(f"waited for {what} in vain: {error}") from error
            time.sleep(0.1)


def kill_postgres(site: Site) -> None:
    """kill -9 the postmaster and wait until its backends have noticed: they hold the shared memory."""
    process = psutil.Process(site.servers.running["postgres"].pid)
    backends = process.children(recursive=True)
    site.servers.kill("postgres")
    psutil.wait_procs(backends, timeout=30)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
