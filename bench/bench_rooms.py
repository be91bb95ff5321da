"""Rooms against Node's own socket.io server, driven by the same Node clients in the same run.

python bench/bench_rooms.py [--messages 300] [--idle 1000] [--creates 600]

100 sockets of 50 people are in one room. Ours keeps every message in PostgreSQL; the peer keeps nothing. `socket.io`,
which only this needs, is installed into .cache/bench-rooms.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from bench_queue import add_user, database, servers

from cli.embedded.port import free_port
from db.connection import SERVICE, Database
from services.accounts.token import Tokens
from services.billing import tier as tiers
from services.polls import service as polls
from services.process.settings import Settings
from services.rooms import membership
from services.rooms import service as rooms
from services.rooms.person import Person

ROOT = Path(__file__).parents[1]
PEER = ROOT / ".cache/bench-rooms"
PEOPLE, SOCKETS = 50, 100
PER_SECOND = 20
CREATES_PER_SECOND = 10
IDLE_ROOMS = 100
MIB = 1024**2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--creates", type=int, default=600)
    options = parser.parse_args()
    install_peer()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as base, database(base) as pool:
        settings = msgspec.structs.replace(base, port=free_port(), public_url="http://127.0.0.1")
        site = Site(pool, settings)
        with process("realtime", settings) as server, clients() as driver:
            log("ours")
            ours = measure_talk(driver, server, site.url, site.tokens(), site.code, options.messages)
            votes = ask(driver, run="vote", pollId=site.ask(), voters=PEOPLE)
        peer_port = free_port()
        with peer(peer_port) as server, clients() as driver:
            log("Node")
            theirs = measure_talk(
                driver, server, f"http://127.0.0.1:{peer_port}", ["none"] * SOCKETS, "room", options.messages
            )
        with process("realtime", settings) as server, clients() as driver:
            log("idle clients")
            idle_mib = measure_idle(driver, server, site, options.idle)
        with process("api", settings):
            log("creations")
            creates_ms, failures = measure_creates(site, options.creates)
    print(f"{SOCKETS} sockets of {PEOPLE} people in a room, {PER_SECOND} messages a second:")
    for title, found in (("ours", ours), ("Node's socket.io", theirs)):
        print(
            f"  {title}: {found['cpu_us']:.1f} µs of server CPU a delivery, p50 {found['latencies']['p50']:.1f} ms, "
            f"p99 {found['latencies']['p99']:.1f} ms, {found['deliveries']} of {found['wanted']} delivered"
        )
    print(f"  ratio of CPU {ours['cpu_us'] / theirs['cpu_us']:.2f} (at most 2)")
    print(f"  ratio of p99 {ours['latencies']['p99'] / theirs['latencies']['p99']:.2f} (at most 1.5)")
    print(f"vote to everybody's result, {PEOPLE} voters: p99 {votes['latencies']['p99']:.0f} ms (at most 150)")
    print(f"{options.idle} idle clients in {IDLE_ROOMS} rooms: {idle_mib:.0f} MiB (at most 150 MB = 143 MiB)")
    print(
        f"POST /api/rooms/create at {CREATES_PER_SECOND} a second: p50 {statistics.median(creates_ms):.0f} ms, "
        f"p99 {sorted(creates_ms)[int(0.99 * len(creates_ms))]:.0f} ms (at most 50), {failures} failures"
    )


def log(what: str) -> None:
    """Say what is measured now."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


class Site:
    """An installation with people, a room and tokens."""

    def __init__(self, pool: Database, settings: Settings) -> None:
        self.pool = pool
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.port}"
        self.host = add_user(pool)
        with pool.transaction(SERVICE) as tx:
            tx.execute("UPDATE subscriptions SET tier = 'pro', status = 'active'")
        room = self.open_room()
        self.code, self.room_id = room.room.room_code, room.room.id
        self.people = [self.host, *(add_user(pool) for _ in range(PEOPLE - 1))]
        with pool.transaction(SERVICE) as tx:
            for user_id in self.people[1:]:
                membership.join(tx, Person(user_id=user_id), room_id=self.room_id, has_code=True)

    def open_room(self) -> rooms.Membership:
        """Open a room of 50 places."""
        with self.pool.transaction(SERVICE) as tx:
            tier = tiers.tier_of(tx, user_id=self.host)
            return rooms.create(
                tx,
                user_id=self.host,
                tier=tier,
                name="Load Test Room",
                max_participants=PEOPLE,
                is_private=False,
                allow_guests=False,
            )

    def tokens(self) -> list[str]:
        """Return a token for each socket: two of each person, the first of everybody first."""
        issued = [Tokens(self.settings.jwt_secret).issue(user_id).token for user_id in self.people]
        return [issued[number % PEOPLE] for number in range(SOCKETS)]

    def ask(self) -> str:
        """Begin a poll."""
        with self.pool.transaction(SERVICE) as tx:
            made = polls.create(
                tx,
                Person(user_id=self.host),
                room_id=self.room_id,
                poll_type="topic",
                question="What next?",
                options=["Trains", "Ships"],
                duration_seconds=600,
            )
        return str(made.poll.id)


