"""Kills parts while thirty clips of three owners are made; at the end, everything is counted."""

import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import imageio_ffmpeg
import pytest
import redis
from support.servers.durable import Servers
from support.servers.fleet import (
    Fleet,
    add_ready_recording,
    add_user,
    children,
    family,
    frozen,
    kill_child,
    kill_fork_server,
    make_media,
    rows,
    wait_for,
)
from support.servers.processes import all_gone

from db.connection import SERVICE, Database, DatabaseUnavailableError
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import ClipStyle
from services.jobs import service as jobs
from services.jobs.payload import DeleteObjectsPayload
from storage.factory import Buckets
from workers.scratch import CACHE

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

CLIPS_EACH = 10
NOTHING = DeleteObjectsPayload(bucket="clips", prefix="00000000-0000-4000-8000-000000000000/")
END_S = 150.0
OPEN = "SELECT count(*) AS n FROM jobs WHERE state IN ('queued', 'running')"
DONE = "SELECT count(*) AS n FROM clips WHERE status = 'completed'"


def count(database: Database, statement: str) -> int | None:
    """None while the database is away."""
    try:
        return int(rows(database, statement)[0]["n"])
    except DatabaseUnavailableError:
        return None


def ask_for_clips(database: Database, user_id: UUID, recording_id: UUID, number: int, *, first: int = 0) -> None:
    """Ask for clips that begin a second apart: the same one asked for twice would be made once."""
    with database.transaction(SERVICE) as tx:
        for place in range(first, first + number):
            clips.create(
                tx,
                user_id=user_id,
                tier=tiers.tier_of(tx, user_id=user_id),
                recording_id=recording_id,
                start_s=float(place),
                end_s=place + 6.0,
                style=ClipStyle(accuracy="encode"),
            )


def make_owners(database: Database, buckets: Buckets, tmp_path: Path, owners: int) -> list[tuple[UUID, UUID]]:
    media = make_media(tmp_path / "talk.mp4", size="640x360")
    made = []
    for _ in range(owners):
        user_id = add_user(database, tier="premium")
        made.append((user_id, add_ready_recording(database, buckets.recordings, user_id, media, duration_s=30.0)))
    return made


def assert_all_is_counted(database: Database, buckets: Buckets, fleet: Fleet, owners: list[UUID], each: int) -> None:
    """Every clip is there once, paid for once, and nothing is left over."""
    found = rows(database, "SELECT user_id, status, objects FROM clips")
    assert [row["status"] for row in found] == ["completed"] * (each * len(owners))
    renders = "SELECT job_id, count(*) AS n FROM job_events JOIN jobs ON jobs.id = job_id WHERE kind = 'render' "
    ended = rows(database, renders + "AND event = 'succeeded' GROUP BY job_id")
    assert [row["n"] for row in ended] == [1] * (each * len(owners))
    held = rows(database, "SELECT state, count(*) AS n FROM quota_holds GROUP BY state")
    assert held == [{"state": "done", "n": each * len(owners)}]
    used = rows(database, "SELECT user_id, used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'")
    assert {row["user_id"]: (row["used"], row["reserved"]) for row in used} == dict.fromkeys(owners, (each, 0))
    keys = {entry["key"] for row in found for entry in row["objects"].values()}
    assert {stat.key for stat in buckets.clips.list_objects("")} == keys
    assert scratch_folders(fleet) == []


def scratch_folders(fleet: Fleet) -> list[Path]:
    root = fleet.settings.scratch_dir or Path()
    return [path for path in root.glob("*/*") if path.is_dir() and path.name != CACHE]


