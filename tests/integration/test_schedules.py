"""Each tick runs once, however many processes tick."""

import json
import threading
from pathlib import Path
from uuid import UUID

import pytest
from support.servers.fleet import add_ready_recording, add_user, rows

from db.connection import SERVICE, Database
from services.errors import NotFoundError
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.lifecycle import maintenance
from services.lifecycle import outcome as lifecycle
from storage.factory import Buckets

NAMES = [schedule.name for schedule in schedules.SCHEDULES]


def tick(database: Database) -> list[str]:
    with database.transaction(SERVICE) as tx:
        return [job.kind for job in schedules.tick(tx)]


@pytest.fixture
def installed(database: Database) -> Database:
    with database.transaction(SERVICE) as tx:
        schedules.install(tx)
    return database


def age_ticks(database: Database) -> None:
    """As if the latest tick of each had been long ago."""
    rows(database, "UPDATE schedule_ticks SET slot = slot - interval '2 days' RETURNING name")


def end_jobs(database: Database) -> None:
    rows(database, "UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE state = 'queued' RETURNING id")


def test_every_schedule_has_an_actor_and_runs_once_a_tick(installed: Database) -> None:
    first = tick(installed)
    assert sorted(first) == sorted(schedule.kind for schedule in schedules.SCHEDULES)
    assert {jobs.KINDS[kind] for kind in first} == {"housekeeping"}
    assert tick(installed) == []


def test_two_schedulers_at_once_make_one_run(installed: Database) -> None:
    gate = threading.Barrier(2)
    made: list[list[str]] = []

    def race() -> None:
        with installed.transaction(SERVICE) as tx:
            gate.wait(10)
            found = [job.kind for job in schedules.tick(tx)]
        made.append(found)

    threads = [threading.Thread(target=race) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(found) for found in made) == [0, len(NAMES)]
    assert len(rows(installed, "SELECT id FROM jobs")) == len(NAMES)


def test_days_without_a_scheduler_are_made_up_for_once(installed: Database) -> None:
    tick(installed)
    end_jobs(installed)
    age_ticks(installed)
    assert len(tick(installed)) == len(NAMES)
    assert tick(installed) == []


def test_tick_passes_while_the_last_run_is_open(installed: Database) -> None:
    tick(installed)
    age_ticks(installed)
    assert tick(installed) == []


def test_paused_schedule_does_not_run_until_it_is_resumed_or_asked(installed: Database) -> None:
    with installed.transaction(SERVICE) as tx:
        schedules.pause(tx, name="prune-jobs", is_paused=True)
        schedules.install(tx)
    assert "prune_jobs" not in tick(installed)
    with installed.transaction(SERVICE) as tx:
        assert schedules.run_now(tx, name="prune-jobs").kind == "prune_jobs"
        schedules.pause(tx, name="prune-jobs", is_paused=False)
        found = {state.name: state for state in schedules.list_schedules(tx)}
    assert sorted(found) == sorted(NAMES)
    assert found["prune-jobs"].last_state == "queued"
    assert found["prune-jobs"].next_slot > found["expire-clips"].last_slot  # type: ignore[operator]


def test_unknown_schedule_is_not_found(installed: Database) -> None:
    for call in (
        lambda tx: schedules.run_now(tx, name="nothing"),
        lambda tx: schedules.pause(tx, name="nothing", is_paused=True),
    ):
        with pytest.raises(NotFoundError), installed.transaction(SERVICE) as tx:
            call(tx)


@pytest.fixture
def clip_id(database: Database, buckets: Buckets, tmp_path: Path) -> UUID:
    user_id = add_user(database)
    (tmp_path / "talk").write_bytes(b"x")
    recording_id = add_ready_recording(database, buckets.recordings, user_id, tmp_path / "talk", duration_s=60)
    insert = (
        "INSERT INTO clips (user_id, recording_id, start_s, end_s) VALUES (%(user)s, %(recording)s, 0, 10) RETURNING id"
    )
    found: UUID = rows(database, insert, user=user_id, recording=recording_id)[0]["id"]
    return found


