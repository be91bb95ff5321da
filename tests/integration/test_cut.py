"""Cuts, asserted by decoding: which pictures came out, when, and whether the sound is where they are."""

import math
from itertools import pairwise
from pathlib import Path

import pytest
from support.media.recordings import look, numbered
from support.media.video import H264, H264_B, RATE, complaints, origin_s, pictures_of, record, sound_of, sync_of

from pipeline.errors import MediaError
from pipeline.rendering.check.verify import Expectation, verify
from pipeline.rendering.cut import cut

FRAME_S = 1 / RATE


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds with B-pictures and a keyframe every second."""
    path = tmp_path_factory.mktemp("media") / "recording.mp4"
    return record(path, seconds=6, video=(*H264_B, "-g", "25"))


def expected_numbers(start_s: float, end_s: float) -> list[int]:
    first = math.floor(start_s * RATE + 1e-6)
    return list(range(first, first + round((end_s - start_s) * RATE)))


CUTS = [(0.0, 2.0), (1.0, 3.0), (0.52, 3.2), (1.2, 4.44), (2.96, 5.04), (1.04, 3.96), (4.0, 6.0)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(("start_s", "end_s"), CUTS)
def test_exact_cut_shows_exactly_the_pictures_asked_for(
    recording: Path, tmp_path: Path, start_s: float, end_s: float, suffix: str
) -> None:
    out = tmp_path / f"clip{suffix}"
    report = cut(recording, start_s=start_s, end_s=end_s, out=out)
    pictures = pictures_of(out)
    assert report.accuracy == "exact"
    assert report.notes == []
    assert [p.number for p in pictures] == expected_numbers(start_s, end_s)
    steps = [b.time_s - a.time_s for a, b in pairwise(pictures)]
    assert all(abs(step - FRAME_S) < 0.0015 for step in steps)
    assert report.copied_s + report.encoded_s == pytest.approx(end_s - start_s, abs=1e-6)
    assert complaints(out) == ""
    verify(out, Expectation(duration_s=end_s - start_s, video=True, audio=True, pictures=len(pictures)))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(("start_s", "end_s"), CUTS)
def test_exact_cut_keeps_sound_with_pictures(
    recording: Path, tmp_path: Path, start_s: float, end_s: float, suffix: str
) -> None:
    out = tmp_path / f"clip{suffix}"
    cut(recording, start_s=start_s, end_s=end_s, out=out)
    sync = sync_of(out)
    assert abs(sync.at_start_s) < 0.002
    assert abs(sync.at_end_s) < 0.002
    pictures, heard = pictures_of(out), sound_of(out)
    assert abs(heard.start_s - pictures[0].time_s) < FRAME_S
    assert abs(heard.end_s - (pictures[-1].time_s + FRAME_S)) < FRAME_S


def test_exact_cut_copies_all_but_the_edges(recording: Path, tmp_path: Path) -> None:
    report = cut(recording, start_s=0.52, end_s=5.0, out=tmp_path / "clip.mp4")
    assert report.encoded_s == pytest.approx(0.48)
    assert report.copied_s == pytest.approx(4.0)


def test_cut_between_pictures_begins_with_the_one_on_the_screen(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    report = cut(recording, start_s=1.23, end_s=3.23, out=out)
    assert [p.number for p in pictures_of(out)] == list(range(30, 80))
    assert report.start_s == pytest.approx(1.2)
    assert report.end_s == pytest.approx(3.2)
    assert abs(sync_of(out).at_start_s) < 0.002


def test_fast_cut_begins_at_the_keyframe_before(recording: Path, tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    report = cut(recording, start_s=2.6, end_s=4.0, out=out, accuracy="fast")
    numbers = [p.number for p in pictures_of(out)]
    assert report.accuracy == "fast"
    assert report.encoded_s == 0
    assert report.start_s == pytest.approx(2.0)
    assert numbers[:50] == list(range(50, 100))
    assert len(numbers) <= 54
    assert abs(sync_of(out).at_start_s) < 0.002
    assert complaints(out) == ""


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_encoded_cut_shows_the_same_pictures(recording: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"clip{suffix}"
    report = cut(recording, start_s=1.2, end_s=3.2, out=out, accuracy="encode")
    assert report.accuracy == "encode"
    assert report.notes == []
    assert [p.number for p in pictures_of(out)] == list(range(30, 80))
    sync = sync_of(out)
    assert abs(sync.at_start_s) < FRAME_S
    assert abs(sync.at_end_s) < FRAME_S
    assert complaints(out) == ""


@pytest.mark.parametrize("suffix", [".mp3", ".m4a"])
def test_sound_cut_holds_the_sound_asked_for(recording: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"clip{suffix}"
    cut(recording, start_s=1.3, end_s=4.3, out=out)
    heard = sound_of(out)
    assert abs(heard.end_s - heard.start_s - 3.0) < 0.05
    assert abs(origin_s(heard, heard.start_s + 1.0, 2.3) - 2.3) < 0.03
    assert complaints(out) == ""


def test_clip_inside_one_gop_is_encoded_and_says_why(tmp_path: Path) -> None:
    source = record(tmp_path / "long.mp4", seconds=4, video=(*H264, "-g", "100"))
    report = cut(source, start_s=1.0, end_s=2.0, out=tmp_path / "clip.mp4")
    assert report.accuracy == "encode"
    assert [note.code for note in report.notes] == ["inside_one_gop"]
    assert [p.number for p in pictures_of(tmp_path / "clip.mp4")] == list(range(25, 50))


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(3.0, 2.0), (2.0, 2.0), (-1.0, 2.0), (math.nan, 2.0), (0.0, math.nan), (0.0, math.inf), (7.0, 8.0), (1.0, 60.0)],
)
@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_impossible_times_are_refused_with_a_sentence(
    recording: Path, tmp_path: Path, start_s: float, end_s: float, accuracy: str
) -> None:
    out = tmp_path / "clip.mp4"
    with pytest.raises(MediaError) as caught:
        cut(recording, start_s=start_s, end_s=end_s, out=out, accuracy=accuracy)  # type: ignore[arg-type] # parametrised
    assert caught.value.code == "out_of_range"
    assert not out.exists()


def test_unknown_suffix_is_refused(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        cut(recording, start_s=0, end_s=1, out=tmp_path / "clip.avi")
    assert caught.value.code == "unsupported_output"


def test_progress_rises_to_one(recording: Path, tmp_path: Path) -> None:
    shares: list[float] = []
    cut(recording, start_s=0.5, end_s=5.0, out=tmp_path / "clip.mp4", on_progress=shares.append)
    assert shares[-1] == 1.0
    assert all(0 <= share <= 1 for share in shares)


def test_cancelled_cut_leaves_no_file(recording: Path, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(_share: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        cut(recording, start_s=0.5, end_s=5.0, out=tmp_path / "clip.mp4", on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_long_encode_is_made_in_parts_with_the_timing_of_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = numbered(tmp_path / "long.mp4", seconds=36)
    for threads in ("1", "2"):
        monkeypatch.setenv("SNUGGLES_CHILD_THREADS", threads)
        cut(source, start_s=0.5, end_s=35.5, out=tmp_path / f"{threads}.mp4", accuracy="encode")
    signature = b"x264 - core"  # each encoder signs its first picture
    assert [(tmp_path / f"{threads}.mp4").read_bytes().count(signature) for threads in "12"] == [1, 2]
    alone, parts = look(tmp_path / "1.mp4"), look(tmp_path / "2.mp4")
    assert parts.times == pytest.approx(alone.times, abs=1e-4)
    assert parts.numbers == alone.numbers
    assert parts.end_s == pytest.approx(alone.end_s, abs=2e-3)
