"""The last look before publishing: good files pass, and each kind of fault is caught and named."""

from pathlib import Path

import pytest
from support.media.recordings import loudness, make
from support.media.video import AAC, H264, record, run_ffmpeg

from pipeline.errors import MediaError
from pipeline.rendering.check.verify import Expectation, LoudnessMissedError, verify


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2, video=(*H264, "-g", "25"))


def fault(path: Path, **expected: object) -> MediaError:
    with pytest.raises(MediaError) as caught:
        verify(path, Expectation(**expected))  # type: ignore[arg-type] # as the test says
    return caught.value


def test_good_file_passes_and_is_described(clip: Path) -> None:
    found = verify(clip, Expectation(duration_s=2.0, video=True, audio=True, pictures=50, width=160, height=96))
    assert found.pictures == 50
    assert found.duration_s == pytest.approx(2.0, abs=0.03)
    assert found.start_offset_s == pytest.approx(0, abs=0.001)
    assert found.size_bytes == clip.stat().st_size


def test_file_above_the_limit_is_too_large(clip: Path) -> None:
    assert fault(clip, max_bytes=1000).code == "output_too_large"


@pytest.mark.parametrize(
    ("expected", "word"),
    [
        ({"duration_s": 3.0}, "long"),
        ({"duration_s": 1.9}, "long"),
        ({"pictures": 49}, "pictures"),
        ({"width": 320}, "wide"),
        ({"height": 320}, "high"),
        ({"video": False}, "video"),
        ({"audio": False}, "audio"),
    ],
)
def test_what_differs_from_the_plan_is_named(clip: Path, expected: dict[str, object], word: str) -> None:
    error = fault(clip, **expected)
    assert error.code == "verify_failed"
    assert word in error.message


def test_given_tolerance_replaces_the_usual_one(clip: Path) -> None:
    verify(clip, Expectation(duration_s=2.4, tolerance_s=0.5))


def test_missing_sound_is_named(tmp_path: Path) -> None:
    path = record(tmp_path / "silent.mp4", seconds=1, audio=None)
    assert "no audio" in fault(path, audio=True).message
    assert verify(path, Expectation(video=True, audio=False)).start_offset_s is None


def test_sound_only_file_passes(tmp_path: Path) -> None:
    path = record(tmp_path / "sound.m4a", seconds=2, video=None, audio=AAC)
    assert verify(path, Expectation(duration_s=2.0, video=False, audio=True)).pictures == 0


def test_sound_that_starts_late_is_caught(clip: Path, tmp_path: Path) -> None:
    run_ffmpeg(
        "-i", clip, "-itsoffset", "0.4", "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy", tmp_path / "late.mp4"
    )
    assert "sound starts +0.3" in fault(tmp_path / "late.mp4").message


def test_damaged_picture_is_caught(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    begin = data.index(b"mdat") + 2000
    data[begin : begin + 400] = bytes(400)
    (tmp_path / "damaged.mp4").write_bytes(bytes(data))
    assert fault(tmp_path / "damaged.mp4").code == "verify_failed"


def test_truncated_file_is_caught(clip: Path, tmp_path: Path) -> None:
    run_ffmpeg("-i", clip, "-c", "copy", "-movflags", "+faststart", tmp_path / "fast.mp4")
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "part.mp4").write_bytes(data[: len(data) * 6 // 10])
    assert fault(tmp_path / "part.mp4", duration_s=2.0).code == "verify_failed"


def test_empty_and_foreign_files_fail_the_check(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no clip", encoding="ascii")
    assert fault(tmp_path / "empty.mp4").code == "verify_failed"
    assert fault(tmp_path / "text.mp4").code == "verify_failed"


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise at some -20 LUFS with clicks that nearly reach full scale."""
    sound = "aevalsrc='0.12*(2*random(0)-1)+0.85*lt(mod(t,1),0.0005)':s=48000:d=4"
    return make(tmp_path_factory.mktemp("steady") / "steady.wav", "-f", "lavfi", "-i", sound)


def test_loudness_on_target_passes_and_is_measured_as_ffmpeg_does(steady: Path) -> None:
    lufs, peak_db = loudness(steady)
    found = verify(steady, Expectation(lufs=lufs, max_true_peak_db=peak_db + 0.1)).loudness
    assert found is not None
    assert (found.lufs, found.true_peak_db) == pytest.approx((lufs, peak_db), abs=0.1)


@pytest.mark.parametrize("off_lu", [-0.8, 0.8, 6.0])
def test_loudness_off_target_is_named_with_both_levels(steady: Path, off_lu: float) -> None:
    lufs, _ = loudness(steady)
    error = fault(steady, lufs=lufs + off_lu)
    assert error.code == "loudness_missed"
    assert f"{lufs:.1f}" in error.message
    assert isinstance(error, LoudnessMissedError)
    assert error.found.lufs == pytest.approx(lufs, abs=0.1)


def test_true_peak_above_the_ceiling_is_named(steady: Path) -> None:
    lufs, peak_db = loudness(steady)
    error = fault(steady, lufs=lufs, max_true_peak_db=peak_db - 0.5)
    assert error.code == "loudness_missed"
    assert "true peak" in error.message


def test_silence_misses_any_loudness(tmp_path: Path) -> None:
    silent = make(tmp_path / "silent.wav", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono:d=2")
    assert fault(silent, lufs=-14.0).code == "loudness_missed"


def test_every_picture_is_shown_to_who_watches(clip: Path) -> None:
    times: list[float | None] = []
    verify(clip, Expectation(), watch=lambda frame: times.append(frame.time))
    assert times == pytest.approx([number / 25 for number in range(50)], abs=0.001)
