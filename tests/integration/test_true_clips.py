"""Recordings that once came out wrong, each made in code: the clip is right, or the refusal is true."""

import re
import time
from pathlib import Path

import av
import numpy as np
import pytest
from support.media.clip import clip_of, meter, refusal
from support.media.patches import flag_all_as_keyframes, insert_clap
from support.media.recordings import level_db, listen, look, make
from support.media.video import (
    AAC,
    H264,
    H264_B,
    RATE,
    complaints,
    pictures_of,
    record,
    run_ffmpeg,
)

from pipeline.ingest import detect, ingest
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.types import Accuracy, DetectOptions, DetectTask, IngestTask, RenderResult, Source

TONE = "aevalsrc='0.3*sin(2*PI*440*t)':s=48000:d="
PATTERN = "testsrc2=s=320x180:r=15:d="


def codes(result: RenderResult) -> list[str]:
    return [note.code for note in result.notes]


def length_s(path: Path) -> float:
    return probe(path).duration_s


# Held pictures and variable rates


def test_clip_that_ends_in_a_pause_between_pictures_has_its_length(tmp_path: Path) -> None:
    gap = ("-vf", "select='not(between(n,51,54))'", "-fps_mode", "vfr", "-g", "300")
    source = record(tmp_path / "gap.mp4", seconds=4, video=(*H264, *gap))
    for accuracy in ("exact", "encode"):
        clip, _ = clip_of(source, 1.0, 2.1, accuracy=accuracy)
        assert length_s(clip) == pytest.approx(1.1, abs=0.002)
        assert complaints(clip) == ""


