"""One decode pass over real files: every codec and rate, damage in the middle, clocks that start late or jump."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.media.audio import speech, write_audio

from pipeline.errors import MediaError
from pipeline.listening.listen import Timeline, build_timeline

SPOKEN = speech(6.0, rate=48_000, seed=1)


def beeps(rate: int, seconds: float = 6.0) -> np.ndarray:
    """Return silence with a tone from 2 s to 3 s and from 4.5 s to 5 s."""
    t = np.arange(int(seconds * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * t)
    return (tone * (((t >= 2) & (t < 3)) | ((t >= 4.5) & (t < 5)))).astype(np.float32)


def loud_rows(timeline: Timeline) -> list[int]:
    return [int(row) for row in np.flatnonzero(timeline.column("level_db") > -30.0)]


@pytest.mark.parametrize(
    ("name", "codec", "rate", "layout"),
    [
        ("a.m4a", "aac", 48_000, "stereo"),
        ("a.mp4", "aac", 44_100, "5.1"),
        ("a.mp3", "libmp3lame", 44_100, "stereo"),
        ("a.mka", "aac", 48_000, "7.1"),
        ("a.ogg", "libopus", 48_000, "mono"),
        ("a.flac", "flac", 96_000, "stereo"),
        ("a.wav", "pcm_s16le", 8_000, "mono"),
        ("a.wav", "pcm_u8", 11_025, "mono"),
        ("a.mkv", "pcm_s24le", 192_000, "7.1"),
        ("a.wav", "pcm_f32le", 16_000, "mono"),
        ("a.wav", "pcm_alaw", 8_000, "mono"),
    ],
)
def test_tone_is_heard_where_it_is(tmp_path: Path, name: str, codec: str, rate: int, layout: str) -> None:
    path = write_audio(tmp_path / name, beeps(rate), rate=rate, codec=codec, layout=layout)
    timeline = build_timeline(path)
    assert timeline.duration_s == pytest.approx(6.0, abs=0.11)
    rows = loud_rows(timeline)
    assert rows[0] in {19, 20}
    assert rows[-1] in {49, 50}
    assert not {32, 35, 40, 43} & set(rows)
    assert timeline.problems == ()


def test_progress_rises_to_the_end(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.m4a", np.tile(SPOKEN, 5), rate=48_000, codec="aac")
    seen: list[float] = []
    build_timeline(path, on_progress=seen.append)
    assert seen == sorted(seen)
    assert 0.8 < seen[-1] <= 1.0


def test_file_object_and_path_give_the_same(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.ogg", SPOKEN, rate=48_000, codec="libopus")
    from_object = build_timeline(io.BytesIO(path.read_bytes()))
    assert np.array_equal(from_object.features, build_timeline(str(path)).features)


def test_file_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    with pytest.raises(MediaError) as failure:
        build_timeline(path)
    assert failure.value.code == "no_audio"


def test_stream_that_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", SPOKEN, rate=48_000, codec="pcm_s16le")
    with pytest.raises(MediaError) as failure:
        build_timeline(path, stream_index=3)
    assert failure.value.code == "no_audio"


def test_text_dressed_as_media_is_refused() -> None:
    with pytest.raises(MediaError) as failure:
        build_timeline(io.BytesIO(b"this is a letter, not a recording. " * 50))
    assert failure.value.code == "not_media"


def remuxed(source: Path, target: Path, **changes: Any) -> Path:
    """Copy packets; `skip` leaves out those between two times, `shift` adds seconds to those after a time."""
    skip, shift = changes.get("skip", (-1, -1)), changes.get("shift", (1e9, 0))
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.dts is None:
                continue
            time_s = packet.pts * packet.time_base
            if skip[0] <= time_s < skip[1]:
                continue
            if time_s >= shift[0]:
                packet.pts += int(shift[1] / packet.time_base)
                packet.dts = packet.pts
            packet.stream = stream
            new.mux(packet)
    return target


def test_packets_that_are_missing_leave_silence_of_their_length(tmp_path: Path) -> None:
    whole = write_audio(tmp_path / "a.mkv", beeps(48_000), rate=48_000, codec="aac")
    timeline = build_timeline(remuxed(whole, tmp_path / "b.mkv", skip=(1, 1.8)))
    assert timeline.duration_s == pytest.approx(6.0, abs=0.11)
    assert loud_rows(timeline)[0] in {19, 20}
    assert [problem.code for problem in timeline.problems] == ["audio_gap"]


@pytest.mark.parametrize("jump_s", [90_000, -1_000_000])
def test_clock_that_jumps_is_disbelieved(tmp_path: Path, jump_s: float) -> None:
    whole = write_audio(tmp_path / "a.ts", beeps(48_000), rate=48_000, codec="aac")
    if jump_s < 0:  # the clock begins high and falls back
        shifted = remuxed(whole, tmp_path / "b.nut", shift=(-1e9, 50_000))
        timeline = build_timeline(shifted)
    else:
        timeline = build_timeline(remuxed(whole, tmp_path / "b.nut", shift=(3.5, jump_s)))
    assert timeline.duration_s == pytest.approx(6.0, abs=0.2)
    assert loud_rows(timeline)[-1] in {48, 49, 50}


def test_clock_that_starts_late_is_time_zero(tmp_path: Path) -> None:
    whole = write_audio(tmp_path / "a.mkv", beeps(48_000), rate=48_000, codec="aac")
    timeline = build_timeline(remuxed(whole, tmp_path / "b.ts", shift=(-1e9, 90)))
    assert timeline.start_s == pytest.approx(91.4, abs=2.0)
    assert loud_rows(timeline)[0] in {19, 20}


def test_sound_that_begins_after_the_picture_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        audio: Any = container.add_stream("pcm_s16le", rate=48_000)
        audio.layout = "mono"
        for i in range(100):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts, picture.time_base = i, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        tone = (beeps(48_000)[96_000:144_000] * 32767).astype(np.int16)
        for first in range(0, 48_000, 1600):
            frame = av.AudioFrame.from_ndarray(tone[None, first : first + 1600], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 48_000 + first, Fraction(1, 48_000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    timeline = build_timeline(path)
    assert loud_rows(timeline) == list(range(10, 20))


def test_damage_in_the_middle_is_reported_and_the_rest_heard(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.mkv", np.tile(beeps(48_000), 4), rate=48_000, codec="flac")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(np.random.default_rng(0).integers(0, 256, 600, dtype=np.uint8))
    path.write_bytes(bytes(content))
    timeline = build_timeline(path)
    rows = set(loud_rows(timeline))
    assert {25, 205, 227} <= rows
    assert timeline.duration_s == pytest.approx(24.0, abs=0.3)
    assert timeline.problems


def test_truncated_file_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.ts", np.tile(SPOKEN, 3), rate=48_000, codec="aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    timeline = build_timeline(path)
    assert timeline.duration_s == pytest.approx(9.0, abs=1.0)
    assert np.isfinite(timeline.features).all()
