"""What a recording holds, field by field, against recordings made to order."""

from fractions import Fraction
from pathlib import Path

import pytest
from support.api.command import run_snuggles
from support.media.video import AAC, H264, H264_B, record, run_ffmpeg

from pipeline.reading.probe import probe
from pipeline.types import Source, StreamInfo

TEN_BIT = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le")
WIDE = "log-level=none:colorprim=bt2020:colormatrix=bt2020nc:transfer="
UNEVEN = "setpts='(N+0.4*mod(N,3))/25/TB'"


def video_of(path: Path) -> StreamInfo:
    found = probe(path)
    assert found.video is not None
    return found.stream(found.video)


def codes(path: Path) -> set[str]:
    return {problem.code for problem in probe(path).problems}


def test_plain_recording_is_described(tmp_path: Path) -> None:
    path = record(tmp_path / "plain.mp4", seconds=2, video=(*H264_B, "-g", "25"), channels=2)
    found = probe(Source(location=str(path)))
    assert (found.video, found.audio) == (0, 1)
    assert found.duration_s == pytest.approx(2.0, abs=0.03)
    assert found.size_bytes == path.stat().st_size
    video, audio = found.stream(0), found.stream(1)
    assert (video.kind, video.codec, video.width, video.height) == ("video", "h264", 160, 96)
    assert video.frame_rate == pytest.approx(25)
    assert (video.pix_fmt, video.bit_depth, video.hdr) == ("yuv420p", 8, None)
    assert not video.is_vfr
    assert not video.is_interlaced
    assert (audio.codec, audio.sample_rate, audio.channels, audio.layout) == ("aac", 48000, 2, "stereo")


@pytest.mark.parametrize(("counterclockwise", "expected"), [(90, 270), (180, 180), (270, 90), (-90, 90)])
def test_rotation_says_how_to_turn_the_picture(tmp_path: Path, counterclockwise: int, expected: int) -> None:
    source = record(tmp_path / "before.mp4", seconds=1)
    run_ffmpeg("-display_rotation", counterclockwise, "-i", source, "-c", "copy", tmp_path / "turned.mp4")
    assert video_of(tmp_path / "turned.mp4").rotation == expected


@pytest.mark.parametrize(("transfer", "expected"), [("smpte2084", "pq"), ("arib-std-b67", "hlg")])
def test_high_dynamic_range_is_named(tmp_path: Path, transfer: str, expected: str) -> None:
    found = video_of(record(tmp_path / "hdr.mp4", seconds=1, video=(*TEN_BIT, "-x265-params", WIDE + transfer)))
    assert (found.hdr, found.bit_depth, found.codec) == (expected, 10, "hevc")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_uneven_rhythm_is_noticed(tmp_path: Path, suffix: str) -> None:
    video = (*H264, "-vf", UNEVEN, "-fps_mode", "vfr", "-enc_time_base", "1/1000")
    assert video_of(record(tmp_path / f"vfr{suffix}", video=video)).is_vfr


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv"])
@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25)])
def test_steady_rhythm_is_no_variable_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    assert not video_of(record(tmp_path / f"steady{suffix}", rate=rate, video=(*H264_B, "-g", "25"))).is_vfr


def test_interlace_and_pixel_aspect_are_noticed(tmp_path: Path) -> None:
    filters = ("-vf", "setfield=tff,setsar=16/11", "-flags", "+ilme+ildct")
    found = video_of(record(tmp_path / "broadcast.mp4", video=(*H264, *filters)))
    assert found.is_interlaced
    assert found.sample_aspect == "16/11"