@pytest.mark.parametrize("suffix", ["wmv", "mp4"])
def test_one_picture_with_sound_is_held_without_repeating_it_at_every_tick(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"still.{suffix}"
    pictures = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=0.04", "-f", "lavfi", "-i", TONE + "20")
    run_ffmpeg(*pictures, *({"wmv": ("-c:v", "wmv2", "-c:a", "wmav2"), "mp4": (*H264, *AAC)}[suffix]), source)
    began = time.monotonic()
    for formats in (["mp4"], ["webm"]):
        clip, _ = clip_of(source, 0, 8, accuracy="encode", formats=formats)
        assert length_s(clip) == pytest.approx(8, abs=0.05)
        assert 1 <= len(look(clip).times) <= 16
    assert time.monotonic() - began < 60


def test_picture_every_half_minute_is_shown_from_the_cut_on(tmp_path: Path) -> None:
    source = tmp_path / "podcast.mp4"
    pictures = ("-f", "lavfi", "-i", "testsrc2=s=160x96:r=1/30:d=90", "-f", "lavfi", "-i", TONE + "90")
    run_ffmpeg(*pictures, *H264, *AAC, source)
    for accuracy in ("exact", "encode"):
        clip, _ = clip_of(source, 35, 45, accuracy=accuracy)
        assert length_s(clip) == pytest.approx(10, abs=0.05)


def test_hundred_and_twenty_pictures_a_second_stay_so_many(tmp_path: Path) -> None:
    source = record(tmp_path / "fast.mp4", seconds=2, rate=120, video=(*H264_B, "-g", "60"))
    for accuracy in ("exact", "encode"):
        clip, _ = clip_of(source, 0.35, 1.55, accuracy=accuracy)
        assert [p.number for p in pictures_of(clip)] == list(range(42, 186))


# Changes inside a recording, layouts


def test_vp8_that_becomes_smaller_midway_keeps_the_size_of_its_beginning(tmp_path: Path) -> None:
    for name, size in (("a", "320x192"), ("b", "160x96")):
        pictures = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=15:d=2", "-f", "lavfi", "-i", TONE + "2")
        run_ffmpeg(*pictures, "-c:v", "libvpx", "-b:v", "300k", "-c:a", "libopus", tmp_path / f"{name}.webm")
    (tmp_path / "list.txt").write_text("file a.webm\nfile b.webm\n")
    source = tmp_path / "both.webm"
    run_ffmpeg("-f", "concat", "-i", tmp_path / "list.txt", "-c", "copy", source)
    clip, result = clip_of(source, 1, 3)
    with av.open(str(clip)) as container:
        assert {(f.width, f.height) for f in container.decode(video=0)} == {(320, 192)}
    sound, rate = listen(clip)
    assert min(level_db(sound[at : at + rate // 10]) for at in range(0, 19 * rate // 10, rate // 10)) > -16
    assert codes(result) == ["changes_midway"]


def test_sound_whose_layout_and_rate_change_midway_stays_continuous(tmp_path: Path) -> None:
    for name, shape in (("a", ("-ac", "6")), ("b", ("-ac", "2", "-ar", "44100"))):
        pictures = ("-f", "lavfi", "-i", PATTERN + "2", "-f", "lavfi", "-i", TONE + "2")
        run_ffmpeg(*pictures, *H264, "-g", "15", *AAC, *shape, tmp_path / f"{name}.ts")
    source = tmp_path / "both.ts"
    source.write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    for accuracy in ("exact", "encode"):
        clip, _ = clip_of(source, 1, 3, accuracy=accuracy)
        sound, rate = listen(clip)
        assert len(sound) / rate == pytest.approx(2, abs=0.08)
        windows = [level_db(sound[at : at + rate // 10]) for at in range(rate // 10, 18 * rate // 10, rate // 10)]
        assert min(windows) > max(windows) - 8  # the mix of six channels to one is not that of two


@pytest.mark.parametrize(("channels", "layout"), [(1, "FL"), (1, "FC"), (2, "FC+LFE"), (2, "FL+FR"), (3, "FL+FR+BC")])
def test_unusual_channel_layouts_are_normalised(tmp_path: Path, channels: int, layout: str) -> None:
    source = make(
        tmp_path / "sound.wav",
        *("-f", "lavfi", "-i", f"aevalsrc={'|'.join(['0.2*sin(2*PI*440*t)'] * channels)}:s=48000:d=3:c={layout}"),
    )
    for kind in ("mp3", "webm", "mp4"):
        clip, _ = clip_of(source, 0.5, 2.5, formats=[kind])
        sound, _ = listen(clip)
        assert level_db(sound) == pytest.approx(level_db(np.full(9, 0.2 / np.sqrt(2), np.float32)), abs=6.1)


def test_twelve_channels_without_a_layout_are_mixed(tmp_path: Path) -> None:
    samples = (0.2 * np.sin(np.arange(144_000) / 20)[:, None] * np.ones(12) * 32767).astype("<i2")
    raw = tmp_path / "raw"
    raw.write_bytes(samples.tobytes())
    source = make(tmp_path / "twelve.wav", "-f", "s16le", "-ar", "48000", "-ch_layout", "12C", "-i", str(raw))
    clip, _ = clip_of(source, 0.5, 2.5, formats=["mp3"])
    assert level_db(listen(clip)[0]) > -25


# Streams without times


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("raw.h264", H264_B),
        ("raw.hevc", ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")),
        ("raw.m2v", ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2")),
        ("raw.obu", ("-c:v", "libsvtav1", "-preset", "8", "-crf", "20")),
    ],
)
def test_bare_pictures_are_counted(name: str, video: tuple[str, ...], tmp_path: Path) -> None:
    source = record(tmp_path / name, seconds=3, video=video, audio=None)
    ingested = ingest(IngestTask(source=Source(location=str(source))), tmp_path, meter())
    assert ingested.probe.duration_s == pytest.approx(3, abs=0.05)
    detect(DetectTask(timeline=ingested.timeline, options=DetectOptions(sensitivity=0.3)), tmp_path, meter())
    clip, result = clip_of(source, 1.04, 2.44)
    assert [p.number for p in pictures_of(clip)] == list(range(26, 61))
    assert codes(result) == ["no_times"]
    error = refusal(clip_of, source, 2, 5)
    assert error.code == "out_of_range"


# Geometry


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_cropping_of_the_container_is_honoured(tmp_path: Path, suffix: str, accuracy: str) -> None:
    source = record(tmp_path / "whole.mp4", seconds=2, size=(320, 240), video=(*H264, "-g", "25"))
    insert_clap(source, width=320, height=160)
    if suffix == "mkv":
        run_ffmpeg("-i", source, "-c", "copy", tmp_path / "whole.mkv")
        source = tmp_path / "whole.mkv"
    clip, result = clip_of(source, 0.52, 1.52, accuracy=accuracy)
    with av.open(str(clip)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="gray")
    with av.open(str(source)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert shown.shape == (160, 320)
    assert float(np.abs(shown.astype(float) - frames[13][40:200].astype(float)).mean()) < 6
    assert codes(result) == ([] if accuracy == "encode" else ["cropped"])


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("alpha.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "300k", "-deadline", "realtime")),
        ("alpha.mov", ("-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le")),
        ("alpha.mkv", ("-c:v", "ffv1", "-pix_fmt", "bgra")),
    ],
)
def test_transparent_pictures_lie_on_black_with_a_note(name: str, video: tuple[str, ...], tmp_path: Path) -> None:
    """Red is seen on the left; on the right everything is transparent, and the colour below it is green."""
    colours = "r='if(lt(X,80),255,0)':g='if(lt(X,80),0,255)':b=0:a='if(lt(X,80),255,0)'"
    source = make(
        tmp_path / name, "-f", "lavfi", "-i", f"color=black:s=160x96:r=25:d=2,format=gbrap,geq={colours}", *video
    )
    clip, result = clip_of(source, 0.4, 1.4)
    rgb = look(clip).rgb.astype(float)
    assert rgb[10:-10, 10:70].mean(axis=(0, 1)) == pytest.approx([255, 0, 0], abs=25)
    assert rgb[10:-10, 90:150].mean(axis=(0, 1)) == pytest.approx([0, 0, 0], abs=12)
    assert "alpha_flattened" in codes(result)


@pytest.mark.parametrize("accuracy", ["exact", "fast"])
def test_cut_of_transparent_pictures_encodes_them_and_says_so(accuracy: Accuracy, tmp_path: Path) -> None:
    colours = "r=255:g=0:b=0:a='if(lt(X,80),255,0)'"
    given = ("-f", "lavfi", "-i", f"color=black:s=160x96:r=25:d=2,format=gbrap,geq={colours}")
    vp9 = ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "300k", "-deadline", "realtime", "-g", "10")
    source = make(tmp_path / "alpha.webm", *given, *vp9)
    report = cut(source, start_s=0.4, end_s=1.6, out=tmp_path / "clip.mp4", accuracy=accuracy)
    assert [note.code for note in report.notes] == ["transparent", "alpha_flattened"]
    assert look(tmp_path / "clip.mp4").rgb[10:-10, 90:150].mean() < 12


def test_cut_that_maps_tones_says_so(tmp_path: Path) -> None:
    hdr = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=none"
    video = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", hdr)
    source = record(tmp_path / "hdr.mp4", seconds=2, video=video)
    report = cut(source, start_s=0.4, end_s=1.6, out=tmp_path / "clip.mp4", accuracy="encode")
    assert [note.code for note in report.notes] == ["tone_mapped"]


@pytest.mark.parametrize(("suffix", "sound"), [("mkv", "pcm_s16le"), ("mkv", "truehd -strict -2"), ("wav", "adpcm_ms")])
def test_cut_that_encodes_the_sound_alone_says_so(suffix: str, sound: str, tmp_path: Path) -> None:
    video = None if suffix == "wav" else (*H264, "-g", "10")
    source = record(tmp_path / f"sound.{suffix}", seconds=3, video=video, audio=("-c:a", *sound.split()))
    report = cut(source, start_s=0.5, end_s=2.1, out=tmp_path / "clip.mp4")
    assert (report.accuracy, [note.code for note in report.notes]) == ("exact", ["sound_encoded"])
    assert (report.copied_s == 0) == (suffix == "wav")


# Seeking


@pytest.mark.parametrize(
    ("suffix", "video", "audio"),
    [
        ("ts", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", None),
        ("mpg", "mpeg1video -q:v 3 -bf 2 -pix_fmt yuv420p", None),
        ("mkv", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", "aac"),
        ("mkv", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", "libopus"),
    ],
)
def test_plain_cut_begins_with_the_picture_of_its_time(
    suffix: str, video: str, audio: str | None, tmp_path: Path
) -> None:
    """What a decoder drops of the first sound, or NUT does not tell, must not move the clip."""
    sound = None if audio is None else ("-c:a", audio)
    source = record(tmp_path / f"source.{suffix}", seconds=3, video=("-c:v", *video.split()), audio=sound)
    for start_s, number in ((0.81, 20), (0.9, 22), (1.2, 30), (1.59, 39)):
        cut(source, start_s=start_s, end_s=start_s + 1, out=tmp_path / "clip.mp4", accuracy="encode")
        assert [shown.number for shown in pictures_of(tmp_path / "clip.mp4")][:3] == [number, number + 1, number + 2]


def test_cinepak_with_every_packet_marked_as_a_keyframe_shows_no_blocks(tmp_path: Path) -> None:
    source = record(tmp_path / "cinepak.avi", seconds=3, video=("-c:v", "cinepak", "-g", "75"), audio=None)
    flag_all_as_keyframes(source)
    clip, _ = clip_of(source, 1.36, 2.36)
    assert [p.number for p in pictures_of(clip)] == list(range(34, 59))


def test_full_chroma_by_an_old_x264_is_decoded_from_the_start(tmp_path: Path) -> None:
    """Its pictures are coded in its own way, which a decoder knows by the name in the first packet alone."""
    # Without transforms of 8x8, the old way and today's are the same: only the name is old here.
    full = ("-c:v", "libx264", "-pix_fmt", "yuv444p", "-g", "12", "-x264-params", "8x8dct=0:cabac=0")
    made = record(tmp_path / "new.mkv", seconds=3, video=full, audio=None).read_bytes()
    source = tmp_path / "old.mkv"
    source.write_bytes(re.sub(rb"x264 - core \d{3}", b"x264 - core 142", made))
    clip, result = clip_of(source, 1.6, 2.4)
    assert "first_packet" in codes(result)
    assert [shown.number for shown in pictures_of(clip)] == list(range(40, 60))
    _, result = clip_of(tmp_path / "new.mkv", 1.6, 2.4)
    assert "first_packet" not in codes(result)


def test_formats_that_are_always_encoded_beside_a_copy_are_noted(tmp_path: Path) -> None:
    source = record(tmp_path / "source.mp4", seconds=3, video=(*H264_B, "-g", "10"))
    _, result = clip_of(source, 0.5, 2.1, formats=["mp4", "mp3"])
    assert (result.accuracy, codes(result)) == ("exact", ["format_encoded"])


def test_fast_clip_of_pictures_out_of_order_is_copied(tmp_path: Path) -> None:
    pyramid = (*H264_B, "-bf", "3", "-g", "50", "-x264-params", "b-pyramid=normal:b-adapt=0")
    for suffix in ("mp4", "mkv"):
        source = record(tmp_path / f"ordinary.{suffix}", seconds=6, video=pyramid)
        clip, result = clip_of(source, 2.5, 4.7, accuracy="fast")
        assert (result.accuracy, result.notes) == ("fast", [])
        numbers = [p.number for p in pictures_of(clip)]
        assert numbers[0] == 50
        assert numbers == list(range(50, 50 + len(numbers)))
        assert len(numbers) >= round((4.7 - 2) * RATE)


def test_damage_before_the_clip_is_not_blamed_on_it(tmp_path: Path) -> None:
    source = record(tmp_path / "damaged.ts", seconds=4, video=(*H264, "-g", "100"))
    data = bytearray(source.read_bytes())
    at = len(data) // 8 // 188 * 188
    data[at + 30 : at + 180] = bytes(150)
    source.write_bytes(bytes(data))
    clip, _ = clip_of(source, 2.2, 3.2, accuracy="encode")
    assert len(pictures_of(clip)) >= 24


# Length and choice of streams


def test_subtitles_do_not_lengthen_a_recording(tmp_path: Path) -> None:
    (tmp_path / "long.srt").write_text("1\n00:00:00,100 --> 00:00:04,900\nlonger than all\n")
    video = record(tmp_path / "video.mp4", seconds=2)
    source = tmp_path / "long.mkv"
    run_ffmpeg("-i", video, "-i", tmp_path / "long.srt", "-map", "0", "-map", "1", "-c", "copy", "-c:s", "srt", source)
    assert probe(source).duration_s == pytest.approx(2, abs=0.05)
    error = refusal(clip_of, source, 0.9, 2.9)
    assert error.code == "out_of_range"
    assert "0.9 to 2.9 s was asked for" in error.message
    clip, _ = clip_of(source, 0.9, 2.1)
    assert length_s(clip) == pytest.approx(1.1, abs=0.05)


def test_longest_track_of_pictures_wins_over_a_short_one(tmp_path: Path) -> None:
    short = record(tmp_path / "short.mp4", seconds=1, size=(320, 192), audio=None)
    long = record(tmp_path / "long.mp4", seconds=4)
    source = tmp_path / "both.mp4"
    run_ffmpeg("-i", short, "-i", long, "-map", "0:v", "-map", "1:v", "-map", "1:a", "-c", "copy", source)
    found = probe(source)
    assert found.video == 1
    clip, _ = clip_of(source, 2, 3)
    assert [p.number for p in pictures_of(clip)] == list(range(50, 75))


def test_sound_timed_in_bytes_has_no_highlight_outside_the_recording(tmp_path: Path) -> None:
    laugh = "anoisesrc=d=12:c=pink:a=0.5:r=16000"
    pictures = ("-f", "lavfi", "-i", PATTERN + "12", "-f", "lavfi", "-i", laugh)
    source = tmp_path / "g722.avi"
    run_ffmpeg(*pictures, "-c:v", "mpeg4", "-c:a", "g722", "-ar", "16000", "-ac", "1", source)
    ingested = ingest(IngestTask(source=Source(location=str(source))), tmp_path, meter())
    assert ingested.probe.duration_s == pytest.approx(12, abs=0.1)
    options = DetectOptions(sensitivity=0.0)
    found = detect(DetectTask(timeline=ingested.timeline, options=options), tmp_path, meter())
    assert all(moment.end_s <= 12.1 for moment in found.highlights)
    clip, _ = clip_of(source, 6, 8)
    assert level_db(listen(clip)[0]) > -30


CASES = Path(__file__).parents[3] / "shared" / "cases"


@pytest.mark.skipif(not CASES.is_dir(), reason="the recordings of these reports are not here; their like is made above")
@pytest.mark.parametrize(
    ("name", "start_s", "end_s"),
    [
        ("wmv2_wmav2_2ch.wmv", 1.5, 3.5),
        ("adpcm_ms.wav", 1.5, 3.5),
        ("bluray.m2ts", 1, 3),
        ("truehd.mkv", 5, 8),
        ("msrle_pal8.avi", 1, 3),
        ("still1.wmv", 0, 8),
        ("still-podcast.mp4", 5, 15),
        ("resvp8.webm", 9, 11),
        ("g722.avi", 5, 7),
    ],
)
def test_reported_recording_comes_out(name: str, start_s: float, end_s: float, tmp_path: Path) -> None:
    source = tmp_path / name
    source.write_bytes((CASES / name).read_bytes())
    kind = "mp3" if source.suffix == ".wav" else "mp4"
    clip, _ = clip_of(source, start_s, end_s, formats=[kind])
    assert length_s(clip) == pytest.approx(end_s - start_s, abs=0.06)
