"""Exact cuts over codec, container, B-pictures and groups, decoded: what was copied is the recording's own, bit by bit.

Pictures carry their number and sound is noise that never repeats, so a clip shows where each picture and each moment of
its sound came from.
"""

import hashlib
import os
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest
from support.media.video import (
    AAC,
    H264,
    H264_B,
    RATE,
    complaints,
    likeness_db,
    pictures_of,
    read_number,
    record,
    sound_of,
    sync_of,
)

from pipeline.reading.format import nal
from pipeline.reading.probe import probe
from pipeline.rendering.check.verify import Expectation, verify
from pipeline.rendering.cut import cut

FRAME_S = 1 / RATE
ROUNDING_S = 0.0015
"""Matroska and WebM keep whole milliseconds."""
LEAST_DB = 34
SECONDS = 4.0
GOP = 25


@dataclass(frozen=True)
class Coding:
    """How the pictures of a recording are coded."""

    name: str
    video: tuple[str, ...]
    containers: tuple[str, ...]
    """Where from and where to, as `mp4>mkv`."""


def x264(*more: str, params: str = "") -> tuple[str, ...]:
    given = ("-x264-params", f"scenecut=0:{params}") if params else ()
    return (*H264_B, "-g", str(GOP), "-keyint_min", str(GOP), *given, *more)


def x265(pixels: str, params: str) -> tuple[str, ...]:
    everywhere = f"log-level=none:keyint={GOP}:min-keyint={GOP}:scenecut=0"
    return ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", pixels, "-x265-params", f"{everywhere}:{params}")


def vp9(*more: str) -> tuple[str, ...]:
    return ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", str(GOP), "-b:v", "300k", "-pix_fmt", "yuv420p", *more)


