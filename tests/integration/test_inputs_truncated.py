"""Recordings that end before their content does: what is there is cut, and a note says where it ends, of how much."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.api.command import run_snuggles
from support.media.video import AAC, H264, complaints, record
from support.servers.range_server import serve_ranges

from pipeline.errors import MediaError
from pipeline.ingest import ingest
from pipeline.progress import Meter
from pipeline.reading.index import build_index
from pipeline.reading.media import open_media
from pipeline.reading.probe import find_losses, probe
from pipeline.rendering.cut import cut
from pipeline.types import IngestTask, Probe, Source

SECONDS = 8.0
SHARE = 0.55
VIDEO = (*H264, "-g", "25")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
FRONT = ("-movflags", "+faststart")
FRAGMENTS = ("-movflags", "+frag_keyframe+empty_moov")
Recorder = Callable[[Path], Path]


def sound(codec: str, *extra: str) -> Recorder:
    return lambda path: record(path, seconds=SECONDS, video=None, audio=("-c:a", codec), extra=extra)


def film(video: tuple[str, ...] = VIDEO, audio: tuple[str, ...] = AAC, extra: tuple[str, ...] = ()) -> Recorder:
    return lambda path: record(path, seconds=SECONDS, video=video, audio=audio, extra=extra)


TELLING: dict[str, Recorder] = {
    "a.wav": sound("pcm_s16le"),
    "long.wav": sound("pcm_s16le", "-rf64", "always"),
    "a.flac": sound("flac"),
    "a.mp3": sound("libmp3lame"),
    "a.m4a": sound("aac", *FRONT),
    "a.mp4": film(extra=FRONT),
    "a.mkv": film(),
    "cues.mkv": film(extra=("-cues_to_front", "1")),
    "a.webm": film(VP9, ("-c:a", "libopus")),
    "a.flv": film(),
    "a.avi": film(("-c:v", "mpeg4", "-q:v", "3", "-g", "25"), ("-c:a", "libmp3lame")),
}
"""Formats that tell how long they would be."""
SILENT: dict[str, Recorder] = {
    "a.ogg": sound("libvorbis"),
    "a.opus": sound("libopus"),
    "a.ts": film(),
    "f.mp4": film(extra=FRAGMENTS),
}
"""Formats that only let one see that something is missing."""


def cut_off(recorder: Recorder, path: Path, share: float = SHARE) -> Path:
    """Record, and leave out the end; never at a boundary of the format."""
    data = recorder(path).read_bytes()
    size = int(len(data) * share)
    path.write_bytes(data[: size - 1 if size % 188 == 0 else size])
    return path


def note_of(found: Probe) -> str:
    return next((problem.message for problem in found.problems if problem.code == "truncated"), "")


def is_clip_right(path: Path, found: Probe, folder: Path) -> None:
    """A clip up to where the recording ends is whole; beyond, the cause is named."""
    out = folder / ("clip.mp4" if found.video is not None else "clip.m4a")
    end_s = found.duration_s - 0.2
    cut(path, start_s=end_s - 1.5, end_s=end_s, out=out)
    assert probe(out).duration_s == pytest.approx(1.5, abs=0.15)
    assert complaints(out) == ""


@pytest.mark.parametrize("name", TELLING)
def test_note_says_where_the_file_ends_and_of_how_much(tmp_path: Path, name: str) -> None:
    path = cut_off(TELLING[name], tmp_path / name)
    found = probe(path)
    told = re.match(r"The file ends at ([\d.]+) s of (?:about )?([\d.]+) s", note_of(found))
    assert told, found.problems
    assert float(told[1]) == pytest.approx(found.duration_s, abs=0.06)
    assert found.duration_s == pytest.approx(SECONDS * SHARE, abs=0.6)
    assert float(told[2]) == pytest.approx(SECONDS, abs=0.3)
    assert float(build_index(path).duration_s) == pytest.approx(found.duration_s, abs=0.06)
    is_clip_right(path, found, tmp_path)


@pytest.mark.parametrize("name", SILENT)
def test_note_says_where_the_file_breaks_off(tmp_path: Path, name: str) -> None:
    path = cut_off(SILENT[name], tmp_path / name)
    found = probe(path)
    assert re.match(rf"The file breaks off at {found.duration_s:.1f} s", note_of(found)), found.problems
    assert found.duration_s == pytest.approx(SECONDS * SHARE, abs=1.1)
    is_clip_right(path, found, tmp_path)


@pytest.mark.parametrize("name", TELLING | SILENT)
def test_whole_file_has_no_such_note(tmp_path: Path, name: str) -> None:
    path = (TELLING | SILENT)[name](tmp_path / name)
    assert note_of(probe(path)) == ""


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.wav", "f.mp4"])
def test_clip_beyond_the_end_of_what_is_there_is_refused(tmp_path: Path, name: str) -> None:
    path = cut_off((TELLING | SILENT)[name], tmp_path / name)
    ingested = ingest(IngestTask(source=Source(location=str(path))), tmp_path, Meter(lambda _: None))
    assert note_of(ingested.probe)
    source = Source(location=str(path), index=str(tmp_path / (ingested.index or "")))
    with pytest.raises(MediaError) as caught:
        cut(source, start_s=SECONDS - 2, end_s=SECONDS - 1, out=tmp_path / "clip.mp4")
    assert caught.value.code == "out_of_range"
    assert f"{ingested.probe.duration_s:.3f} s long" in caught.value.message


@pytest.mark.parametrize("name", ["a.mp4", "a.m4a"])
def test_mp4_that_was_never_ingested_is_not_cut_beyond_its_end_either(tmp_path: Path, name: str) -> None:
    """Its header promises eight seconds; what is not there would come out as silence."""
    path = cut_off(TELLING[name], tmp_path / name)
    with pytest.raises(MediaError) as caught:
        cut(path, start_s=SECONDS - 2, end_s=SECONDS - 1, out=tmp_path / "clip.m4a")
    assert caught.value.code == "out_of_range"
    assert f"{probe(path).duration_s:.3f} s long" in caught.value.message


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.flac", "a.ogg", "f.mp4"])
@pytest.mark.parametrize("begins_s", [SECONDS - 2, 1.0])
def test_command_refuses_a_clip_of_what_is_not_there_in_the_times_it_was_given(
    tmp_path: Path, name: str, begins_s: float
) -> None:
    path = cut_off((TELLING | SILENT)[name], tmp_path / name)
    times = ("--start", str(begins_s), "--end", str(SECONDS - 0.5))
    done = run_snuggles("cut", path, *times, "--out", "clip.mp3", folder=tmp_path)
    assert done.returncode == 1
    assert f"{begins_s:g} to {SECONDS - 0.5:g} s was asked for" in done.stderr
    assert f"{probe(path).duration_s:.3f} s long" in done.stderr
    assert not (tmp_path / "clip.mp3").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.wav", "a.flv", "a.ogg"])
def test_note_is_the_same_from_afar(tmp_path: Path, name: str) -> None:
    path = cut_off((TELLING | SILENT)[name], tmp_path / name)
    with serve_ranges(tmp_path) as server:
        assert note_of(probe(Source(location=server.address(name)))) == note_of(probe(path)) != ""


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ogg", "a.ts"])
def test_cut_repeats_the_note(tmp_path: Path, name: str) -> None:
    path = cut_off((TELLING | SILENT)[name], tmp_path / name)
    times = ("--start", "1", "--end", "2", "--accuracy", "fast")
    out = "clip.mp3" if name == "a.ogg" else "clip.mp4"
    done = run_snuggles("cut", path, *times, "--out", out, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"note: {note_of(probe(path))}" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_loss_is_noticed_from_afar_without_reading_all(tmp_path: Path, name: str) -> None:
    """The index of an MP4 tells where the file ends; a Matroska file would have to be read for it."""
    path = cut_off(film(extra=(*FRONT, "-cluster_size_limit", "20000", "-b:v", "8M")), tmp_path / name)
    with serve_ranges(tmp_path) as server, open_media(Source(location=server.address(name))) as media:
        (loss,) = find_losses(media)
        assert loss.code == "truncated"
        assert ("s of 8.0 s" in loss.message) == (name == "a.mp4")
        assert media.bytes_read < path.stat().st_size


def test_header_without_anything_behind_it_is_truncated(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.mp4", seconds=2, video=VIDEO, extra=FRONT)
    data = whole.read_bytes()
    (tmp_path / "part.mp4").write_bytes(data[: data.index(b"mdat") + 5])
    with pytest.raises(MediaError) as caught:
        probe(tmp_path / "part.mp4")
    assert caught.value.code == "truncated"
