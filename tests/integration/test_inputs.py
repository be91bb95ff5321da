"""Recordings as they come from phones, recorders and converters: each must give good clips.

Every input is made in code. A clip of it is asserted by decoding: the pictures asked for, each once and in order, with
their sound, and nothing that the FFmpeg binary complains about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from support.media.video import (
    H264,
    H264_B,
    RATE,
    complaints,
    likeness_db,
    pictures_of,
    record,
    run_ffmpeg,
    sound_of,
    sync_of,
)

from pipeline.ingest import detect, ingest
from pipeline.listening.listen import Timeline
from pipeline.progress import Meter
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.types import Accuracy, DetectTask, IngestTask, Source

NTSC = Fraction(30000, 1001)
LEAST_DB = 34
"""Above this nobody sees which pictures of a clip were encoded again."""
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-tag:v", "hvc1")
QUIET_HEVC = "log-level=none"
OPEN_HEVC = f"{QUIET_HEVC}:keyint=25:min-keyint=25:open-gop=1:bframes=3:scenecut=0"
TEN_BIT_HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")


def remuxed(path: Path, name: str, *arguments: str, **recording: object) -> Path:
    """Record an MP4 and put it, without coding it again, through FFmpeg with these output arguments."""
    source = record(path / "before.mkv", **recording)  # type: ignore[arg-type] # passed through
    run_ffmpeg("-i", source, "-map", "0", "-c", "copy", *arguments, path / name)
    source.unlink()
    return path / name


def with_gop(gop: int, *more: str) -> tuple[str, ...]:
    return (*H264_B, "-g", str(gop), "-keyint_min", str(gop), *more)


def turned(path: Path, degrees: int) -> Path:
    source = record(path / "before.mp4", video=with_gop(25))
    run_ffmpeg("-display_rotation", str(degrees), "-i", source, "-c", "copy", path / "turned.mp4")
    return path / "turned.mp4"


def eight_tracks(path: Path) -> Path:
    source = record(path / "before.mp4", video=with_gop(25))
    maps = [argument for _ in range(8) for argument in ("-map", "0:a")]
    run_ffmpeg("-i", source, "-map", "0:v", *maps, "-c", "copy", path / "tracks.mkv")
    return path / "tracks.mkv"


def with_data(path: Path) -> Path:
    source = record(path / "before.mp4", video=with_gop(25))
    captions = path / "captions.srt"
    captions.write_text("1\n00:00:00,000 --> 00:00:03,000\nhello\n", encoding="ascii")
    run_ffmpeg("-i", source, "-i", captions, "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text",
               "-timecode", "01:00:00:00", path / "data.mov")  # fmt: skip
    return path / "data.mov"


def badly_interleaved(path: Path) -> Path:
    """Sound of the whole file before any picture, as some recorders write AVI."""
    source = record(path / "before.mkv", video=("-c:v", "mpeg4", "-q:v", "3", "-g", "25"), audio=("-c:a", "pcm_s16le"))
    run_ffmpeg("-itsoffset", "0", "-i", source, "-c", "copy", "-max_interleave_delta", "0", path / "bad.avi")
    return path / "bad.avi"


def with_edit_list(path: Path) -> Path:
    """A trim that a phone made without encoding: the file holds more than it shows."""
    source = record(path / "before.mp4", seconds=5, video=with_gop(25))
    run_ffmpeg("-ss", "0.6", "-i", source, "-c", "copy", path / "trimmed.mp4")
    return path / "trimmed.mp4"


def late_pts(path: Path) -> Path:
    return remuxed(path, "late.ts", "-output_ts_offset", "90", "-muxdelay", "0", video=with_gop(25))


def huge_pts(path: Path) -> Path:
    return remuxed(path, "huge.mkv", "-output_ts_offset", "20000", video=with_gop(25))


def wrapping_pts(path: Path) -> Path:
    """The 33-bit clock of a transport stream starts again in the middle."""
    start = 2**33 / 90_000 - 2
    return remuxed(path, "wrap.ts", "-output_ts_offset", f"{start:.3f}", "-muxdelay", "0", video=with_gop(25))


def fragmented(path: Path) -> Path:
    return remuxed(path, "fragmented.mp4", "-movflags", "+frag_keyframe+empty_moov", video=with_gop(25))


def without_duration(path: Path) -> Path:
    """What a browser's recorder leaves: a live WebM that was never closed."""
    return remuxed(path, "live.webm", "-live", "1", video=WEBM_VP9, audio=("-c:a", "libopus"))


def unicode_name(path: Path) -> Path:
    source = record(path / "before.mp4", video=with_gop(25))
    return source.rename(path / "Ünïcode “quotes” 日本語 🎬.mp4")


def hostile_name(path: Path) -> Path:
    folder = path / "concat:"
    folder.mkdir()
    source = record(path / "before.mp4", video=with_gop(25))
    return source.rename(folder / "-i 'x' $(touch y);|&%d #?=.mp4")


