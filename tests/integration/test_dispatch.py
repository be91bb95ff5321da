"""Who is served when, decided on real rows; workers are played in virtual time."""

from collections import deque
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from support.servers.fleet import add_user, rows

from db import dispatch as dispatch_rows
from db import workers
from db.connection import SERVICE, Database
from db.leases import Completion
from services.jobs import service as jobs
from services.jobs.dispatch import Dispatch
from services.jobs.service import lease_of
from services.lifecycle import outcome as lifecycle

JOB_S = 10
"""Length of every job in virtual seconds."""


class Shop:
    """One worker with some slots: takes messages in their order, each job takes JOB_S."""

    def __init__(self, database: Database, slots: int, queue: str = "render") -> None:
        self.queue = queue
        self.database = database
        self.slots = slots
        self.dispatch = Dispatch()
        self.messages: deque[tuple[UUID, int]] = deque()
        self.busy: list[tuple[int, UUID, UUID]] = []
        self.started: dict[UUID, tuple[int, UUID]] = {}
        self.now_s = 0
        self.worker_id = uuid4()
        self.beat()

    def beat(self) -> None:
        with self.database.transaction(SERVICE) as tx:
            workers.beat(
                tx,
                worker_id=self.worker_id,
                host="here",
                pid=1,
                version="1",
                queues=[self.queue],
                slots=self.slots,
                memory_bytes=None,
                is_draining=False,
            )

    def run_until(self, end_s: int) -> None:
        while self.now_s < end_s:
            self.serve()
            self.now_s += 1
            self.finish()

    def serve(self) -> None:
        self.beat()
        self.send()
        while len(self.busy) < self.slots and self.messages:
            self.begin(*self.messages.popleft())
            self.send()

    def send(self) -> None:
        with self.database.transaction(SERVICE) as tx:
            batch = self.dispatch.next_batch(tx)
        self.messages.extend((sent.job_id, sent.dispatch_no) for sent in batch)

    def begin(self, job_id: UUID, dispatch_no: int) -> None:
        with self.database.transaction(SERVICE) as tx:
            claimed = lifecycle.claim(tx, [(job_id, dispatch_no)], worker_id=self.worker_id)
        for job in claimed:
            self.busy.append((self.now_s + JOB_S, job_id, lease_of(job).token))
            self.started[job_id] = self.now_s, job.owner_key

    def finish(self) -> None:
        for entry in [entry for entry in self.busy if entry[0] <= self.now_s]:
            self.busy.remove(entry)
            with self.database.transaction(SERVICE) as tx:
                lifecycle.complete(tx, [Completion(lease=jobs.Lease(entry[1], entry[2]))])


def enqueue(
    database: Database, user_id: UUID | None, number: int, priority: int = 0, kind: str = "render"
) -> list[UUID]:
    with database.transaction(SERVICE) as tx:
        return [jobs.enqueue(tx, kind=kind, user_id=user_id, priority=priority).id for _ in range(number)]


@pytest.fixture
def owners(database: Database) -> list[UUID]:
    return sorted(add_user(database, tier="pro") for _ in range(3))


@pytest.mark.parametrize("slots", [1, 2, 4])
@pytest.mark.parametrize("arrival_s", [1, 5, 14])
def test_single_job_waits_one_job_length_behind_a_thousand(
    database: Database, owners: list[UUID], slots: int, arrival_s: int
) -> None:
    shop = Shop(database, slots)
    enqueue(database, owners[1], 1000)
    shop.run_until(arrival_s)
    [before] = enqueue(database, owners[0], 1)
    [after] = enqueue(database, owners[2], 1)
    shop.run_until(arrival_s + 2 * JOB_S)
    # With one slot the two newcomers also wait for each other.
    waited_s = sorted(shop.started[job][0] - arrival_s for job in (before, after) if job in shop.started)
    assert waited_s[0] <= JOB_S
    assert len(waited_s) == 2
    assert waited_s[1] <= (JOB_S if slots > 1 else 2 * JOB_S)


def test_owners_share_the_slots_evenly(database: Database, owners: list[UUID]) -> None:
    shop = Shop(database, 2)
    for owner in owners:
        enqueue(database, owner, 20)
    shop.run_until(15 * JOB_S)
    served = [owner for _, owner in shop.started.values()]
    assert {owner: served.count(owner) for owner in owners} == dict.fromkeys(owners, 10)


def test_heavier_tier_gets_more(database: Database) -> None:
    free, pro = add_user(database), add_user(database, tier="pro")
    shop = Shop(database, 10)
    for owner in (free, pro):
        enqueue(database, owner, 400)
    shop.run_until(25 * JOB_S)
    served = [owner for _, owner in shop.started.values()]
    assert served.count(pro) == pytest.approx(4 * served.count(free), abs=6)


def test_one_owner_never_runs_more_than_his_cap(database: Database) -> None:
    free = add_user(database)
    shop = Shop(database, 16)
    enqueue(database, free, 50)
    shop.serve()
    assert len(shop.busy) == 4


def test_row_of_a_tier_changes_its_share_without_a_restart(database: Database, owner_url: str) -> None:
    shop = Shop(database, 16)
    enqueue(database, add_user(database), 50)
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"parallel_jobs\": 2}' WHERE tier = 'free'")
        shop.serve()
        assert len(shop.busy) == 2
        owner.execute("UPDATE tier_features SET limits = '{\"parallel_jobs\": 6}' WHERE tier = 'free'")
        shop.serve()
        assert len(shop.busy) == 6


