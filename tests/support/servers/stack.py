"""`snuggles up` under observation."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
from support.api.command import COMMAND, PLAIN
from support.servers.processes import runs

WAIT_S = 90.0


class Stack:
    """One `snuggles up`; nothing of it outlives the block."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        command: Sequence[str] = COMMAND,
        user: int | None = None,
    ) -> None:
        self.data = data
        self.screen = data.parent / f"{data.name}.screen"
        self._command = [*command, "up", "--data", str(data), *(arguments or ("--port", "0"))]
        self._environment = PLAIN | (environment or {})
        self._user = user
        self.seen: dict[int, psutil.Process] = {}

    def __enter__(self) -> Self:
        with self.screen.open("wb") as screen:
            self.process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self.data.parent,
                stdout=screen,
                stderr=subprocess.STDOUT,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.look()
        self.process.kill()
        self.process.wait()
        for process in self.survivors():
            process.kill()

    @property
    def said(self) -> str:
        return self.screen.read_text(errors="replace")

    def until(self, condition: Callable[[], Any], what: str = "condition") -> Any:
        deadline = time.monotonic() + WAIT_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"{what} did not come:\n{self.said}"
            time.sleep(0.05)
        return found

    def ready(self) -> str:
        """Wait for the service and return its address."""

        def announced() -> str | None:
            assert self.process.poll() is None, self.said
            found = re.search(r"^ready (http://\S+)$", self.said, re.MULTILINE)
            return found.group(1) if found else None

        url = self.until(announced, "ready")
        self.look()
        return url

    def pids(self) -> dict[str, int]:
        running = json.loads((self.data / "run.json").read_text())
        return {name: known["pid"] for name, known in running["processes"].items()}

    def look(self) -> None:
        """Remember every process there is now."""
        for process in [self.process.pid, *self.pids().values()] if (self.data / "run.json").exists() else []:
            try:
                family = [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            self.seen |= {member.pid: member for member in family}

    def survivors(self) -> list[psutil.Process]:
        """Return processes of this stack that still run."""
        return [process for process in self.seen.values() if runs(process)]

    def kill(self, name: str) -> None:
        """kill -9 a part and wait until it is there again and the service is well."""
        url = self.ready()
        before = self.pids()[name]
        psutil.Process(before).kill()
        self.until(lambda: self.pids().get(name, before) != before, f"a new {name}")
        self.until(lambda: is_well(url), f"health after {name} was killed")
        self.look()

    def kill_quietly(self, name: str) -> None:
        """kill -9 a part, whether it comes back or not."""
        psutil.Process(self.pids()[name]).kill()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop and return its exit status."""
        self.look()
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


def is_well(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
