"""The odder recordings: uneven rhythm, no picture or no sound, extreme sizes and levels, streams that change midway."""

import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.media.video import (
    AAC,
    H264,
    H264_B,
    RATE,
    complaints,
    origin_s,
    pictures_of,
    read_number,
    record,
    run_ffmpeg,
    sound_of,
    sync_of,
)

from pipeline.errors import MediaError
from pipeline.ingest import detect, ingest
from pipeline.listening.listen import Timeline
from pipeline.progress import Meter
from pipeline.reading.probe import probe
from pipeline.rendering.check.verify import Expectation, verify
from pipeline.rendering.cut import cut
from pipeline.types import Accuracy, DetectTask, IngestTask, Source

NTSC = Fraction(30000, 1001)
ACCURACIES: tuple[Accuracy, ...] = ("exact", "encode")
UNEVEN = ("-vf", "setpts='(N+0.4*mod(N,3))/25/TB'", "-fps_mode", "vfr", "-enc_time_base", "1/1000")
STANDING = ("-vf", "setpts='(N+if(gte(N,40),50,0))/25/TB'", "-fps_mode", "vfr", "-enc_time_base", "1/1000")


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_uneven_rhythm_keeps_the_time_of_each_picture(tmp_path: Path, accuracy: Accuracy, suffix: str) -> None:
    source = record(tmp_path / f"phone{suffix}", seconds=4, video=(*H264, "-g", "25", *UNEVEN))
    out = tmp_path / "clip.mp4"
    report = cut(source, start_s=0.9, end_s=2.9, out=out, accuracy=accuracy)
    assert report.accuracy == accuracy
    recorded = {p.number: p.time_s for p in pictures_of(source)}
    shown = pictures_of(out)
    assert [b.number - a.number for a, b in pairwise(shown)] == [1] * (len(shown) - 1)
    offsets = [recorded[p.number] - p.time_s for p in shown]
    assert max(offsets) - min(offsets) < 0.0025
    assert abs(offsets[0] - 0.9) < 0.06
    assert complaints(out) == ""


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_picture_that_stands_still_is_shown_from_the_cut_on(tmp_path: Path, accuracy: Accuracy) -> None:
    """A screen recording in which nothing moved for two seconds: picture 39 stands from 1.56 s to 3.6 s."""
    source = record(tmp_path / "screen.mp4", seconds=6, video=(*H264, "-g", "25", *STANDING))
    out = tmp_path / "clip.mp4"
    cut(source, start_s=2.6, end_s=5.0, out=out, accuracy=accuracy)
    shown = pictures_of(out)
    assert [p.number for p in shown[:3]] == [39, 40, 41]
    assert shown[0].time_s == pytest.approx(0, abs=0.002)
    assert shown[1].time_s == pytest.approx(1.0, abs=0.045)
    assert sound_of(out).end_s == pytest.approx(2.4, abs=0.045)
    assert complaints(out) == ""


SLIDES = ("-vf", "setpts=round(1.2*N/TB)", "-fps_mode", "vfr", "-enc_time_base", "1/1000")


def test_slow_slides_begin_where_they_were_asked(tmp_path: Path) -> None:
    """A picture every 1.2 s: at 4.6 s number 3 has been standing for a second."""
    source = record(tmp_path / "slides.mp4", seconds=0.32, video=(*H264, "-g", "2", *SLIDES), audio=None)
    out = tmp_path / "clip.mp4"
    report = cut(source, start_s=4.6, end_s=8.2, out=out)
    assert (report.accuracy, report.start_s, report.end_s) == ("exact", 4.6, 8.2)
    shown = pictures_of(out)
    assert [p.number for p in shown] == [3, 4, 5, 6]
    assert [p.time_s for p in shown] == pytest.approx([0.0, 0.2, 1.4, 2.6], abs=0.002)
    assert complaints(out) == ""


def late_video(folder: Path) -> Path:
    """Two seconds of sound before the first picture."""
    source = record(folder / "before.mkv", seconds=4, video=(*H264, "-g", "25"))
    run_ffmpeg("-itsoffset", "2", "-i", source, "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy",
               folder / "late.mkv")  # fmt: skip
    return folder / "late.mkv"


