"""RabbitMQ as the broker (`BROKER_URL=amqp://…`), which `make test` installs where it may."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from support.servers.fleet import (
    Fleet,
    add_ready_recording,
    add_user,
    children,
    family,
    frozen,
    make_media,
    rows,
    wait_for,
)
from support.servers.processes import all_gone
from support.servers.rabbitmq import PROGRAM, RabbitServer

from db.connection import SERVICE, Database
from services.billing import tier as tiers
from services.clips import service as clips
from services.jobs import service as jobs
from services.jobs.payload import DeleteObjectsPayload
from services.process.settings import Settings
from storage.factory import Buckets

pytestmark = [
    pytest.mark.chaos,
    # One broker serves the tests of this module: keep them in one process.
    pytest.mark.xdist_group("rabbitmq"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        not PROGRAM.exists() and os.environ.get("CI") != "true",
        reason="RabbitMQ is not installed; `apt-get install rabbitmq-server` adds it",
    ),
]

END_S = 120.0
NOTHING = DeleteObjectsPayload(bucket="clips", prefix="00000000-0000-4000-8000-000000000000/")
LATER_S = 3.0
OPEN = "SELECT id FROM jobs WHERE state IN ('queued', 'running')"
ENDS = "SELECT event, count(*) AS n FROM job_events JOIN jobs ON jobs.id = job_id WHERE kind = %(kind)s GROUP BY event"
STARTS = (
    "SELECT job_id, at FROM job_events JOIN jobs ON jobs.id = job_id "
    "WHERE event = 'claimed' AND kind = 'delete_objects' ORDER BY job_events.id"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    made = RabbitServer(tmp_path_factory.mktemp("broker") / "rabbitmq")
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path, server: RabbitServer) -> Iterator[Fleet]:
    with Fleet(settings, tmp_path, BROKER_URL=server.url) as started:
        yield started


def enqueue(database: Database, number: int = 1, *, priority: int = 0, run_at: datetime | None = None) -> list[UUID]:
    with database.transaction(SERVICE) as tx:
        made = [
            jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=NOTHING, priority=priority, run_at=run_at)
            for _ in range(number)
        ]
    return [job.id for job in made]


def wait_for_all(database: Database) -> None:
    wait_for(lambda: not rows(database, OPEN), timeout_s=END_S, what="the end of all jobs")


def ends(database: Database, kind: str) -> dict[str, int]:
    return {row["event"]: row["n"] for row in rows(database, ENDS, kind=kind)}


def test_clips_are_made_though_a_worker_and_the_broker_are_killed(
    server: RabbitServer, fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    user_id = add_user(database, tier="premium")
    media = make_media(tmp_path / "talk.mp4", size="640x360")
    recording_id = add_ready_recording(database, buckets.recordings, user_id, media, duration_s=30.0)
    dispatcher, victim, survivor = fleet.dispatcher(), fleet.worker(threads=1), fleet.worker(threads=1)
    with database.transaction(SERVICE) as tx:
        tier = tiers.tier_of(tx, user_id=user_id)
        for place in range(8):
            clips.create(
                tx, user_id=user_id, tier=tier, recording_id=recording_id, start_s=float(place), end_s=place + 6.0
            )
    wait_for(lambda: children(victim), what="a media child")
    orphans = family(victim)
    victim.kill()
    victim.wait()
    wait_for(lambda: all_gone(orphans), what="the death of the killed worker's children")

    server.kill()
    enqueue(database, 20)
    wait_for(lambda: "broker_away" in fleet.log_of(dispatcher), what="the dispatcher to notice")
    server.start()

    wait_for_all(database)
    assert ends(database, "render")["succeeded"] == 8
    assert ends(database, "delete_objects") | {"queued": 20} == {"queued": 20, "claimed": 20, "succeeded": 20}
    assert [row["status"] for row in rows(database, "SELECT status FROM clips")] == ["completed"] * 8
    assert rows(database, "SELECT state, count(*) AS n FROM quota_holds GROUP BY state") == [{"state": "done", "n": 8}]
    assert dispatcher.poll() is None
    assert survivor.poll() is None


def test_broker_that_is_killed_with_messages_at_hand_loses_no_job(
    server: RabbitServer, fleet: Fleet, database: Database
) -> None:
    fleet.dispatcher()
    worker = fleet.worker(threads=2)
    wait_for(lambda: rows(database, "SELECT id FROM workers"), what="the worker")
    with frozen(worker):
        enqueue(database, 20)
        wait_for(lambda: rows(database, "SELECT id FROM jobs WHERE dispatched_at IS NOT NULL"), what="some messages")
        server.kill()
    server.start()
    wait_for_all(database)
    assert ends(database, "delete_objects") == {"queued": 20, "claimed": 20, "succeeded": 20}
    assert worker.poll() is None


def test_jobs_begin_when_they_are_due_and_those_of_higher_priority_first(fleet: Fleet, database: Database) -> None:
    due = datetime.now(UTC) + timedelta(seconds=LATER_S)
    [late] = enqueue(database, run_at=due)
    low = enqueue(database, 10)
    [high] = enqueue(database, priority=50)
    fleet.dispatcher()
    fleet.worker(threads=1)
    wait_for_all(database)
    begun = rows(database, STARTS)
    assert begun[0]["job_id"] == high
    assert {row["job_id"] for row in begun} == {late, *low, high}
    assert next(row["at"] for row in begun if row["job_id"] == late) >= due