def test_imports_of_many_leave_slots_to_an_upload(database: Database) -> None:
    shop = Shop(database, 3, queue="ingest")
    for _ in range(5):
        enqueue(database, add_user(database), 3, kind="import")
    shop.run_until(3)
    assert len(shop.busy) == 1
    [upload] = enqueue(database, add_user(database), 1, kind="ingest")
    shop.run_until(5)
    assert shop.started[upload][0] <= 4
    shop.run_until(5 + 3 * JOB_S)
    assert len(shop.started) == 5  # an import follows an import


@pytest.mark.parametrize("tier", ["free", "pro"])
def test_one_owner_leaves_one_of_two_slots_to_another(database: Database, tier: str) -> None:
    shop = Shop(database, 2)
    enqueue(database, add_user(database, tier=tier), 50)
    shop.run_until(3)
    assert len(shop.busy) == 1
    [other] = enqueue(database, add_user(database, tier="pro"), 1)
    shop.run_until(5)
    assert shop.started[other][0] <= 4


def test_free_accounts_leave_a_slot_to_one_that_pays(database: Database) -> None:
    shop = Shop(database, 4)
    for _ in range(5):
        enqueue(database, add_user(database), 5)
    shop.run_until(3)
    assert len(shop.busy) == 3
    [paid] = enqueue(database, add_user(database, tier="pro"), 1)
    shop.run_until(5)
    assert shop.started[paid][0] <= 4


def test_job_put_first_by_an_operator_passes_what_was_sent(database: Database, owners: list[UUID]) -> None:
    shop = Shop(database, 2)
    enqueue(database, owners[0], 50)
    last = enqueue(database, owners[1], 50)[-1]
    shop.run_until(3)
    with database.transaction(SERVICE) as tx:
        lifecycle.run_next(tx, [last])
    shop.run_until(3 + JOB_S)
    assert shop.started[last][0] <= JOB_S


def test_higher_priority_goes_first_among_one_owners_jobs(database: Database, owners: list[UUID]) -> None:
    low = enqueue(database, owners[0], 3)
    [high] = enqueue(database, owners[0], 1, priority=5)
    shop = Shop(database, 1)
    shop.serve()
    assert list(shop.started) == [high]
    assert low[0] not in shop.started


def test_paused_queue_sends_nothing(database: Database, owners: list[UUID]) -> None:
    enqueue(database, owners[0], 3)
    rows(database, "INSERT INTO queue_controls (queue, is_paused) VALUES ('render', true) RETURNING queue")
    shop = Shop(database, 2)
    shop.serve()
    assert shop.messages == deque()


def test_nothing_is_sent_to_a_draining_worker(database: Database, owners: list[UUID]) -> None:
    enqueue(database, owners[0], 3)
    shop = Shop(database, 2)
    rows(database, "UPDATE workers SET drain_requested_at = now() RETURNING id")
    shop.serve()
    assert shop.messages == deque()


def unclaimed(database: Database) -> list[UUID]:
    with database.transaction(SERVICE) as tx:
        return [job.job_id for job in dispatch_rows.list_unclaimed(tx, unclaimed_s=5, silent_s=20)]


def test_message_counts_as_unclaimed_only_where_a_slot_is_free(database: Database, owners: list[UUID]) -> None:
    first, second = enqueue(database, owners[0], 2)
    shop = Shop(database, 1)
    shop.send()
    rows(database, "UPDATE jobs SET dispatched_at = now() - interval '1 minute' RETURNING id")
    shop.begin(first, 1)
    assert unclaimed(database) == []
    shop.now_s += JOB_S
    shop.finish()
    assert unclaimed(database) == [second]


FLOOD = """
INSERT INTO users (id, email) SELECT gen_random_uuid(), 'u' || n || '@example.org' FROM generate_series(1, 50) AS n;
INSERT INTO jobs (kind, queue, state, finished_at) SELECT 'ingest', 'ingest', 'succeeded', now()
FROM generate_series(1, 2000);
ANALYZE jobs;
INSERT INTO jobs (user_id, kind, queue) SELECT users.id, 'render', 'render' FROM users, generate_series(1, 400);
"""


@pytest.mark.parametrize(
    ("statement", "values", "index"),
    [
        (dispatch_rows.LIST_QUEUES, {"queues": ["ingest", "render"]}, "jobs_waiting"),
        (dispatch_rows.LIST_OWNERS, {"queue": "render", "held_kinds": []}, "jobs_waiting"),
        (
            dispatch_rows.LIST_NEXT,
            {"queue": "render", "owners": [UUID(int=1)], "counts": [1], "held_kinds": []},
            "jobs_waiting",
        ),
        (dispatch_rows.LIST_URGENT, {"queue": "render", "limit": 5}, "jobs_urgent"),
        (dispatch_rows.LIST_FLIGHTS, {}, "jobs_dispatched"),
        (dispatch_rows.RECALL, {"queue": "render", "owners": [UUID(int=1)]}, "jobs_dispatched"),
        (dispatch_rows.LIST_UNCLAIMED, {"unclaimed_s": 5, "silent_s": 20}, "jobs_dispatched"),
        (dispatch_rows.MARK_SENT, {"job_ids": [UUID(int=1)]}, "jobs_pkey"),
    ],
)
def test_flood_that_statistics_know_nothing_of_is_read_by_its_index(
    owner_url: str, statement: str, values: dict[str, object], index: str
) -> None:
    with psycopg.connect(owner_url, row_factory=dict_row) as connection:
        connection.execute(FLOOD)
        dispatch_rows.keep_to_indexes(connection)
        plan = "\n".join(row["QUERY PLAN"] for row in connection.execute(f"EXPLAIN {statement}", values))
    assert f"using {index}" in plan
    assert "Seq Scan on jobs" not in plan
    assert "jobs_state" not in plan.replace("jobs_state on jobs busy", "")