def test_first_picture_stands_until_it_moves_where_it_comes_late(tmp_path: Path) -> None:
    source, out = late_video(tmp_path), tmp_path / "clip.mp4"
    report = cut(source, start_s=1.5, end_s=3.5, out=out)
    assert (report.accuracy, report.notes) == ("exact", [])
    assert report.copied_s == pytest.approx(1.5)
    shown = pictures_of(out)
    assert [p.number for p in shown] == [0, *range(38)]
    assert [p.time_s for p in shown[:3]] == pytest.approx([0.0, 0.5, 0.54], abs=0.002)
    heard = sound_of(out)
    assert origin_s(heard, 0.2, 1.7) == pytest.approx(1.7, abs=0.002)
    verify(out, Expectation(duration_s=2.0, video=True, audio=True, pictures=39))
    assert complaints(out) == ""


def test_sound_before_the_first_picture_is_a_clip_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "clip.mp4"
    report = cut(late_video(tmp_path), start_s=0.2, end_s=1.7, out=out)
    assert report.accuracy == "exact"
    heard = sound_of(out)
    assert origin_s(heard, heard.start_s + 0.1, 0.3) == pytest.approx(0.3 + heard.start_s, abs=0.002)
    assert heard.end_s == pytest.approx(1.5, abs=0.03)
    assert probe(out).video is None
    assert complaints(out) == ""


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_recording_without_sound_gives_a_silent_clip(tmp_path: Path, accuracy: Accuracy) -> None:
    source = record(tmp_path / "mute.mp4", video=(*H264_B, "-g", "25"), audio=None)
    out = tmp_path / "clip.mp4"
    cut(source, start_s=1.2, end_s=3.2, out=out, accuracy=accuracy)
    assert {p.number for p in pictures_of(out)} >= set(range(30, 80))
    assert probe(out).audio is None
    assert complaints(out) == ""


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        (".ogg", ("-c:a", "libvorbis"), 44_100),
        (".opus", ("-c:a", "libopus"), 48_000),
        (".wav", ("-c:a", "pcm_s16le"), 44_100),
        (".flac", ("-c:a", "flac"), 44_100),
        (".mp3", ("-c:a", "libmp3lame"), 44_100),
        (".m4a", AAC, 44_100),
        (".aac", AAC, 48_000),
        (".mka", ("-c:a", "pcm_f32le"), 96_000),
        (".wav", ("-c:a", "pcm_alaw"), 8_000),
    ],
)
@pytest.mark.parametrize("out_suffix", [".m4a", ".mp3", ".mp4"])
def test_sound_alone_is_cut_where_it_was_asked(
    tmp_path: Path, suffix: str, codec: tuple[str, ...], rate: int, out_suffix: str
) -> None:
    source = record(tmp_path / f"talk{suffix}", seconds=5, video=None, audio=codec, sound_rate=rate)
    out = tmp_path / f"clip{out_suffix}"
    cut(source, start_s=1.3, end_s=3.8, out=out)
    heard = sound_of(out)
    assert heard.end_s - heard.start_s == pytest.approx(2.5, abs=0.06)
    recorded = origin_s(heard, heard.start_s + 0.5, 1.8, recorded_rate=rate)
    assert recorded == pytest.approx(1.8, abs=0.06)
    assert complaints(out) == ""


@pytest.mark.parametrize("out_suffix", [".m4a", ".mp3", ".mp4"])
def test_cover_art_of_sound_is_no_picture_of_its_clip(tmp_path: Path, out_suffix: str) -> None:
    sound = record(tmp_path / "sound.mp3", seconds=4, video=None, audio=("-c:a", "libmp3lame"), sound_rate=44_100)
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", tmp_path / "cover.png")
    run_ffmpeg("-i", sound, "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c", "copy",
               "-disposition:v", "attached_pic", tmp_path / "podcast.mp3")  # fmt: skip
    out = tmp_path / f"clip{out_suffix}"
    cut(tmp_path / "podcast.mp3", start_s=1.3, end_s=3.3, out=out)
    assert probe(out).video is None
    heard = sound_of(out)
    assert heard.end_s - heard.start_s == pytest.approx(2.0, abs=0.06)
    assert origin_s(heard, heard.start_s + 0.5, 1.8, recorded_rate=44_100) == pytest.approx(1.8, abs=0.06)
    assert complaints(out) == ""


