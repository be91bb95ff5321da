"""Servers that keep their data, which a test may kill and start again."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cli.embedded import postgres, valkey
from cli.embedded.port import free_port
from cli.embedded.program import spawn

START_S = 30.0
PASSWORD = secrets.token_urlsafe()


class Servers:
    """PostgreSQL and Valkey with their data kept."""

    def __init__(self, folder: Path) -> None:
        self.postgres = postgres.PostgresServer(folder / "postgres", port=free_port(), password=PASSWORD)
        self.valkey = valkey.ValkeyServer(folder / "valkey", port=free_port(), password=PASSWORD)
        self._log = folder / "servers.txt"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.postgres.prepare()
        self.valkey.prepare()

    def start_postgres(self) -> None:
        with self.postgres.program() as program, self._log.open("ab") as log:
            self.running["postgres"] = spawn(program, stdout=log, stderr=log)
        _wait(lambda: postgres.is_ready(self.postgres.url("postgres")))

    def start_valkey(self) -> None:
        with self._log.open("ab") as log:
            self.running["valkey"] = spawn(self.valkey.program(), stdout=log, stderr=log)
        _wait(lambda: valkey.is_ready(self.valkey.url()))

    def forget_valkey(self) -> None:
        """Lose its data, as a machine that comes back empty."""
        shutil.rmtree(self.valkey.folder)
        self.valkey.prepare()

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.send_signal(2)
        for process in self.running.values():
            process.wait()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, "a server did not start"
        time.sleep(0.02)