def measure_talk(  # noqa: PLR0913, PLR0917 - one a side of the measurement
    driver: subprocess.Popen[str], server: psutil.Process, url: str, tokens: list[str], room: str, messages: int
) -> dict[str, Any]:
    """Return deliveries, latencies and the server's CPU a delivery."""
    ask(driver, run="open", url=url, tokens=tokens, room=room)
    ask(driver, run="talk", messages=40, perSecond=PER_SECOND)  # warm up
    before_s = cpu_s(server)
    found = ask(driver, run="talk", messages=messages, perSecond=PER_SECOND)
    found["cpu_us"] = (cpu_s(server) - before_s) / found["deliveries"] * 1e6
    return found


def measure_idle(driver: subprocess.Popen[str], server: psutil.Process, site: Site, clients_count: int) -> float:
    """Return the memory of a process that so many clients are connected to, ten in each room."""
    each = clients_count // IDLE_ROOMS
    tokens_of_all = site.tokens()
    for number in range(IDLE_ROOMS):
        code = site.open_room().room.room_code
        tokens = [tokens_of_all[(number * each + place) % SOCKETS] for place in range(each)]
        ask(driver, run="open", url=site.url, tokens=tokens, room=code)
    time.sleep(2)
    return float(server.memory_info().rss / MIB)


def measure_creates(site: Site, count: int) -> tuple[list[float], int]:
    """Return how long each creation took, in ms, and how many failed."""
    token = Tokens(site.settings.jwt_secret).issue(site.host).token
    took_ms, failures = [], 0
    body = {"name": "Load Test Room", "max_participants": 10}
    with httpx.Client(base_url=site.url, headers={"Authorization": f"Bearer {token}"}) as client:
        began_s = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began_s + number / CREATES_PER_SECOND - time.monotonic()))
            asked_s = time.monotonic()
            failures += not client.post("/api/rooms/create", json=body).is_success
            took_ms.append((time.monotonic() - asked_s) * 1000)
    return took_ms, failures


def ask(driver: subprocess.Popen[str], **command: Any) -> dict[str, Any]:
    """Let the clients do something and return what they measured."""
    assert driver.stdin is not None  # noqa: S101 - opened as a pipe
    assert driver.stdout is not None  # noqa: S101 - opened as a pipe
    driver.stdin.write(json.dumps(command) + "\n")
    driver.stdin.flush()
    answer: dict[str, Any] = json.loads(driver.stdout.readline())
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def install_peer() -> None:
    """Install socket.io, once."""
    if not (PEER / "node_modules/socket.io").exists():
        PEER.mkdir(parents=True, exist_ok=True)
        (PEER / "package.json").write_text("{}")
        command = [ROOT / "web/npm", "install", "--prefix", PEER, "--no-audit", "--no-fund", "socket.io@4"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def process(command: str, settings: Settings) -> Iterator[psutil.Process]:
    """Run one process of the service until it is ready, and for as long as the block."""
    given = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "STORAGE_DIR": str(settings.storage_dir),
        "JWT_SECRET": settings.jwt_secret,
        "PORT": str(settings.port),
        "LOG_LEVEL": "warning",
    }
    started = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", command], env={**os.environ, **given}
    )
    try:
        url = f"http://127.0.0.1:{settings.port}/health"
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url).is_success:
                    break
            time.sleep(0.1)
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait()


@contextlib.contextmanager
def peer(port: int) -> Iterator[psutil.Process]:
    """Run Node's socket.io server."""
    command = ["node", str(ROOT / "bench/rooms_peer.mjs"), str(PEER), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None  # noqa: S101 - opened as a pipe
        started.stdout.readline()
        yield psutil.Process(started.pid)
        started.kill()


@contextlib.contextmanager
def clients() -> Iterator[subprocess.Popen[str]]:
    """Run the clients' process."""
    command = ["node", str(ROOT / "bench/rooms_clients.mjs"), str(ROOT / "web/package.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.kill()


if __name__ == "__main__":
    main()