@pytest.mark.parametrize("level", ["silence", "constant", "clipping"])
def test_strange_levels_are_listened_to(tmp_path: Path, level: str) -> None:
    """Silence, a constant and overload hold no moment; they end with none, and with numbers that are finite."""
    expression = {"silence": "0", "constant": "0.5", "clipping": "4*sin(2*PI*300*t)"}[level]
    run_ffmpeg("-f", "lavfi", "-i", f"aevalsrc={expression}:s=48000:d=60", "-c:a", "pcm_s16le", tmp_path / "level.wav")
    source = Source(location=str(tmp_path / "level.wav"))
    ingested = ingest(IngestTask(source=source), tmp_path, Meter(lambda _: None))
    assert np.isfinite(Timeline.load(tmp_path / ingested.timeline).features).all()
    found = detect(DetectTask(timeline=ingested.timeline), tmp_path, Meter(lambda _: None))
    assert found.highlights == []


@pytest.mark.parametrize("level", ["silence", "constant", "clipping"])
def test_strange_levels_are_cut(tmp_path: Path, level: str) -> None:
    expression = {"silence": "0", "constant": "0.5", "clipping": "4*sin(2*PI*300*t)"}[level]
    run_ffmpeg("-f", "lavfi", "-i", f"aevalsrc={expression}:s=48000:d=4", "-c:a", "pcm_s16le", tmp_path / "level.wav")
    out = tmp_path / "clip.m4a"
    cut(tmp_path / "level.wav", start_s=1, end_s=3, out=out)
    heard = sound_of(out)
    assert heard.end_s - heard.start_s == pytest.approx(2.0, abs=0.05)
    peak = float(np.abs(heard.samples[4800:-4800]).max())
    assert (peak < 0.001) == (level == "silence")
    assert complaints(out) == ""


@pytest.mark.parametrize("size", [(161, 97), (1, 1), (2, 2), (15, 31)])
@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_odd_sizes_give_a_clip(tmp_path: Path, size: tuple[int, int], accuracy: Accuracy) -> None:
    source = record(tmp_path / "odd.mkv", size=size, video=("-c:v", "libx264", "-pix_fmt", "yuv444p", "-g", "25"))
    out = tmp_path / "clip.mp4"
    cut(source, start_s=0.8, end_s=2.8, out=out, accuracy=accuracy)
    assert len(pictures_of(out)) == 50
    assert complaints(out) == ""


def test_one_picture_of_8k_gives_a_clip(tmp_path: Path) -> None:
    size = (7680, 4320)
    source = record(tmp_path / "large.mp4", seconds=0.04, size=size, video=(*H264, "-threads", "1"), audio=None)
    out = tmp_path / "clip.mp4"
    report = cut(source, start_s=0, end_s=0.04, out=out)
    assert report.accuracy == "exact"
    assert [p.number for p in pictures_of(out)] == [0]


def joined(folder: Path, *parts: Path) -> Path:
    """Put transport streams one behind the other, byte by byte, as recorders do."""
    with (folder / "joined.ts").open("wb") as file:
        for part in parts:
            with part.open("rb") as one:
                shutil.copyfileobj(one, file)
    return folder / "joined.ts"


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_resolution_that_changes_midway_is_encoded(tmp_path: Path, accuracy: Accuracy) -> None:
    video = (*H264, "-g", "25")
    first = record(tmp_path / "a.ts", seconds=3, video=video)
    second = record(tmp_path / "b.ts", seconds=3, video=video, size=(320, 192), extra=("-output_ts_offset", "3"))
    source = joined(tmp_path, first, second)
    out = tmp_path / "clip.mp4"
    report = cut(source, start_s=1.6, end_s=4.4, out=out, accuracy=accuracy)
    assert report.accuracy == "encode"
    if accuracy != "encode":
        assert [note.code for note in report.notes] == ["changes_midway"]
    numbers = [p.number for p in pictures_of(out)]
    assert numbers == sorted(numbers[:36]) + sorted(numbers[36:])
    assert len(numbers) == pytest.approx(70, abs=2)
    assert complaints(out) == ""