def test_clip_whose_job_is_gone_fails_after_two_hours(database: Database, clip_id: UUID) -> None:
    with database.transaction(SERVICE) as tx:
        assert maintenance.cleanup_clips(tx) == 0
    rows(database, "UPDATE clips SET updated_at = now() - interval '3 hours' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert maintenance.cleanup_clips(tx) == 1
        assert maintenance.cleanup_clips(tx) == 0
    assert rows(database, "SELECT error ->> 'code' AS code FROM clips WHERE id = %(id)s", id=clip_id) == [
        {"code": "stuck"}
    ]


def test_clip_that_waits_in_a_long_queue_is_not_stuck(database: Database, clip_id: UUID) -> None:
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="render", user_id=None, clip_id=clip_id)
    rows(database, "UPDATE clips SET updated_at = now() - interval '3 hours' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert maintenance.cleanup_clips(tx) == 0


def test_objects_of_rows_stay_and_others_are_orphans(database: Database, clip_id: UUID) -> None:
    [row] = rows(database, "SELECT user_id, recording_id FROM clips")
    owner = row["user_id"]
    kept = f"{owner}/{clip_id}/1/clip.mp4"
    objects = json.dumps({"mp4": {"key": kept}})
    rows(
        database,
        "UPDATE clips SET status = 'completed', objects = %(objects)s::jsonb, completed_at = now() RETURNING id",
        objects=objects,
    )
    superseded, gone, foreign = f"{owner}/{clip_id}/2/clip.mp4", f"{owner}/{UUID(int=1)}/1/clip.mp4", "readme.txt"
    with database.transaction(SERVICE) as tx:
        found = maintenance.find_orphans(tx, bucket="clips", keys=[kept, superseded, gone, foreign])
        source = f"{owner}/{row['recording_id']}/source"
        old = f"{owner}/{row['recording_id']}/ingest/1/timeline.bin"
        recordings = maintenance.find_orphans(tx, bucket="recordings", keys=[source, old])
    assert found == [superseded, gone]
    assert recordings == [old]


def test_objects_of_work_under_way_are_no_orphans(database: Database, clip_id: UUID) -> None:
    [row] = rows(database, "SELECT user_id FROM clips")
    with database.transaction(SERVICE) as tx:
        keys = [f"{row['user_id']}/{clip_id}/1/clip.mp4"]
        assert maintenance.find_orphans(tx, bucket="clips", keys=keys) == []


def test_series_counts_ended_jobs_and_counting_again_changes_nothing(database: Database) -> None:
    with database.transaction(SERVICE) as tx:
        for _ in range(3):
            jobs.enqueue(tx, kind="render", user_id=None)
    end_jobs(database)
    for _ in range(2):
        with database.transaction(SERVICE) as tx:
            assert maintenance.roll_up_jobs(tx) == 1
    assert rows(database, "SELECT queue, kind, outcome, jobs FROM job_series") == [
        {"queue": "render", "kind": "render", "outcome": "succeeded", "jobs": 3}
    ]


def test_old_jobs_are_pruned_and_dead_ones_stay_longer(database: Database) -> None:
    with database.transaction(SERVICE) as tx:
        made = [jobs.enqueue(tx, kind="render", user_id=None).id for _ in range(3)]
    rows(
        database, "UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE id = %(id)s RETURNING id", id=made[0]
    )
    rows(
        database,
        "UPDATE jobs SET state = 'failed', error = '{}', finished_at = now() WHERE id = %(id)s RETURNING id",
        id=made[1],
    )
    rows(database, "UPDATE jobs SET finished_at = finished_at - interval '31 days' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert maintenance.prune_jobs(tx)["jobs"] == 1
    assert {row["id"] for row in rows(database, "SELECT id FROM jobs")} == set(made[1:])


def test_expired_hold_of_an_ended_job_is_given_back(database: Database) -> None:
    user_id = add_user(database)
    with database.transaction(SERVICE) as tx:
        job = jobs.enqueue(tx, kind="render", user_id=user_id)
    rows(
        database,
        "INSERT INTO quota_holds (job_id, user_id, feature, period_start, amount) "
        "VALUES (%(job)s, %(user)s, 'clips_per_month', current_date, 1) RETURNING job_id",
        job=job.id,
        user=user_id,
    )
    with database.transaction(SERVICE) as tx:
        assert maintenance.reset_quotas(tx)["holds_released"] == 0
        lifecycle.cancel_many(tx, [job.id])
    rows(database, "UPDATE quota_holds SET state = 'held' RETURNING job_id")
    rows(database, "UPDATE jobs SET finished_at = now() - interval '2 hours' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert maintenance.reset_quotas(tx)["holds_released"] == 1
