"""The way of a recording through real processes: dispatcher, worker, media children."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.media.video import H264, pictures_of, record
from support.servers.fleet import Fleet, add_recording, add_user, make_media, rows, wait_for

from db.connection import SERVICE, Database
from services.billing import tier as tiers
from services.clips import service as clips
from services.jobs import service as jobs
from services.process.settings import Settings
from storage.factory import Buckets
from workers.scratch import CACHE


def scratch_folders(fleet: Fleet) -> list[Path]:
    """What attempts have left; a living worker's own corner, and what clips of a recording share, do not count."""
    root = fleet.settings.scratch_dir or Path()
    return [path for path in root.glob("*/*") if path.is_dir() and path.name != CACHE]


def finished(database: Database) -> bool:
    return bool(rows(database, "SELECT 1 FROM jobs WHERE state = 'succeeded'"))


def test_worker_that_was_drained_takes_jobs_again_when_that_is_undone(fleet: Fleet, database: Database) -> None:
    fleet.dispatcher()
    fleet.worker()
    wait_for(lambda: rows(database, "SELECT 1 FROM workers"), what="the worker")
    rows(database, "UPDATE workers SET drain_requested_at = now() RETURNING id")
    wait_for(lambda: rows(database, "SELECT 1 FROM workers WHERE is_draining"), what="the worker to drain")
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="roll_up_jobs", user_id=None)
    rows(database, "UPDATE workers SET drain_requested_at = NULL RETURNING id")
    wait_for(lambda: finished(database), what="the job")


def test_drained_worker_that_a_supervisor_replaces_ends_once_it_is_idle(fleet: Fleet, database: Database) -> None:
    process = fleet.worker(options=("--exit-when-drained", "0.5"))
    wait_for(lambda: rows(database, "SELECT 1 FROM workers"), what="the worker")
    assert process.poll() is None
    rows(database, "UPDATE workers SET drain_requested_at = now() RETURNING id")
    assert wait_for(lambda: process.poll() is not None, what="its end")
    assert process.returncode == 0
    assert rows(database, "SELECT 1 FROM workers") == []


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(settings, tmp_path) as started:
        yield started


def test_uploaded_recording_becomes_a_clip(fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path) -> None:
    user_id = add_user(database)
    recording_id = add_recording(database, buckets.recordings, user_id, make_media(tmp_path / "talk.mp4"))
    fleet.dispatcher()
    fleet.worker()
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id)

    def status() -> str:
        return rows(database, "SELECT status FROM recordings WHERE id = %(id)s", id=recording_id)[0]["status"]

    wait_for(lambda: status() == "ready", what="ready")
    with database.transaction(SERVICE) as tx:
        clip, job = clips.create(
            tx,
            user_id=user_id,
            tier=tiers.tier_of(tx, user_id=user_id),
            recording_id=recording_id,
            start_s=3.0,
            end_s=9.0,
        )
    ended = "SELECT * FROM jobs WHERE id = %(id)s AND finished_at IS NOT NULL"
    found = wait_for(lambda: rows(database, ended, id=job.id), what="the end of the render")
    assert found[0]["state"] == "succeeded"
    with database.transaction(SERVICE) as tx:
        finished = clips.get(tx, user_id=user_id, clip_id=clip.id)
    assert finished.status == "completed"
    assert buckets.clips.stat(finished.objects["mp4"]["key"]).size_bytes > 0
    assert scratch_folders(fleet) == []
    kept = (fleet.settings.scratch_dir or Path()).glob(f"*/{CACHE}/*/*.index")
    assert len(list(kept)) == 1, "the next clip of this recording need not fetch its index again"


def test_upload_without_its_index_becomes_ready_with_notes_and_a_clip(
    fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    """The recorder stopped before it wrote the index: ingest finds the pictures, clips are cut from the upload."""
    whole = record(
        tmp_path / "whole.mp4", seconds=12, video=(*H264, "-g", "25", "-x264-params", "repeat-headers=1")
    ).read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole[: whole.rindex(b"moov") - 4])
    user_id = add_user(database)
    recording_id = add_recording(database, buckets.recordings, user_id, broken)
    fleet.dispatcher()
    fleet.worker()
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id)
    ready = "SELECT * FROM recordings WHERE id = %(id)s AND status = 'ready'"
    recording = wait_for(lambda: rows(database, ready, id=recording_id), what="ready")[0]
    assert {"recovered", "sound_recovered"} <= {problem["code"] for problem in recording["probe"]["problems"]}
    assert recording["duration_s"] == pytest.approx(12, abs=0.1)
    with database.transaction(SERVICE) as tx:
        clip, job = clips.create(
            tx,
            user_id=user_id,
            tier=tiers.tier_of(tx, user_id=user_id),
            recording_id=recording_id,
            start_s=6.2,
            end_s=11.2,
        )
    ended = "SELECT * FROM jobs WHERE id = %(id)s AND finished_at IS NOT NULL"
    assert wait_for(lambda: rows(database, ended, id=job.id), what="the end")[0]["state"] == "succeeded"
    with database.transaction(SERVICE) as tx:
        finished = clips.get(tx, user_id=user_id, clip_id=clip.id)
    buckets.clips.get_file(finished.objects["mp4"]["key"], tmp_path / "clip.mp4")
    assert [p.number for p in pictures_of(tmp_path / "clip.mp4")] == list(range(155, 280))
    assert finished.objects["mp4"]["copied_s"] > 2