FORCED_IDR = ("-force_key_frames", "2", "-forced-idr", "1")
CODINGS = [
    Coding("h264_no_b", (*H264, "-bf", "0", "-g", str(GOP)), ("mp4>mp4", "mkv>mp4", "ts>mp4", "flv>mkv")),
    Coding("h264_b_pyramid", x264(params="b-pyramid=normal:bframes=5"), ("mp4>mp4", "mkv>mkv", "ts>mp4", "mov>mov")),
    Coding("h264_open_gop_with_an_idr", x264(*FORCED_IDR, params="open-gop=1:bframes=3"), ("mp4>mp4", "mkv>mp4")),
    Coding("h264_refs_and_weights", x264(params="ref=4:weightp=2:bframes=3:b-adapt=0"), ("mp4>mkv",)),
    Coding("h264_422", ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv422p", "-g", str(GOP)), ("mp4>mp4",)),
    Coding("hevc_closed", x265("yuv420p", "open-gop=0:bframes=3"), ("mp4>mp4", "mkv>mp4", "ts>mkv")),
    Coding("hevc_open_no_b", x265("yuv420p", "open-gop=1:bframes=0"), ("mp4>mkv",)),
    Coding("hevc_open_b_10_bit", x265("yuv420p10le", "open-gop=1:bframes=4"), ("mp4>mp4", "mkv>mkv")),
    Coding("vp9", vp9("-deadline", "realtime", "-lag-in-frames", "0"), ("webm>webm", "mp4>mp4", "mkv>webm")),
    Coding("vp9_hidden", vp9("-auto-alt-ref", "1", "-lag-in-frames", "16"), ("webm>mp4", "webm>mkv")),
    Coding("av1", ("-c:v", "libsvtav1", "-preset", "12", "-g", str(GOP)), ("mp4>mp4", "webm>webm", "mkv>mp4")),
]
CASES = [(coding, way) for coding in CODINGS for way in coding.containers]
AUDIO = {"webm": ("-c:a", "libopus"), "flv": ("-c:a", "aac")}


@pytest.mark.parametrize(("coding", "way"), CASES, ids=lambda given: getattr(given, "name", given))
def test_exact_cut_keeps_the_recordings_pictures_and_its_sound_with_them(
    coding: Coding, way: str, tmp_path: Path
) -> None:
    begin, _, end = way.partition(">")
    source = record(tmp_path / f"source.{begin}", seconds=SECONDS, video=coding.video, audio=AUDIO.get(begin, AAC))
    out = tmp_path / f"clip.{end}"
    report = cut(source, start_s=0.72, end_s=3.52, out=out)
    # WebM has no AAC, which is what Matroska holds here.
    assert [note.code for note in report.notes] == (["sound_encoded"] if way == "mkv>webm" else [])
    assert report.accuracy == "exact"
    shown = pictures_of(out)
    assert [p.number for p in shown] == expected_numbers(source, 0.72, 3.52)
    assert all(abs(b.time_s - a.time_s - FRAME_S) < ROUNDING_S for a, b in pairwise(shown))
    copied = round(report.copied_s * RATE)
    assert_same_pictures(source, out, at_least=copied)
    assert likeness_db(source, out) > LEAST_DB
    assert_sound_with_pictures(source, out)
    assert complaints(out) == ""
    verify(out, Expectation(duration_s=2.8, video=True, audio=True, pictures=70))


def expected_numbers(source: Path, start_s: float, end_s: float) -> list[int]:
    """Some containers (transport streams, FLV) let sound begin a little earlier, and time with it."""
    zero_s = probe(source).start_s
    shown = pictures_of(source)
    before = [p.number for p in shown if p.time_s - zero_s <= start_s + 0.001]
    if not before:
        return [p.number for p in shown if p.time_s - zero_s < end_s]
    return list(range(before[-1], before[-1] + round((end_s - start_s) * RATE)))


def assert_same_pictures(source: Path, clip: Path, *, at_least: int) -> None:
    """What was copied decodes to the recording's own pixels, one stretch of it without a break."""
    originals, made = checksums(source), checksums(clip)
    same = [number for number, digest in made.items() if originals[number] == digest]
    assert len(same) >= at_least > 0
    longest = max(same) - min(same) + 1
    assert longest == len(same), f"copied pictures differ between {min(same)} and {max(same)}"


def checksums(path: Path) -> dict[int, bytes]:
    found = {}
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pixels = frame.to_ndarray().tobytes()
            found[read_number(frame.reformat(format="gray").to_ndarray())] = hashlib.blake2b(pixels).digest()
    return found


def assert_sound_with_pictures(source: Path, out: Path) -> None:
    """Within a quarter of a picture of where they are in the recording itself, which AVI sets apart by MP3's delay."""
    pictures, heard, sync, own = pictures_of(out), sound_of(out), sync_of(out), sync_of(source)
    assert abs(sync.at_start_s - own.at_start_s) < FRAME_S / 4
    assert abs(sync.at_end_s - own.at_end_s) < FRAME_S / 4
    assert abs(heard.start_s - pictures[0].time_s) < FRAME_S
    assert abs(heard.end_s - pictures[-1].time_s - FRAME_S) < FRAME_S


SOUNDS = {
    "aac mp4>mp4": ("-c:a", "aac"),
    "aac_44100 mp4>mp4": ("-c:a", "aac", "-ar", "44100"),
    "aac mkv>mp4": ("-c:a", "aac"),
    "aac mkv>mkv": ("-c:a", "aac"),
    "aac_44100 mkv>mkv": ("-c:a", "aac", "-ar", "44100"),
    "aac ts>mp4": ("-c:a", "aac"),
    "mp3 mp4>mp4": ("-c:a", "libmp3lame"),
    "mp3 mkv>mkv": ("-c:a", "libmp3lame"),
    "opus mp4>mp4": ("-c:a", "libopus"),
    "opus mkv>mp4": ("-c:a", "libopus"),
    "opus mkv>mkv": ("-c:a", "libopus"),
    "opus_60_ms mkv>mp4": ("-c:a", "libopus", "-frame_duration", "60"),
    "vorbis mkv>mkv": ("-c:a", "libvorbis"),
    "ac3 ts>mp4": ("-c:a", "ac3"),
    "flac mkv>mp4": ("-c:a", "flac"),
}


@pytest.mark.parametrize("given", SOUNDS)
@pytest.mark.parametrize(("start_s", "end_s"), [(0.72, 2.84), (1.0, 3.0), (0.0, 1.48)])
def test_sound_of_every_codec_stays_with_the_pictures(given: str, start_s: float, end_s: float, tmp_path: Path) -> None:
    begin, _, end = given.split()[1].partition(">")
    source = record(tmp_path / f"source.{begin}", seconds=SECONDS, video=x264(), audio=SOUNDS[given])
    out = tmp_path / f"clip.{end}"
    assert cut(source, start_s=start_s, end_s=end_s, out=out).accuracy == "exact"
    assert [p.number for p in pictures_of(out)] == expected_numbers(source, start_s, end_s)
    assert_sound_with_pictures(source, out)
    assert complaints(out) == ""


@pytest.mark.parametrize(
    ("video", "way", "code", "names"),
    [
        (("-c:v", "mpeg2video", "-q:v", "3", "-g", "12"), "mkv>mkv", "cannot_join", "mpeg2video"),
        (("-c:v", "mpeg2video", "-q:v", "3", "-g", "12"), "mpg>mp4", "codec_not_allowed", "mpeg2video"),
        (("-c:v", "mpeg4", "-q:v", "3", "-g", "12", "-bf", "2"), "avi>mkv", "cannot_join", "mpeg4"),
        (("-c:v", "libvpx", "-b:v", "300k", "-g", "25"), "webm>webm", "cannot_join", "vp8"),
        (("-c:v", "libvpx", "-b:v", "300k", "-g", "25"), "webm>mp4", "codec_not_allowed", "vp8"),
        (x264("-flags", "+ilme+ildct", "-vf", "setfield=tff"), "mp4>mp4", "cannot_join", "Interlaced"),
        (x264(params="open-gop=1:bframes=3"), "mp4>mp4", "open_gop", "open GOP"),
    ],
)
def test_what_cannot_be_copied_is_encoded_and_says_why(
    video: tuple[str, ...], way: str, code: str, names: str, tmp_path: Path
) -> None:
    begin, _, end = way.partition(">")
    audio = {"webm": ("-c:a", "libopus"), "mpg": ("-c:a", "mp2"), "avi": ("-c:a", "libmp3lame")}.get(begin, AAC)
    source = record(tmp_path / f"source.{begin}", seconds=SECONDS, video=video, audio=audio)
    out = tmp_path / f"clip.{end}"
    report = cut(source, start_s=1.2, end_s=3.2, out=out)
    assert report.accuracy == "encode"
    assert [note.code for note in report.notes] == [code]
    assert names in report.notes[0].message
    assert [p.number for p in pictures_of(out)] == expected_numbers(source, 1.2, 3.2)
    assert_sound_with_pictures(source, out)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how each thread is scheduled")
def test_no_encoder_leaves_the_process_before_all_others_on_the_machine(tmp_path: Path) -> None:
    source = record(tmp_path / "source.mp4", seconds=SECONDS, video=("-c:v", "libsvtav1", "-preset", "12", "-g", "50"))
    assert cut(source, start_s=0.72, end_s=3.52, out=tmp_path / "clip.mp4").encoded_s > 0
    threads = [int(thread.name) for thread in Path("/proc/self/task").iterdir()]
    assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}


