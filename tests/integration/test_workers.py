"""The way of a recording through real processes: dispatcher, worker, media children."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Fleet, add_recording, add_user, make_media, rows, wait_for

from db.connection import SERVICE, Database
from services import clips, jobs, quotas
from services.settings import Settings
from storage.factory import Stores
from workers.scratch import KEPT


def scratch_folders(fleet: Fleet) -> list[Path]:
    """What attempts have left; a living worker's own corner, and what clips of a recording share, do not count."""
    root = fleet.settings.scratch_dir or Path()
    return [path for path in root.glob("*/*") if path.is_dir() and path.name != KEPT]


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(settings, tmp_path) as started:
        yield started


def test_uploaded_recording_becomes_a_clip(fleet: Fleet, database: Database, stores: Stores, tmp_path: Path) -> None:
    user_id = add_user(database)
    recording_id = add_recording(database, stores.recordings, user_id, make_media(tmp_path / "talk.mp4"))
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
            tier=quotas.tier_of(tx, user_id=user_id),
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
    assert stores.clips.stat(finished.objects["mp4"]["key"]).size_bytes > 0
    assert scratch_folders(fleet) == []
    kept = (fleet.settings.scratch_dir or Path()).glob(f"*/{KEPT}/*/*.index")
    assert len(list(kept)) == 1, "the next clip of this recording need not fetch its index again"