def assert_plays(path: Path) -> None:
    """FFmpeg decodes it without a word."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, check=True, capture_output=True).stderr == b""


def test_kills_during_a_burst_lose_nothing_and_repeat_nothing(
    servers: Servers, fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    owners = make_owners(database, buckets, tmp_path, 3)
    fleet.dispatcher()
    victim, survivor = fleet.worker(threads=1), fleet.worker(threads=1)
    for user_id, recording_id in owners:
        ask_for_clips(database, user_id, recording_id, CLIPS_EACH)

    kill_child(survivor)
    kill_fork_server(survivor)

    wait_for(lambda: children(victim), what="another media child")
    orphans = family(victim)
    victim.kill()
    victim.wait()
    wait_for(lambda: all_gone(orphans), what="the death of the killed worker's children")
    fleet.worker(threads=1)

    wait_for(lambda: (count(database, DONE) or 0) >= 5, what="some clips")
    servers.kill("postgres")
    time.sleep(1)
    servers.start_postgres()

    wait_for(lambda: count(database, OPEN) == 0, timeout_s=END_S, what="the end of all jobs")
    assert_all_is_counted(database, buckets, fleet, [user_id for user_id, _ in owners], CLIPS_EACH)
    for key in sorted(stat.key for stat in buckets.clips.list_objects(""))[:: CLIPS_EACH * 3]:
        if key.endswith(".mp4"):
            buckets.clips.get_file(key, tmp_path / "clip.mp4")
            assert_plays(tmp_path / "clip.mp4")


def test_frozen_worker_that_wakes_after_its_lease_changes_nothing(
    servers: Servers, fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    assert servers
    [(user_id, recording_id)] = make_owners(database, buckets, tmp_path, 1)
    fleet.dispatcher()
    sleeper = fleet.worker(threads=1)
    ask_for_clips(database, user_id, recording_id, 1)
    wait_for(lambda: children(sleeper), what="a media child")
    with frozen(sleeper):
        fleet.worker(threads=1)
        wait_for(lambda: count(database, DONE) == 1, what="the clip, made by the other worker")
    wait_for(lambda: "lease_lost" in fleet.log(), what="the sleeper to notice")
    wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
    wait_for(lambda: scratch_folders(fleet) == [], what="the sleeper's scratch to go")
    assert_all_is_counted(database, buckets, fleet, [user_id], 1)


def test_rolling_restart_charges_no_attempt(
    servers: Servers, fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    assert servers
    [(user_id, recording_id)] = make_owners(database, buckets, tmp_path, 1)
    fleet.dispatcher()
    running = fleet.worker(threads=2)
    for turn in range(2):
        ask_for_clips(database, user_id, recording_id, 6, first=6 * turn)
        wait_for(lambda process=running: children(process), what="a media child")
        following = fleet.worker(threads=2)
        running.terminate()
        running.terminate()  # at once: what is under way is handed back
        assert running.wait(20) == 0
        running = following
    wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
    assert_all_is_counted(database, buckets, fleet, [user_id], 12)
    charged = rows(database, "SELECT DISTINCT charged FROM jobs WHERE kind = 'render'")
    assert charged == [{"charged": 1}]


def queue_small_jobs(database: Database, number: int) -> list[UUID]:
    with database.transaction(SERVICE) as tx:
        return [jobs.enqueue(tx, kind="delete_objects", user_id=None, payload=NOTHING).id for _ in range(number)]


def events(database: Database) -> dict[str, Any]:
    found = rows(
        database,
        "SELECT event, count(*) AS n FROM job_events JOIN jobs ON jobs.id = job_id "
        "WHERE kind = 'delete_objects' GROUP BY event",
    )
    return {row["event"]: row["n"] for row in found}


def test_redis_that_forgets_everything_loses_no_job(servers: Servers, fleet: Fleet, database: Database) -> None:
    dispatcher, worker = fleet.dispatcher(), fleet.worker(threads=4)
    wait_for(lambda: rows(database, "SELECT id FROM workers"), what="the worker")
    # A frozen worker is soon taken for dead and is sent nothing, so the dispatcher must be at work before.
    wait_for(lambda: "dispatcher_active" in fleet.log_of(dispatcher), what="the dispatcher")
    with frozen(worker):
        queue_small_jobs(database, 20)
        with redis.Redis.from_url(fleet.settings.redis_url) as client:
            # One of the four slots is kept from each owner, the system too.
            wait_for(lambda: client.hlen("snuggles:housekeeping.msgs") == 3, what="the first messages")
        servers.kill("valkey")
        servers.forget_valkey()
    servers.start_valkey()
    wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
    assert events(database) == {"queued": 20, "claimed": 20, "succeeded": 20}
    assert "messages_lost" in fleet.log()
    assert dispatcher.poll() is None
    assert worker.poll() is None


def test_standby_dispatcher_takes_over(servers: Servers, fleet: Fleet, database: Database) -> None:
    assert servers
    first = fleet.dispatcher()
    wait_for(lambda: "dispatcher_active" in fleet.log(), what="the first dispatcher")
    fleet.dispatcher()
    fleet.worker(threads=2)
    queue_small_jobs(database, 50)
    first.kill()
    first.wait()
    queue_small_jobs(database, 50)
    wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
    assert events(database) == {"queued": 100, "claimed": 100, "succeeded": 100}


def test_standby_takes_over_from_a_frozen_dispatcher_which_stands_by_when_it_wakes(
    servers: Servers, fleet: Fleet, database: Database
) -> None:
    assert servers
    first = fleet.dispatcher()
    wait_for(lambda: "dispatcher_active" in fleet.log_of(first), what="the first dispatcher")
    second = fleet.dispatcher()
    fleet.worker(threads=2)
    with frozen(first):
        queue_small_jobs(database, 50)
        wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
        assert "dispatcher_unseated" in fleet.log_of(second)
    wait_for(lambda: "dispatcher_interrupted" in fleet.log_of(first), what="the sleeper to notice")
    queue_small_jobs(database, 50)
    wait_for(lambda: count(database, OPEN) == 0, what="the end of all jobs")
    assert events(database) == {"queued": 100, "claimed": 100, "succeeded": 100}
    assert fleet.log_of(first).count("dispatcher_active") == 1
    assert first.poll() is None
