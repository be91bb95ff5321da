"""`snuggles up` on a disk that fills up: the supervisor stays, and everything is well again when there is room."""

import time
from pathlib import Path

import httpx
import pytest
from support.servers.stack import Stack, is_well
from support.storage.small_disk import MIB, fill, small_disk

ACCOUNT = {"password": "a password of some length"}


@pytest.mark.timeout(300)
def test_stack_survives_a_full_disk_and_recovers(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", size_bytes=500 * MIB) as disk,
        Stack(disk / "stack", environment={"DISK_RESERVE_BYTES": str(50 * MIB)}) as stack,
    ):
        url = stack.ready()
        signed_up = httpx.post(f"{url}/api/auth/signup", json={**ACCOUNT, "email": "ada@example.org"})
        assert signed_up.status_code in (201, 202)
        fill(disk / "filler")
        stack.kill_quietly("valkey")
        stack.kill_quietly("postgres")
        for number in range(10):
            try:
                httpx.post(f"{url}/api/auth/signup", json={**ACCOUNT, "email": f"{number}@example.org"}, timeout=5)
            except httpx.TransportError:
                time.sleep(0.5)
            fill(disk / "filler")
        time.sleep(3)
        assert stack.process.poll() is None, stack.said
        (disk / "filler").unlink()
        stack.until(lambda: is_well(url), "health after there was room")
        again = httpx.post(f"{url}/api/auth/login", json={**ACCOUNT, "email": "ada@example.org"}, timeout=20)
        assert again.status_code == 200, again.text
        stack.until(lambda: set(stack.pids()) >= {"postgres", "valkey", "api", "worker", "dispatcher"}, "every part")
        assert stack.stop() == 0
