"""Hours of sound: the one moment that matters is in the last minute, and the clip has it."""

from pathlib import Path

import numpy as np
import pytest
from support.media.audio import applause, mixed, speech
from support.media.video import run_ffmpeg, sound_of

from pipeline.ingest import detect, ingest
from pipeline.progress import Meter
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.types import DetectOptions, DetectTask, IngestTask, Source

RATE = 16_000
PIECE_S = 600.0
PIECES = 12
APPLAUSE_S = PIECE_S - 40
APPLAUSE_LENGTH_S = 6.0


def piece(folder: Path, name: str, sound: np.ndarray) -> bytes:
    """Code ten minutes of sound as MP3 without a header, so that pieces can be put one behind the other."""
    sound.astype("<f4").tofile(folder / "sound")
    run_ffmpeg("-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", folder / "sound", "-c:a", "libmp3lame", "-b:a", "32k",
               "-write_xing", "0", "-id3v2_version", "0", folder / name)  # fmt: skip
    return (folder / name).read_bytes()


@pytest.fixture(scope="module")
def podcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of talk, with applause forty seconds before the end."""
    folder = tmp_path_factory.mktemp("podcast")
    talk = speech(PIECE_S, seed=5)
    usual = piece(folder, "usual.mp3", talk)
    last = piece(folder, "last.mp3", mixed(talk, (APPLAUSE_S, applause(APPLAUSE_LENGTH_S))))
    with (folder / "podcast.mp3").open("wb") as file:
        for _ in range(PIECES - 1):
            file.write(usual)
        file.write(last)
    return folder / "podcast.mp3"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_best_moment_of_two_hours_is_in_its_last_minute(podcast: Path, tmp_path: Path) -> None:
    length_s = probe(podcast).duration_s
    assert length_s == pytest.approx(PIECES * PIECE_S, abs=5)
    ingested = ingest(IngestTask(source=Source(location=str(podcast))), tmp_path, Meter(lambda _: None))
    options = DetectOptions(sensitivity=0.5, top=1)
    found = detect(DetectTask(timeline=ingested.timeline, options=options), tmp_path, Meter(lambda _: None))
    best = found.highlights[0]
    clapping_s = length_s - (PIECE_S - APPLAUSE_S)
    assert best.core_start_s < clapping_s + APPLAUSE_LENGTH_S
    assert best.core_end_s > clapping_s
    assert ingested.index is not None
    source = Source(location=str(podcast), index=str(tmp_path / ingested.index))
    cut(source, start_s=best.start_s, end_s=best.end_s, out=tmp_path / "clip.m4a")
    heard = sound_of(tmp_path / "clip.m4a")
    middle = int((clapping_s + APPLAUSE_LENGTH_S / 2 - best.start_s) * heard.rate)
    clapped = heard.samples[middle - heard.rate : middle + heard.rate]
    # Talk has pauses and vowels; applause is dense noise, which crosses zero far more often.
    crossings = np.mean(np.diff(np.sign(clapped)) != 0) * heard.rate
    spoken = speech(2.0, seed=5)
    assert crossings > 1.5 * np.mean(np.diff(np.sign(spoken)) != 0) * RATE