def test_open_gop_is_copied_from_the_first_picture_that_stands_alone(tmp_path: Path) -> None:
    source = record(tmp_path / "open.mp4", seconds=SECONDS, video=x264(*FORCED_IDR, params="open-gop=1:bframes=3"))
    report = cut(source, start_s=0.2, end_s=3.96, out=tmp_path / "clip.mp4")
    assert (report.accuracy, report.notes) == ("exact", [])
    assert report.encoded_s == pytest.approx(1.8, abs=0.2)
    assert report.copied_s == pytest.approx(1.96, abs=0.2)


@pytest.mark.parametrize("is_open", [0, 1])
def test_each_keyframe_of_an_hevc_clip_brings_its_own_parameter_sets(tmp_path: Path, is_open: int) -> None:
    """Firefox goes on with the sets that it met last, also after a jump."""
    video = x265("yuv420p", f"open-gop={is_open}:bframes=3")
    source = record(tmp_path / "source.mp4", seconds=SECONDS, video=(*video, "-tag:v", "hvc1"))
    out = tmp_path / "clip.mp4"
    cut(source, start_s=0.72, end_s=3.52, out=out)
    with av.open(str(out)) as container:
        keys = [bytes(p) for p in container.demux(container.streams.video[0]) if p.is_keyframe]
    sets = [[unit for unit in nal.split_lengths(key, 4) if nal.hevc_type(unit) == nal.HEVC_SPS] for key in keys]
    assert [len(found) for found in sets] == [1] * len(keys)
    numbers = [nal.hevc_sps_id(found[0]) for found in sets]
    assert numbers == [nal.HEVC_ID, 0, 0, 0]
