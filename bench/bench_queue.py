"""The queue: how soon an idle system starts a job, and how many it gets through, beside bare Dramatiq.

    python bench/bench_queue.py [--jobs 2000] [--threads 8] [--probes 100]

Starts its own PostgreSQL and Valkey. "Bare" is Dramatiq's own RedisBroker and Worker with its defaults, no database.
"""

import argparse
import contextlib
import multiprocessing
import os
import secrets
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

import dramatiq
import psutil
import psycopg
import redis
from dramatiq.brokers.redis import RedisBroker

from cli.embedded import postgres, valkey
from cli.embedded.port import free_port
from cli.embedded.program import spawn
from db.connection import SERVICE, Database
from db.migrate import migrate
from services.jobs import service as jobs
from services.jobs.dispatch import Dispatch
from services.process.logging import configure
from services.process.settings import Settings, load
from workers import actors
from workers import main as worker_main
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.execution import Work
from workers.queue import dispatcher
from workers.runtime import Runtime

KIND = "purge_idempotency_keys"
"""Any kind of the housekeeping queue: its work is replaced by none."""
OWNERS, WAITING, BATCHES, BATCH_SLOTS = 1000, 100_000, 100, 8
FILL_OWNERS = """
INSERT INTO users (id, email) SELECT gen_random_uuid(), 'u' || n || '@example.org' FROM generate_series(1, %(owners)s) n
"""
FILL_JOBS = """
WITH owners AS (SELECT id, row_number() OVER () - 1 AS place FROM users)
INSERT INTO jobs (user_id, kind, queue) SELECT owners.id, 'render', 'render'
FROM generate_series(1, %(jobs)s) AS n JOIN owners ON owners.place = n %% %(owners)s
"""
ADD_WORKER = """
INSERT INTO workers (id, host, pid, version, queues, slots) VALUES (%(id)s, 'bench', 1, '1', '{render}', %(slots)s)
"""
END_SENT = "UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = ANY(%(ids)s)"
PAGE_BYTES = 8192
PROBE_PAUSE_S = 0.15
"""Between two probes, so that each meets an idle system."""


