"""Recordings that are small to send and long to listen to."""

from pathlib import Path

import pytest
from support.media.video import run_ffmpeg

from pipeline.errors import MediaError
from pipeline.ingest import ingest
from pipeline.listening.listen import build_timeline
from pipeline.progress import Meter
from pipeline.types import IngestTask, Source


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


def test_recording_within_the_limit_is_taken(silence: Path, tmp_path: Path) -> None:
    task = IngestTask(source=Source(location=str(silence)), longest_s=1801)
    assert ingest(task, tmp_path, Meter(lambda _: None)).probe.duration_s == pytest.approx(1800)
