"""What Prometheus reads: gauges of the rows as they are, totals that only grow, and names that the dashboards use."""

import itertools
from uuid import UUID, uuid4

import psycopg
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.servers.fleet import add_user, rows

from db import dispatch, metrics, workers
from db.connection import SERVICE, Database
from db.leases import Completion
from services.jobs import service as jobs
from services.jobs.dispatch import DISPATCHER_LOCK
from services.jobs.fairness import DEFAULT_SHARES
from services.jobs.service import Job, JobError, lease_of
from services.lifecycle import outcome as lifecycle
from services.operations import totals
from services.operations.metrics import TOP_OWNERS, SystemMetrics

KIND = "purge_idempotency_keys"
ERROR = JobError(code="decode_failed", message="It cannot be read.", retryable=False)


class Reader:
    """Scrapes the way Prometheus does."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(SystemMetrics(database, cache_s=0, figures_cache_s=0, settle_s=0))

    def value(self, name: str, **labels: str) -> float | None:
        for family in text_string_to_metric_families(generate_latest(self._registry).decode()):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def labels(self, name: str, label: str) -> list[str]:
        families = text_string_to_metric_families(generate_latest(self._registry).decode())
        return [sample.labels[label] for family in families for sample in family.samples if sample.name == name]


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database)


@pytest.fixture
def worker_id(database: Database) -> UUID:
    """A live worker with two slots in the housekeeping queue."""
    worker_id = uuid4()
    with database.transaction(SERVICE) as tx:
        workers.beat(
            tx,
            worker_id=worker_id,
            host="h",
            pid=1,
            version="1",
            queues=["housekeeping"],
            slots=2,
            memory_bytes=1000,
            is_draining=False,
        )
    return worker_id


def enqueue(database: Database, owner: UUID | None, *, times: int = 1) -> None:
    with database.transaction(SERVICE) as tx:
        for _ in range(times):
            jobs.enqueue(tx, kind=KIND, user_id=owner)


def claim(database: Database, worker_id: UUID) -> Job:
    with database.transaction(SERVICE) as tx:
        waiting = tx.execute("SELECT id FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL LIMIT 1").fetchone()
        assert waiting is not None
        (sent,) = dispatch.mark_sent(tx, [waiting["id"]])
    with database.transaction(SERVICE) as tx:
        (job,) = lifecycle.claim(tx, [(sent.job_id, sent.dispatch_no)], worker_id=worker_id)
    return job


def succeed(database: Database, job: Job) -> None:
    with database.transaction(SERVICE) as tx:
        lifecycle.complete(tx, [Completion(lease=lease_of(job))])


def fail(database: Database, job: Job, error: JobError) -> None:
    with database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(job), error=error)


def test_queue_shows_what_waits_and_runs(database: Database, reader: Reader, worker_id: UUID) -> None:
    owner = add_user(database)
    enqueue(database, owner, times=4)
    rows(database, "UPDATE jobs SET run_at = now() - interval '90 s' RETURNING id")
    claim(database, worker_id)
    rows(
        database,
        "UPDATE jobs SET run_at = now() + interval '1 h' "
        "WHERE id IN (SELECT id FROM jobs WHERE state = 'queued' LIMIT 1) RETURNING id",
    )

    states = ("due", "scheduled", "sent", "running")
    depth = {state: reader.value("snuggles_queue_depth", queue="housekeeping", state=state) for state in states}
    assert depth == {"due": 2, "scheduled": 1, "sent": 0, "running": 1}
    assert 90 <= (reader.value("snuggles_queue_oldest_seconds", queue="housekeeping") or 0) < 150
    assert reader.value("snuggles_queue_depth", queue="render", state="due") == 0
    assert reader.value("snuggles_slots", queue="housekeeping") == 2
    assert reader.value("snuggles_workers", state="active") == 1
    assert reader.value("snuggles_workers_memory_bytes") == 1000


def test_slots_needed_leave_out_what_an_owner_may_not_have(database: Database, reader: Reader) -> None:
    greedy, modest = add_user(database), add_user(database)
    enqueue(database, greedy, times=30)
    enqueue(database, modest, times=1)
    assert reader.value("snuggles_slots_needed", queue="housekeeping") == DEFAULT_SHARES["free"].cap + 1
    rows(
        database,
        "INSERT INTO subscriptions (user_id, tier, status) VALUES (%(id)s, 'pro', 'active') "
        "ON CONFLICT (user_id) DO UPDATE SET tier = 'pro' RETURNING id",
        id=greedy,
    )
    assert reader.value("snuggles_slots_needed", queue="housekeeping") == DEFAULT_SHARES["pro"].cap + 1


def test_lag_is_that_of_a_job_that_a_free_slot_waits_for(database: Database, reader: Reader, worker_id: UUID) -> None:
    enqueue(database, add_user(database), times=10)
    rows(database, "UPDATE jobs SET run_at = now() - interval '60 s' RETURNING id")
    assert (reader.value("snuggles_dispatcher_lag_seconds", queue="housekeeping") or 0) >= 60
    for _ in range(4):
        claim(database, worker_id)  # all that the slots have room for
    assert reader.value("snuggles_dispatcher_lag_seconds", queue="housekeeping") == 0


def test_active_dispatcher_shows_by_its_lock(reader: Reader, database_url: str) -> None:
    assert reader.value("snuggles_dispatcher_active") == 0
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (DISPATCHER_LOCK,))
        assert reader.value("snuggles_dispatcher_active") == 1


def test_ends_are_counted_once_by_outcome_and_code(database: Database, reader: Reader, worker_id: UUID) -> None:
    enqueue(database, add_user(database), times=3)
    rows(database, "UPDATE jobs SET run_at = now() - interval '20 s' RETURNING id")
    succeed(database, claim(database, worker_id))
    assert reader.value("snuggles_jobs_total", kind=KIND, outcome="succeeded") == 1
    succeed(database, claim(database, worker_id))
    fail(database, claim(database, worker_id), ERROR)
    for _ in range(2):
        assert reader.value("snuggles_jobs_total", kind=KIND, outcome="succeeded") == 2
        assert reader.value("snuggles_jobs_total", kind=KIND, outcome="failed", code="decode_failed") == 1
    assert reader.value("snuggles_job_wait_seconds_bucket", queue="housekeeping", le="10") == 0
    assert reader.value("snuggles_job_wait_seconds_bucket", queue="housekeeping", le="30") == 3
    assert reader.value("snuggles_job_wait_seconds_bucket", queue="housekeeping", le="14400") == 3
    assert reader.value("snuggles_job_run_seconds_count", kind=KIND) == 3
    assert 60 <= (reader.value("snuggles_job_wait_seconds_sum", queue="housekeeping") or 0) < 100

    rows(database, "DELETE FROM jobs RETURNING id")
    assert reader.value("snuggles_jobs_total", kind=KIND, outcome="succeeded") == 2, "pruning takes nothing back"


def test_young_events_are_left_until_they_have_settled(database: Database, worker_id: UUID) -> None:
    enqueue(database, add_user(database))
    succeed(database, claim(database, worker_id))
    with database.transaction(SERVICE) as tx:
        assert totals.count(tx) == 0
        assert totals.count(tx, settle_s=0) == 3
        assert totals.count(tx, settle_s=0) == 0


def test_two_counters_count_each_event_once(database: Database, worker_id: UUID) -> None:
    enqueue(database, add_user(database))
    succeed(database, claim(database, worker_id))
    with database.transaction(SERVICE) as first:
        assert totals.count(first, settle_s=0) == 3
        with database.transaction(SERVICE) as second:
            assert totals.count(second, settle_s=0) == 0
    assert rows(database, "SELECT jobs FROM job_totals") == [{"jobs": 1}]


def test_dead_worker_is_a_lease_loss(database: Database, reader: Reader, worker_id: UUID) -> None:
    enqueue(database, add_user(database))
    claim(database, worker_id)
    rows(database, "UPDATE jobs SET lease_expires_at = now() - interval '1 s' WHERE state = 'running' RETURNING id")
    assert reader.value("snuggles_lease_losses_total", queue="housekeeping") == 0
    with database.transaction(SERVICE) as tx:
        lifecycle.reap(tx, random=lambda: 0.5)
    assert reader.value("snuggles_lease_losses_total", queue="housekeeping") == 1
    assert reader.value("snuggles_job_retries_total", queue="housekeeping", code="worker_lost") == 1


def test_media_seconds_are_those_of_finished_work(database: Database, reader: Reader, worker_id: UUID) -> None:
    owner, recording_id = add_user(database), uuid4()
    rows(
        database,
        "INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key, duration_s) "
        "VALUES (%(id)s, %(owner)s, 'T', 't.mp4', 'video/mp4', 'processing', %(key)s, 42.5) RETURNING id",
        id=recording_id,
        owner=owner,
        key=f"{owner}/{recording_id}/source",
    )
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="ingest", user_id=owner, recording_id=recording_id)
    succeed(database, claim(database, worker_id))
    assert reader.value("snuggles_media_seconds_total", kind="ingest") == 42.5


def test_code_that_is_no_word_makes_no_label(database: Database, reader: Reader, worker_id: UUID) -> None:
    enqueue(database, add_user(database))
    fail(database, claim(database, worker_id), replace(ERROR, code="file /home/ada/talk 17.mp4"))
    assert reader.value("snuggles_jobs_total", outcome="failed", code="other") == 1


def test_owners_list_is_bounded_and_begins_with_the_busiest(database: Database, reader: Reader) -> None:
    busiest = add_user(database)
    enqueue(database, busiest, times=3)
    for _ in range(TOP_OWNERS + 3):
        enqueue(database, add_user(database))
    enqueue(database, None, times=2)
    owners = reader.labels("snuggles_owner_open_jobs", "owner")
    assert len(owners) == TOP_OWNERS
    assert owners[:2] == [str(busiest), "system"]


def test_finished_jobs_are_not_read(database: Database, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE jobs DISABLE TRIGGER USER")
        owner.execute(
            "INSERT INTO jobs (kind, queue, state, finished_at, run_at) "
            "SELECT 'expire_clips', 'housekeeping', 'succeeded', now(), now() FROM generate_series(1, 20000)"
        )
        owner.execute(
            "INSERT INTO jobs (kind, queue) SELECT 'expire_clips', 'housekeeping' FROM generate_series(1, 200)"
        )
        owner.execute("VACUUM ANALYZE jobs")
    caps = {"tiers": ["free"], "caps": [4], "cap": 4, "system": UUID(int=0), "system_cap": 8, "most": 8, "limit": 10}
    with database.transaction(SERVICE) as tx:
        for statement in (metrics.DEPTHS, metrics.DEMANDS, metrics.TOP_OWNERS):
            plan = "\n".join(str(row["QUERY PLAN"]) for row in tx.execute("EXPLAIN " + statement, caps))
            assert "Seq Scan on jobs" not in plan, plan


def test_answer_is_cached_for_some_seconds(database: Database) -> None:
    now = iter([0.0, 0.0, 4.0, 5.1, 5.1])
    collector = SystemMetrics(database, clock=lambda: next(now))
    first = collector.collect()
    assert collector.collect() is first
    assert collector.collect() is not first


def test_rooms_show_what_is_in_them(database: Database, reader: Reader) -> None:
    host, guest = add_user(database), add_user(database)
    with database.transaction(SERVICE) as tx:
        room = tx.execute(
            "INSERT INTO rooms (room_code, name, host_user_id) VALUES ('ABCDEF', 'Talk', %s) RETURNING id", (host,)
        ).fetchone()
        assert room
        for user_id in (host, guest):
            tx.execute(
                "INSERT INTO room_participants (room_id, user_id, display_name) VALUES (%s, %s, 'Ada')",
                (room["id"], user_id),
            )
        tx.execute(
            "INSERT INTO rooms (room_code, name, host_user_id, is_active, ended_at, created_at) "
            "VALUES ('ABCDEG', 'Old', %s, false, now(), now() - interval '2 days')",
            (host,),
        )
    assert reader.value("snuggles_rooms", state="open") == 1
    assert reader.value("snuggles_rooms", state="recording") == 0
    assert reader.value("snuggles_room_participants") == 2
    assert reader.value("snuggles_rooms_opened_day") == 1
    assert reader.value("snuggles_polls_open") == 0


def test_figures_of_the_business_are_read_once_a_minute(database: Database) -> None:
    seconds = itertools.count(step=20.0)
    collector = SystemMetrics(database, clock=lambda: next(seconds))

    def shown() -> float:
        found = {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}
        return found["snuggles_payments_failed_day"]

    assert shown() == 0
    owner = add_user(database)
    rows(
        database,
        "INSERT INTO payment_history (user_id, stripe_invoice_id, amount_cents, currency, status, payment_date) "
        "VALUES (%(owner)s, 'in_1', 999, 'usd', 'failed', now()) RETURNING id",
        owner=owner,
    )
    assert (shown(), shown()) == (0, 1)


def test_unreachable_database_is_said_and_not_raised() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/none", max_size=1)
    registry = CollectorRegistry()
    registry.register(SystemMetrics(nowhere))
    assert "snuggles_database_up 0.0" in generate_latest(registry).decode()