@dataclass(frozen=True)
class Input:
    """One kind of recording and what is expected of it."""

    name: str
    build: Callable[[Path], Path]
    accuracy: Accuracy = "exact"
    reason: str | None = None
    """Code of the note that says what was encoded."""
    rate: Fraction | int = RATE
    sound_rate: int = 48_000
    start_s: float = 0.8
    end_s: float = 2.8
    turned: int = 0
    problems: frozenset[str] = frozenset()


def plain(name: str, suffix: str = ".mp4", **recording: object) -> Callable[[Path], Path]:
    return lambda path: record(path / f"{name}{suffix}", **recording)  # type: ignore[arg-type] # passed through


WEBM_VP9 = (
    "-c:v",
    "libvpx-vp9",
    "-deadline",
    "realtime",
    "-cpu-used",
    "8",
    "-g",
    "25",
    "-b:v",
    "300k",
    "-pix_fmt",
    "yuv420p",
)
VP9_HIDDEN = ("-c:v", "libvpx-vp9", "-g", "25", "-cpu-used", "5", "-b:v", "300k", "-pix_fmt", "yuv420p",
              "-auto-alt-ref", "1", "-lag-in-frames", "16")  # fmt: skip
INTERLACED = ("-flags", "+ilme+ildct", "-vf", "setfield=tff")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "3", "-g", "25")
INPUTS = [
    Input("moov_at_end", plain("end", video=with_gop(25)), problems=frozenset({"moov_at_end"})),
    Input("faststart", plain("fast", video=with_gop(25), extra=("-movflags", "+faststart"))),
    Input("b_pyramid", plain("pyramid", video=with_gop(25, "-x264-params", "b-pyramid=normal:bframes=7"))),
    Input("no_b_pictures", plain("simple", video=(*H264, "-bf", "0", "-g", "25"))),
    Input("long_gop", plain("gop", seconds=5, video=with_gop(500)), "encode", "inside_one_gop"),
    Input("open_gop", plain("open", video=with_gop(25, "-x264-params", "open-gop=1:bframes=3"), suffix=".mkv"),
          "encode", "open_gop"),
    Input("ten_bit_h264", plain("high10", video=("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p10le",
          "-g", "25"))),
    Input("ntsc", plain("ntsc", rate=NTSC, video=with_gop(30)), rate=NTSC, start_s=0.80080, end_s=2.80280),
    Input("rotated_90", lambda path: turned(path, 90), turned=270),
    Input("rotated_180", lambda path: turned(path, 180), turned=180),
    Input("rotated_270", lambda path: turned(path, 270), turned=90),
    Input("anamorphic", plain("anamorphic", video=with_gop(25, "-vf", "setsar=16/11"))),
    Input("edit_list", with_edit_list),
    Input("late_transport_stream", late_pts),
    Input("huge_start", huge_pts),
    Input("clock_wraps", wrapping_pts),
    Input("fragmented", fragmented, reason="sound_encoded"),
    Input("matroska", plain("mkv", ".mkv", video=with_gop(25))),
    Input("transport_stream", plain("ts", ".ts", video=with_gop(25))),
    Input("flash_video", plain("flv", ".flv", video=with_gop(25), audio=("-c:a", "aac"))),
    Input("program_stream", plain("mpg", ".mpg", video=("-c:v", "mpeg2video", "-q:v", "3", "-g", "25"),
          audio=("-c:a", "mp2")), "encode", "codec_not_allowed"),
    Input("avi", plain("avi", ".avi", video=MPEG4, audio=("-c:a", "libmp3lame")), "encode", "codec_not_allowed"),
    Input("avi_ntsc_b_pictures", plain("avi", ".avi", rate=NTSC, video=(*MPEG4, "-bf", "2"), sound_rate=44_100,
          audio=("-c:a", "libmp3lame")), "encode", "codec_not_allowed", rate=NTSC, sound_rate=44_100),
    Input("avi_badly_interleaved", badly_interleaved, "encode", "codec_not_allowed"),
    Input("pcm_in_mp4", plain("pcm", video=with_gop(25), audio=("-c:a", "pcm_s16le")),
          reason="sound_encoded"),
    Input("pcm_in_mov", plain("pcm", ".mov", video=with_gop(25), audio=("-c:a", "pcm_s24le")),
          reason="sound_encoded"),
    Input("a_law", plain("alaw", ".mov", video=with_gop(25), audio=("-c:a", "pcm_alaw")), reason="sound_encoded"),
    Input("eight_kilohertz", plain("low", video=with_gop(25), sound_rate=8000), sound_rate=8000,
          reason="sound_encoded"),
    Input("ninety_six_kilohertz_7_1", plain("high", ".mkv", video=with_gop(25), sound_rate=96_000, channels=8,
          audio=("-c:a", "flac")), sound_rate=96_000, reason="sound_encoded"),
    Input("surround", plain("surround", video=with_gop(25), channels=6)),
    Input("opus_in_mkv", plain("opus", ".mkv", video=with_gop(25), audio=("-c:a", "libopus"))),
    Input("eight_sound_tracks", eight_tracks, problems=frozenset({"several_audio"})),
    Input("data_tracks", with_data),
    Input("unicode_name", unicode_name),
    Input("hostile_name", hostile_name),
    Input("webm_without_duration", without_duration, problems=frozenset({"no_duration"})),
    Input("hevc", plain("hevc", video=(*HEVC, "-x265-params", f"{QUIET_HEVC}:keyint=25:open-gop=0"))),
    Input("hevc_open_gop", plain("hevc", video=(*HEVC, "-x265-params", OPEN_HEVC))),
    Input("hevc_in_transport_stream", plain("hevc", ".ts", video=(*HEVC[:6], "-x265-params", OPEN_HEVC))),
    Input("hevc_ten_bit", plain("hevc", video=(*TEN_BIT_HEVC, "-x265-params", OPEN_HEVC))),
    Input("vp9", plain("vp9", ".webm", video=WEBM_VP9, audio=("-c:a", "libopus"))),
    Input("vp9_hidden_pictures", plain("vp9", ".webm", video=VP9_HIDDEN, audio=("-c:a", "libopus"))),
    Input("av1", plain("av1", ".mp4", video=("-c:v", "libsvtav1", "-preset", "12", "-g", "25"))),
    Input("motion_jpeg", plain("mjpeg", ".mov", video=("-c:v", "mjpeg", "-pix_fmt", "yuvj420p"),
          audio=("-c:a", "pcm_s16le")), "encode", "codec_not_allowed"),
    Input("interlaced", plain("interlaced", video=with_gop(25, *INTERLACED)), "encode", "cannot_join"),
]  # fmt: skip


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_exact_clip_of_input_is_right(given: Input, tmp_path: Path) -> None:
    source = given.build(tmp_path)
    found = probe(source)
    assert given.problems <= {p.code for p in found.problems}
    out = tmp_path / "clip.mp4"
    report = cut(source, start_s=given.start_s, end_s=given.end_s, out=out)
    assert report.accuracy == given.accuracy
    assert [note.code for note in report.notes] == ([given.reason] if given.reason else [])
    assert_right(given, source, out)
    if report.accuracy == "exact":
        assert likeness_db(source, out) > LEAST_DB


