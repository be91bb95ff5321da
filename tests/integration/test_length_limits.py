"""Recordings that are small to send and long to listen to."""

import time
from pathlib import Path

import numpy as np
import psycopg
import pytest
from support.media.video import run_ffmpeg
from support.servers.fleet import Fleet, add_recording, add_user, rows, wait_for

from db.connection import SERVICE, Database
from pipeline.errors import MediaError
from pipeline.ingest import ingest
from pipeline.listening.features import SAMPLE_RATE
from pipeline.listening.listen import TimelineBuilder, build_timeline
from pipeline.progress import Meter
from pipeline.types import IngestTask, Source
from services.jobs import service as jobs
from services.process.settings import Settings
from storage.factory import Buckets

BLOCK = 60 * SAMPLE_RATE


@pytest.fixture(scope="module")
def silence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour of silence."""
    path = tmp_path_factory.mktemp("silence") / "silence.flac"
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "1800", "-c:a", "flac", path)
    assert path.stat().st_size < 400_000
    return path


def test_recording_longer_than_the_limit_is_refused_before_it_is_heard(silence: Path, tmp_path: Path) -> None:
    task = IngestTask(source=Source(location=str(silence)), longest_s=600)
    with pytest.raises(MediaError, match=r"0\.5 h, at most 0\.2 h") as refused:
        ingest(task, tmp_path, Meter(lambda _: None))
    assert (refused.value.code, refused.value.retryable) == ("recording_too_long", False)
    assert not (tmp_path / "timeline.bin").exists()


def test_sound_that_goes_on_after_the_limit_is_not_heard_to_its_end(silence: Path) -> None:
    heard: list[float] = []
    with pytest.raises(MediaError, match="goes on after") as refused:
        build_timeline(silence, longest_s=60, on_progress=heard.append)
    assert refused.value.code == "recording_too_long"
    assert max(heard) < 0.1


def test_silence_costs_a_fraction_of_what_sound_costs() -> None:
    sound = np.random.default_rng(9).normal(0, 0.1, BLOCK).astype(np.float32)
    listened_s(sound[: BLOCK // 8])  # whatever the first use of it loads
    assert listened_s(np.zeros(BLOCK, dtype=np.float32)) < listened_s(sound) / 4


def listened_s(block: np.ndarray) -> float:
    """Processor time for half an hour of a block of sound over and over."""
    builder = TimelineBuilder()
    began_s = time.process_time()
    for _ in range(1800 * SAMPLE_RATE // BLOCK):
        builder.push(block, rate=SAMPLE_RATE)
    builder.finish()
    return time.process_time() - began_s


def test_worker_asks_for_the_length_that_the_owners_tier_allows(
    settings: Settings, database: Database, buckets: Buckets, silence: Path, tmp_path: Path
) -> None:
    user_id = add_user(database)
    recording_id = add_recording(database, buckets.recordings, user_id, silence)
    with psycopg.connect(settings.migration_database_url) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"recording_length_s\": 600}' WHERE tier = 'free'")
    with Fleet(settings, tmp_path) as fleet:
        fleet.dispatcher()
        fleet.worker()
        with database.transaction(SERVICE) as tx:
            jobs.enqueue(tx, kind="ingest", user_id=user_id, recording_id=recording_id)
        failed = "SELECT error FROM recordings WHERE status = 'failed'"
        (row,) = wait_for(lambda: rows(database, failed), what="the refusal")
    assert row["error"]["code"] == "recording_too_long"


def test_recording_within_the_limit_is_taken(silence: Path, tmp_path: Path) -> None:
    task = IngestTask(source=Source(location=str(silence)), longest_s=1801)
    assert ingest(task, tmp_path, Meter(lambda _: None)).probe.duration_s == pytest.approx(1800)