def test_parameters_that_change_outside_the_clip_do_not_matter(tmp_path: Path) -> None:
    video = (*H264, "-g", "25")
    first = record(tmp_path / "a.ts", seconds=3, video=video)
    second = record(tmp_path / "b.ts", seconds=3, video=video, size=(320, 192), extra=("-output_ts_offset", "3"))
    report = cut(joined(tmp_path, first, second), start_s=0.5, end_s=2.0, out=tmp_path / "clip.mp4")
    assert report.accuracy == "exact"


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
@pytest.mark.parametrize("start_of_second_s", [0, 0.5, 40, 5000])
def test_clock_that_starts_again_is_straightened(tmp_path: Path, accuracy: Accuracy, start_of_second_s: float) -> None:
    """Two recordings in one file, the second with a clock of its own."""
    video = (*H264_B, "-g", "25")
    first = record(tmp_path / "a.ts", seconds=3, video=video, extra=("-output_ts_offset", "20"))
    second = record(tmp_path / "b.ts", seconds=3, video=video, extra=("-output_ts_offset", str(start_of_second_s)))
    source = joined(tmp_path, first, second)
    found = probe(source)
    assert found.duration_s == pytest.approx(6.0, abs=0.2)
    assert "clock_restarts" in {problem.code for problem in found.problems}
    out = tmp_path / "clip.mp4"
    cut(source, start_s=1.6, end_s=4.4, out=out, accuracy=accuracy)
    numbers = [p.number for p in pictures_of(out)]
    if accuracy == "fast":
        assert set(range(40, 75)) | set(range(30)) <= set(numbers)
        return
    middle = numbers.index(0)
    assert numbers[:middle] == list(range(numbers[0], 75))
    assert numbers[0] in {38, 39, 40}
    assert numbers[middle:] == list(range(len(numbers) - middle))
    assert len(numbers) == pytest.approx(70, abs=2)
    heard = sound_of(out)
    assert heard.end_s == pytest.approx(2.8, abs=0.1)
    assert complaints(out) == ""


@pytest.fixture(scope="module")
def two_hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours at 29.97: 300 pictures and exactly their length of sound, 719 times."""
    folder = tmp_path_factory.mktemp("hours")
    piece = record(
        folder / "piece.mov",
        seconds=300 * 1001 / 30000,
        rate=NTSC,
        video=(*H264, "-g", "60"),
        audio=("-c:a", "pcm_s16le"),
        sound_rate=8000,
    )
    (folder / "list.txt").write_text(f"file {piece.name}\n" * 719, encoding="ascii")
    run_ffmpeg("-f", "concat", "-i", folder / "list.txt", "-c", "copy", folder / "hours.mov")
    return folder / "hours.mov"


def test_twenty_cuts_of_two_hours_at_29_97_stay_in_step(two_hours: Path, tmp_path: Path) -> None:
    piece_s = 300 * 1001 / 30000
    for number in range(20):
        start_s = (number * 719 // 20 + 35) * piece_s + 1.22 + 0.2 * number
        out = tmp_path / f"{number}.mp4"
        report = cut(two_hours, start_s=start_s, end_s=start_s + 3.0, out=out)
        assert report.accuracy == "exact"
        sync = sync_of(out, rate=NTSC, recorded_rate=8000)
        assert abs(sync.at_start_s) < 1001 / 30000 / 4
        assert abs(sync.at_end_s) < 1001 / 30000 / 4
        first = pictures_of(out)[0].number
        assert first == int((start_s % piece_s) * NTSC + 1e-3)


def test_webm_stays_webm(tmp_path: Path) -> None:
    video = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25", "-pix_fmt", "yuv420p")
    source = record(tmp_path / "talk.webm", video=video, audio=("-c:a", "libopus"))
    out = tmp_path / "clip.webm"
    report = cut(source, start_s=0.8, end_s=2.8, out=out)
    assert report.accuracy == "exact"
    assert [p.number for p in pictures_of(out)] == list(range(20, 70))
    sync = sync_of(out)
    assert max(abs(sync.at_start_s), abs(sync.at_end_s)) < 1 / RATE / 2
    assert complaints(out) == ""


def test_sound_is_asked_of_a_recording_without_any(tmp_path: Path) -> None:
    source = record(tmp_path / "mute.mp4", seconds=1, audio=None)
    with pytest.raises(MediaError) as caught:
        cut(source, start_s=0, end_s=0.5, out=tmp_path / "clip.mp3")
    assert caught.value.code == "no_streams"


def test_numbers_are_read_back() -> None:
    from support.media.video import draw

    assert [read_number(draw(n)) for n in (0, 1, 2, 1000, 4095)] == [0, 1, 2, 1000, 4095]
