"""One render that several clips wait for, while its worker dies and some of them leave."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import imageio_ffmpeg
import pytest
from support.servers.fleet import Fleet, add_ready_recording, add_user, children, make_media, rows, wait_for

from db.connection import SERVICE, Database
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import Clip, ClipStyle
from services.lifecycle import cancellation, deletion
from storage.factory import Buckets

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

RENDERS = """
SELECT event, count(*) AS n FROM job_events JOIN jobs ON jobs.id = job_id WHERE kind = 'render' GROUP BY event
"""


def ask(database: Database, user_id: UUID, recording_id: UUID) -> Clip:
    with database.transaction(SERVICE) as tx:
        clip, _ = clips.create(
            tx,
            user_id=user_id,
            tier=tiers.tier_of(tx, user_id=user_id),
            recording_id=recording_id,
            start_s=2.0,
            end_s=22.0,
            style=ClipStyle(accuracy="encode"),
        )
    return clip


def status(database: Database, clip: Clip) -> str:
    return str(rows(database, "SELECT status FROM clips WHERE id = %(id)s", id=clip.id)[0]["status"])


def delete(database: Database, clip: Clip) -> None:
    with database.transaction(SERVICE) as tx:
        deletion.delete_clip(tx, user_id=clip.user_id, clip_id=clip.id, now=datetime.now(UTC))


def assert_plays(path: Path) -> None:
    """FFmpeg decodes it without a word."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "null", "-"]
    assert subprocess.run(command, check=True, capture_output=True).stderr == b""


def test_shared_render_outlives_its_worker_and_the_clips_that_leave(
    fleet: Fleet, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    user_id = add_user(database, tier="premium")
    media = make_media(tmp_path / "talk.mp4", size="1280x720")
    recording_id = add_ready_recording(database, buckets.recordings, user_id, media, duration_s=30.0)
    first, second, third = (ask(database, user_id, recording_id) for _ in range(3))
    fleet.dispatcher()
    victim = fleet.worker(threads=1)
    wait_for(lambda: children(victim), what="a media child")
    victim.kill()
    victim.wait()
    delete(database, first)
    with database.transaction(SERVICE) as tx:
        cancellation.cancel_clip(tx, user_id=user_id, clip_id=second.id)
    fleet.worker(threads=1)
    wait_for(lambda: status(database, third) == "completed", timeout_s=90, what="the clip that stayed")
    assert status(database, second) == "cancelled"

    late = ask(database, user_id, recording_id)
    assert late.status == "completed"
    ended = {row["event"]: row["n"] for row in rows(database, RENDERS)}
    assert (ended["queued"], ended["succeeded"]) == (1, 1)
    assert rows(database, "SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'") == [
        {"used": 2, "reserved": 0}
    ]

    delete(database, third)
    [kept] = rows(database, "SELECT objects FROM clips WHERE id = %(id)s", id=late.id)
    buckets.clips.get_file(kept["objects"]["mp4"]["key"], tmp_path / "clip.mp4")
    assert_plays(tmp_path / "clip.mp4")
    delete(database, late)
    wait_for(lambda: not list(buckets.clips.list_objects("")), what="the end of the objects")