def main() -> None:
    """Run both measurements and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--probes", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings:
        bare = measure_bare(settings, options.jobs, options.threads)
        with fleet_of(settings, threads=options.threads, works=NO_WORK), database(settings) as pool:
            user_id = add_user(pool)
            waits_ms, peers = measure_start(pool, user_id, options.probes, folder=Path(name))
            whole = measure_rate(pool, user_id, options.jobs)
        with database(settings) as pool:
            batches_ms = measure_dispatch(pool)
    print(
        f"dispatch of {WAITING} waiting jobs of {OWNERS} owners: p50 {statistics.median(batches_ms):.1f} ms, ", end=""
    )
    print(f"worst {batches_ms[-1]:.1f} ms a batch (at most 20)")
    print(f"idle request to actor start, {options.probes} jobs: {describe(waits_ms)} (at most 20 and 100)")
    for peer, times_ms in peers.items():
        print(f"  {peer}, between the same jobs: {describe(sorted(times_ms))}")
    print(f"no-op jobs, {options.jobs} at once, 1 process x {options.threads} threads:")
    print(f"  Dramatiq alone  {bare.jobs_per_s:5.0f}/s, {bare.cpu_ms:.2f} ms of processor a job")
    print(f"  whole machinery {whole.jobs_per_s:5.0f}/s, {whole.cpu_ms:.2f} ms of processor a job")
    print(f"  ratio {whole.jobs_per_s / bare.jobs_per_s:.2f} (at least 0.25)")


class Rate(NamedTuple):
    """How many jobs a second, and what one cost all processes under this one, the servers among them.

    The first says little while other work has the processors, the second is much the same.
    """

    jobs_per_s: float
    cpu_ms: float


def _cpu_s() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def measure_start(
    pool: Database, user_id: UUID, probes: int, *, folder: Path
) -> tuple[list[float], dict[str, list[float]]]:
    """Return the sorted milliseconds from before the request's transaction to the claim, by PostgreSQL's clock.

    Beside them what the machine needs for the two things that cannot be done without: a page that is safe on the disk,
    and a bare NOTIFY that reaches a listener.
    """
    waits_ms: list[float] = []
    peers: dict[str, list[float]] = {"fdatasync of 8 kB": [], "bare NOTIFY to a listener": []}
    with contextlib.ExitStack() as stack:
        file = stack.enter_context((folder / "page").open("wb", buffering=0))
        listener, notifier = (
            stack.enter_context(psycopg.connect(pool.url, autocommit=True)) for _ in ("listener", "notifier")
        )
        listener.execute("LISTEN peer")
        for _ in range(probes):
            time.sleep(PROBE_PAUSE_S)
            with pool.transaction(SERVICE) as tx:
                job = jobs.enqueue(tx, kind=KIND, user_id=user_id)
            waits_ms.append((_started_s(pool, job.id) - job.created_at.timestamp()) * 1000)
            peers["fdatasync of 8 kB"].append(_time_page_ms(file.fileno()))
            peers["bare NOTIFY to a listener"].append(_time_notify_ms(notifier, listener))
    return sorted(waits_ms), peers


def _time_page_ms(file: int) -> float:
    began = time.perf_counter()
    os.write(file, os.urandom(PAGE_BYTES))
    os.fdatasync(file)
    return (time.perf_counter() - began) * 1000


def _time_notify_ms(notifier: psycopg.Connection, listener: psycopg.Connection) -> float:
    began = time.perf_counter()
    notifier.execute("NOTIFY peer")
    for _ in listener.notifies(timeout=5, stop_after=1):
        pass
    return (time.perf_counter() - began) * 1000


def _started_s(pool: Database, job_id: UUID) -> float:
    while True:
        time.sleep(0.05)
        with pool.transaction(SERVICE) as tx:
            row = tx.execute("SELECT started_at FROM jobs WHERE id = %s", (job_id,)).fetchone()
        if row and row["started_at"]:
            return float(row["started_at"].timestamp())


def measure_rate(pool: Database, user_id: UUID, count: int) -> Rate:
    """Return the rate from the first claim to the last end, with all of them waiting from the start."""
    with pool.transaction(SERVICE) as tx:
        tx.execute("INSERT INTO queue_controls (queue, is_paused) VALUES ('housekeeping', true)")
    for _ in range(0, count, 500):
        with pool.transaction(SERVICE) as tx:
            for _ in range(min(500, count)):
                jobs.enqueue(tx, kind=KIND, user_id=user_id)
    began, began_cpu_s = time.monotonic(), _cpu_s()
    with pool.transaction(SERVICE) as tx:
        tx.execute("UPDATE queue_controls SET is_paused = false")
        tx.execute("SELECT pg_notify('jobs_queued', '')")
    while True:
        time.sleep(0.02)
        with pool.transaction(SERVICE) as tx:
            row = tx.execute("SELECT 1 FROM jobs WHERE state IN ('queued', 'running') LIMIT 1").fetchone()
        if row is None:
            return Rate(count / (time.monotonic() - began), (_cpu_s() - began_cpu_s) / count * 1000)


def measure_dispatch(pool: Database) -> list[float]:
    """Return the milliseconds of each batch, sorted, with many owners waiting and workers that claim what they get."""
    worker_id = uuid4()
    with pool.transaction(SERVICE) as tx:
        tx.execute("DELETE FROM users")
        tx.execute(FILL_OWNERS, {"owners": OWNERS})
        tx.execute(FILL_JOBS, {"jobs": WAITING, "owners": OWNERS})
        tx.execute(ADD_WORKER, {"id": worker_id, "slots": BATCH_SLOTS})
    with psycopg.connect(pool.url, autocommit=True) as connection:
        connection.execute("SET ROLE service_role")
        connection.execute("ANALYZE jobs")
    dispatch = Dispatch()
    times_ms = []
    for _ in range(BATCHES):
        began = time.perf_counter()
        with pool.transaction(SERVICE) as tx:
            batch = dispatch.next_batch(tx)
        times_ms.append((time.perf_counter() - began) * 1000)
        with pool.transaction(SERVICE) as tx:
            tx.execute(END_SENT, {"ids": [sent.job_id for sent in batch]})
    return sorted(times_ms)


def measure_bare(settings: Settings, count: int, threads: int) -> Rate:
    """Return the rate of Dramatiq's own broker, worker and default middleware in a process of its own."""
    broker = RedisBroker(url=settings.redis_url, namespace="bare")
    actor = dramatiq.actor(_nothing, broker=broker, actor_name="nothing", queue_name="bare")
    for _ in range(count):
        actor.send()
    stopped = multiprocessing.Event()
    process = multiprocessing.Process(target=_run_bare, args=(settings.redis_url, threads, stopped))
    process.start()
    client: redis.Redis = redis.Redis.from_url(settings.redis_url)
    while client.hlen("bare:bare.msgs") == count:
        time.sleep(0.001)
    began, began_cpu_s = time.monotonic(), _cpu_s()
    while client.hlen("bare:bare.msgs") > 0:
        time.sleep(0.005)
    rate = Rate(count / (time.monotonic() - began), (_cpu_s() - began_cpu_s) / count * 1000)
    stopped.set()
    process.join()
    return rate


