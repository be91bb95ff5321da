"""Recordings whose clock starts again, jumps or begins below zero: what is found is cut at its true place."""

import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from support.media.audio import applause, mixed, speech, write_audio
from support.media.video import H264, pictures_of, record, sound_of
from support.servers.range_server import serve_ranges

from pipeline.ingest import detect, ingest
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.progress import Meter
from pipeline.reading.index import build_index
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.types import DetectOptions, DetectTask, IngestTask, Source

RATE = 48_000
FIRST_S, SECOND_S = 40.0, 90.0
BEEP_S = 7.0
"""Where in the second piece the marked sound is."""
CLOCKS_S = [0, 0.5, 12, 90, 5000]
"""Where the second piece's clock begins; the first one runs from 20 s to 60 s."""


def shifted(path: Path, sound: np.ndarray, start_s: float, rate: int) -> Path:
    """Write sound as a transport stream whose clock begins at `start_s`."""
    made = write_audio(path.with_suffix(".m4a"), sound, rate=rate, codec="aac")
    with av.open(str(made)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts += int(start_s / packet.time_base)
            packet.dts = packet.pts
            packet.stream = stream
            new.mux(packet)
    return path


def joined(folder: Path, first: np.ndarray, second: np.ndarray, clock_s: float, *, rate: int = RATE) -> Path:
    parts = [shifted(folder / "a.ts", first, 20, rate), shifted(folder / "b.ts", second, clock_s, rate)]
    with (folder / "talk.ts").open("wb") as file:
        for part in parts:
            with part.open("rb") as one:
                shutil.copyfileobj(one, file)
    return folder / "talk.ts"


def quiet(seconds: float) -> np.ndarray:
    return (0.001 * np.random.default_rng(1).standard_normal(int(seconds * RATE))).astype(np.float32)


def beeping(seconds: float, at_s: float) -> np.ndarray:
    sound = quiet(seconds)
    begin = int(at_s * RATE)
    sound[begin : begin + RATE] += 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    return sound


def loud_s(sound: np.ndarray, rate: int) -> tuple[float, float]:
    """Return when the first loud sample and the last are heard."""
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    assert len(loud)
    return loud[0] / rate, loud[-1] / rate


@pytest.mark.parametrize("clock_s", CLOCKS_S)
def test_sound_after_a_jump_is_on_the_timeline_where_a_cut_finds_it(tmp_path: Path, clock_s: float) -> None:
    path = joined(tmp_path, quiet(FIRST_S), beeping(20.0, BEEP_S), clock_s)
    ingested = ingest(IngestTask(source=Source(location=str(path))), tmp_path, Meter(lambda _: None))
    assert ingested.probe.duration_s == pytest.approx(FIRST_S + 20, abs=0.2)
    assert "clock_restarts" in {problem.code for problem in ingested.probe.problems}
    timeline = Timeline.load(tmp_path / ingested.timeline)
    assert timeline.duration_s == pytest.approx(FIRST_S + 20, abs=0.3)
    rows = np.flatnonzero(timeline.column("level_db") > -30.0)
    assert rows[0] / timeline.rate == pytest.approx(FIRST_S + BEEP_S, abs=0.25)
    assert rows[-1] / timeline.rate == pytest.approx(FIRST_S + BEEP_S + 1, abs=0.25)
    start_s = float(rows[0]) / timeline.rate - 1
    cut(path, start_s=start_s, end_s=start_s + 3, out=tmp_path / "clip.m4a")
    heard = sound_of(tmp_path / "clip.m4a")
    begin, end = loud_s(heard.samples, heard.rate)
    assert begin == pytest.approx(1, abs=0.3)
    assert end == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("clock_s", [0, 90])
def test_highlight_after_a_jump_is_cut_with_its_applause(tmp_path: Path, clock_s: float) -> None:
    clapping_s = 40.0
    talk = mixed(speech(SECOND_S, seed=5), (clapping_s, applause(6.0)))
    path = joined(tmp_path, speech(FIRST_S, seed=3), talk, clock_s, rate=16_000)
    ingested = ingest(IngestTask(source=Source(location=str(path))), tmp_path, Meter(lambda _: None))
    options = DetectOptions(sensitivity=0.5, top=1)
    found = detect(DetectTask(timeline=ingested.timeline, options=options), tmp_path, Meter(lambda _: None))
    best = found.highlights[0]
    assert best.core_start_s < FIRST_S + clapping_s + 6
    assert best.core_end_s > FIRST_S + clapping_s
    assert ingested.index is not None
    source = Source(location=str(path), index=str(tmp_path / ingested.index))
    cut(source, start_s=best.start_s, end_s=best.end_s, out=tmp_path / "clip.m4a")
    heard = sound_of(tmp_path / "clip.m4a")
    middle = int((FIRST_S + clapping_s + 3 - best.start_s) * heard.rate)
    clapped = heard.samples[middle - heard.rate : middle + heard.rate]
    spoken = sound_of(path).samples[: 20 * heard.rate]
    assert np.sqrt(np.mean(clapped**2)) > 1.5 * np.sqrt(np.mean(spoken**2))


def test_listening_to_a_local_file_alone_straightens_its_clock(tmp_path: Path) -> None:
    path = joined(tmp_path, quiet(FIRST_S), beeping(20.0, BEEP_S), 90)
    timeline = build_timeline(path)
    assert timeline.duration_s == pytest.approx(FIRST_S + 20, abs=0.3)


@pytest.mark.parametrize("clock_s", [0, 0.5, 5000])
def test_clock_that_starts_again_is_noticed_from_afar(tmp_path: Path, clock_s: float) -> None:
    """Only a few places of the file are looked at, until one does not fit."""
    path = joined(tmp_path, quiet(FIRST_S), beeping(20.0, BEEP_S), clock_s)
    with serve_ranges(tmp_path) as server:
        found = probe(Source(location=server.address(path.name)))
    assert found.duration_s == pytest.approx(FIRST_S + 20, abs=0.2)
    assert "clock_restarts" in {problem.code for problem in found.problems}


def test_clock_that_begins_below_zero_is_noted_and_counted_from_its_beginning(tmp_path: Path) -> None:
    below_zero = ("-avoid_negative_ts", "disabled", "-muxdelay", "0", "-output_ts_offset", "-5")
    path = record(tmp_path / "early.ts", video=(*H264, "-g", "25"), audio=None, extra=below_zero)
    found = probe(path)
    assert found.start_s == pytest.approx(-5, abs=0.001)
    assert "negative_start" in {problem.code for problem in found.problems}
    cut(path, start_s=1.2, end_s=3.2, out=tmp_path / "clip.mp4")
    assert [p.number for p in pictures_of(tmp_path / "clip.mp4")] == list(range(30, 80))


def test_length_of_matroska_that_begins_below_zero_is_not_the_time_of_its_end(tmp_path: Path) -> None:
    """FFmpeg writes the time of the end into the header: half a second could never be asked for."""
    below_zero = ("-avoid_negative_ts", "disabled", "-output_ts_offset", "-0.5")
    path = record(tmp_path / "early.mkv", seconds=6, video=(*H264, "-bf", "0", "-g", "25"), extra=below_zero)
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(5_500_000, abs=50_000)
    assert probe(path).duration_s == pytest.approx(6, abs=0.05)
    assert float(build_index(path).duration_s) == pytest.approx(6, abs=0.05)
    cut(path, start_s=4, end_s=5.96, out=tmp_path / "clip.mp4")
    # The sound begins 21 ms, half a picture, before the pictures: that is where time is counted from.
    assert [p.number for p in pictures_of(tmp_path / "clip.mp4")] == list(range(99, 148))


def test_clock_that_begins_at_zero_has_no_such_note(tmp_path: Path) -> None:
    path = record(tmp_path / "zero.ts", seconds=1, audio=None, extra=("-muxdelay", "0"))
    assert "negative_start" not in {problem.code for problem in probe(path).problems}