def test_cover_art_is_no_moving_image(tmp_path: Path) -> None:
    sound = record(tmp_path / "sound.mp3", seconds=2, video=None, audio=("-c:a", "libmp3lame"))
    run_ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", tmp_path / "cover.png")
    run_ffmpeg("-i", sound, "-i", tmp_path / "cover.png", "-map", "0", "-map", "1", "-c", "copy",
               "-disposition:v", "attached_pic", tmp_path / "podcast.mp3")  # fmt: skip
    found = probe(tmp_path / "podcast.mp3")
    assert found.video is None
    assert found.audio is not None
    assert [s.is_cover for s in found.streams if s.kind == "video"] == [True]
    assert "no_video" in {p.code for p in found.problems}
    told = run_snuggles("probe", "podcast.mp3", folder=tmp_path).stdout
    assert "1: cover png 64x64\n" in told  # it stands still; what FFmpeg has for its rate is 90000 pictures a second


def test_missing_sound_or_picture_is_named(tmp_path: Path) -> None:
    assert "no_audio" in codes(record(tmp_path / "silent.mp4", seconds=1, audio=None))
    assert "no_video" in codes(record(tmp_path / "sound.ogg", seconds=1, video=None, audio=("-c:a", "libopus")))


@pytest.mark.parametrize(
    ("suffix", "arguments"),
    [
        (".webm", ("-live", "1")),
        (".mp4", ("-movflags", "+frag_keyframe+empty_moov")),
        (".ts", ()),
    ],
)
def test_length_is_found_where_the_header_has_none(tmp_path: Path, suffix: str, arguments: tuple[str, ...]) -> None:
    codec = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8") if suffix == ".webm" else H264
    sound = ("-c:a", "libopus") if suffix == ".webm" else AAC
    path = record(tmp_path / f"stream{suffix}", seconds=3, video=(*codec, "-g", "25"), audio=sound, extra=arguments)
    assert probe(path).duration_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".aac", "aac"), (".mp3", "libmp3lame"), (".wav", "pcm_s16le"), (".flac", "flac"), (".ogg", "libvorbis")],
)
def test_length_of_sound_is_measured(tmp_path: Path, suffix: str, codec: str) -> None:
    path = record(tmp_path / f"sound{suffix}", seconds=5, video=None, audio=("-c:a", codec))
    assert probe(path).duration_s == pytest.approx(5.0, abs=0.1)


def test_variable_bit_rate_without_header_is_not_guessed(tmp_path: Path) -> None:
    """Silence compresses to nothing: a length guessed from the bit rate at the start would be far off."""
    run_ffmpeg("-f", "lavfi", "-i", "anoisesrc=d=2,apad=pad_dur=18", "-c:a", "aac", "-b:a", "128k", tmp_path / "v.aac")
    assert probe(tmp_path / "v.aac").duration_s == pytest.approx(20.0, abs=0.2)


def test_truncated_recording_is_used_and_said_so(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.mp4", seconds=3, extra=("-movflags", "+faststart"))
    data = whole.read_bytes()
    (tmp_path / "part.mp4").write_bytes(data[: len(data) * 7 // 10])
    assert "truncated" in codes(tmp_path / "part.mp4")


def test_time_zero_is_the_start_of_the_recording(tmp_path: Path) -> None:
    path = record(tmp_path / "late.ts", seconds=2, extra=("-output_ts_offset", "90"))
    found = probe(path)
    assert found.start_s > 89
    assert found.duration_s == pytest.approx(2.0, abs=0.1)
    assert min(s.start_s for s in found.streams if s.start_s is not None) == pytest.approx(0, abs=1e-4)


def test_stream_that_starts_late_is_named(tmp_path: Path) -> None:
    source = record(tmp_path / "before.mp4", seconds=4)
    run_ffmpeg("-i", source, "-itsoffset", "2", "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy", "-t", "4",
               tmp_path / "late.mkv")  # fmt: skip
    assert "late_start" in codes(tmp_path / "late.mkv")


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (161, 97)])
def test_odd_sizes_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    video = ("-c:v", "libx264", "-pix_fmt", "yuv444p")
    found = video_of(record(tmp_path / "odd.mkv", seconds=1, size=size, video=video))
    assert (found.width, found.height) == size