def _nothing() -> None:
    pass


def _run_bare(url: str, threads: int, stopped: Event) -> None:
    broker = RedisBroker(url=url, namespace="bare")
    dramatiq.actor(_nothing, broker=broker, actor_name="nothing", queue_name="bare")
    worker = dramatiq.Worker(broker, worker_threads=threads)
    worker.start()
    stopped.wait()
    worker.stop()


def _no_work(_runtime: Runtime, _attempt: Attempt) -> Publish:
    return Result(None)


def _run_dispatcher(settings: Settings) -> None:
    configure(settings, part="dispatcher")
    dispatcher.run(settings)


def _run_worker(settings: Settings, threads: int, works: Mapping[str, Work]) -> None:
    configure(settings, part="worker")
    worker_main.run(settings, threads=threads, works=works)


@contextlib.contextmanager
def fleet_of(settings: Settings, *, threads: int, works: Mapping[str, Work] = actors.WORKS) -> Iterator[None]:
    """Run one dispatcher and one worker process that does these works."""
    parts = [
        multiprocessing.Process(target=_run_dispatcher, args=(settings,)),
        multiprocessing.Process(target=_run_worker, args=(settings, threads, works)),
    ]
    for part in parts:
        part.start()
    try:
        time.sleep(3)
        yield
    finally:
        for part in parts:
            part.terminate()
        for part in parts:
            part.join()


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[Database]:
    """Open a pool of one's own."""
    pool = Database(settings.database_url)
    pool.open(wait_s=10)
    yield pool
    pool.close()


NO_WORK: Mapping[str, Work] = dict.fromkeys(jobs.KINDS, _no_work)


def add_user(pool: Database) -> UUID:
    """Insert the owner of all jobs; pro, so that no cap is in the way."""
    user_id = uuid4()
    with pool.transaction(SERVICE) as tx:
        tx.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user_id, f"{user_id.hex}@example.org"))
        tx.execute("UPDATE subscriptions SET tier = 'pro', status = 'active' WHERE user_id = %s", (user_id,))
    return user_id


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[Settings]:
    """Run PostgreSQL and Valkey as the embedded stack does, durable."""
    password = secrets.token_urlsafe()
    database_server = postgres.PostgresServer(folder / "postgres", port=free_port(), password=password)
    broker_server = valkey.ValkeyServer(folder / "valkey", port=free_port(), password=password)
    running = []
    try:
        for server in (database_server, broker_server):
            server.prepare()
        with database_server.program() as program, (folder / "log").open("wb") as log:
            running = [spawn(program, stdout=log, stderr=log), spawn(broker_server.program(), stdout=log, stderr=log)]
            while not (postgres.is_ready(database_server.url("postgres")) and valkey.is_ready(broker_server.url())):
                time.sleep(0.05)
        postgres.ensure_database(database_server.url("postgres"))
        migrate(database_server.url())
        postgres.let_application_in(database_server.url(), password=password)
        application = postgres.database_url(postgres.APPLICATION, password, database_server.port, postgres.DATABASE)
        yield load(
            {
                "DATABASE_URL": application,
                "REDIS_URL": broker_server.url(),
                "STORAGE_DIR": str(folder / "storage"),
                "SCRATCH_DIR": str(folder / "scratch"),
                "LOG_LEVEL": "warning",
                "JWT_SECRET": secrets.token_hex(32),
            }
        )
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            process.wait()


def describe(waits_ms: list[float]) -> str:
    """Return the median and the 99th percentile."""
    p99 = waits_ms[min(len(waits_ms) - 1, int(len(waits_ms) * 0.99))]
    return f"p50 {statistics.median(waits_ms):.1f} ms, p99 {p99:.1f} ms"


if __name__ == "__main__":
    main()