@pytest.mark.parametrize("given", [g for g in INPUTS if g.accuracy == "exact"], ids=lambda given: given.name)
def test_encoded_clip_of_input_is_right(given: Input, tmp_path: Path) -> None:
    source = given.build(tmp_path)
    out = tmp_path / "clip.mp4"
    cut(source, start_s=given.start_s, end_s=given.end_s, out=out, accuracy="encode")
    assert_right(given, source, out, turned=given.turned)


@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.name)
def test_clip_of_ingested_input_is_right(given: Input, tmp_path: Path) -> None:
    """As workers and the command line go about it: ingest, detection, and a cut by the packet index that was stored."""
    source = given.build(tmp_path)
    ingested = ingest(IngestTask(source=Source(location=str(source))), tmp_path, Meter(lambda _: None))
    assert ingested.poster is not None
    timeline = Timeline.load(tmp_path / ingested.timeline)
    assert timeline.duration_s == pytest.approx(ingested.probe.duration_s, abs=0.25)
    detect(DetectTask(timeline=ingested.timeline), tmp_path, Meter(lambda _: None))
    index = str(tmp_path / ingested.index) if ingested.index is not None else None
    out = tmp_path / "clip.mp4"
    cut(Source(location=str(source), index=index), start_s=given.start_s, end_s=given.end_s, out=out)
    assert_right(given, source, out)


def assert_right(given: Input, source: Path, out: Path, *, turned: int = 0) -> None:
    found = probe(source)
    pictures = pictures_of(out, turned=turned)
    rate = float(given.rate)
    shown = [p.number for p in pictures_of(source) if p.time_s - found.start_s <= given.start_s + 0.001]
    count = round((given.end_s - given.start_s) * rate)
    assert [p.number for p in pictures] == list(range(shown[-1], shown[-1] + count))
    assert abs(pictures[0].time_s) < 1 / rate
    sync = sync_of(out, rate=given.rate, recorded_rate=given.sound_rate, turned=turned)
    heard = sound_of(out)
    assert abs(sync.at_start_s) < 1 / rate
    assert abs(sync.at_end_s) < 1 / rate
    assert abs(heard.start_s - pictures[0].time_s) < 1 / rate
    assert abs(heard.end_s - pictures[-1].time_s - 1 / rate) < 1 / rate
    assert complaints(out) == ""
