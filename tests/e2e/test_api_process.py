import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.api.server import PASSWORD
from support.servers.fleet import COMMAND, environment, wait_for

from db.connection import SERVICE, Database
from services.jobs.service import enqueue
from services.process.settings import Settings


@contextmanager
def process(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "api"], env=environment(settings), stdout=output, stderr=output
        )
    try:
        wait_for(lambda: answers(settings) or running.poll() is not None, what="the API")
        yield running
    finally:
        running.kill()
        running.wait()


def answers(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.port}/health").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_that_is_told_to_stop_ends_streams_and_leaves_well(
    settings: Settings, database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "api.log"
    with process(settings, log) as api, httpx.Client(base_url=f"http://127.0.0.1:{settings.port}") as client:
        body = {"email": "ada@example.com", "password": PASSWORD}
        account = client.post("/api/auth/signup", json=body).json()["data"]
        client.headers["Authorization"] = f"Bearer {account['token']}"
        with database.transaction(SERVICE) as tx:
            job = enqueue(tx, kind="detect", user_id=account["id"])
        with client.stream("GET", f"/api/jobs/{job.id}/events") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event"))
            began = time.monotonic()
            api.send_signal(number)
            for _ in lines:
                pass
        assert api.wait(30) == 0, log.read_text()
        assert time.monotonic() - began < 30
    assert "Traceback" not in log.read_text()
    assert PASSWORD not in log.read_text()
    assert account["token"] not in log.read_text()


def test_two_processes_share_limits_and_sessions(settings: Settings, tmp_path: Path) -> None:
    from msgspec.structs import replace

    from cli.embedded.port import free_port

    other = replace(settings, port=free_port())
    body = {"email": "ada@example.com", "password": PASSWORD}
    with process(settings, tmp_path / "a.log"), process(other, tmp_path / "b.log"):
        first, second = (f"http://127.0.0.1:{one.port}" for one in (settings, other))
        token = httpx.post(f"{first}/api/auth/signup", json=body).json()["data"]["token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{second}/api/me", headers=headers).status_code == 200
        wrong = {**body, "password": "wrong password"}
        statuses = [httpx.post(f"{(first, second)[n % 2]}/api/auth/login", json=wrong).status_code for n in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        assert httpx.post(f"{second}/api/auth/logout", headers=headers).status_code == 200
        assert httpx.get(f"{first}/api/me", headers=headers).status_code == 401
