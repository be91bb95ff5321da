"""Clips as a decoder sees and hears them: formats, timing, sizes, colours, levels."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.media.recordings import (
    flashing,
    frame_count,
    level_db,
    listen,
    look,
    loudness,
    make,
    numbered,
    pitch_hz,
    tone,
)

from pipeline.errors import MediaError
from pipeline.rendering.eligibility import SHORTEST_S
from pipeline.task import run_task
from pipeline.types import Event, Output, RenderResult, RenderTask, Source

TS_PACKET = 188
"""Bytes of a packet of a transport stream; the first three are its tables."""


def render(source: Path, scratch: Path, start_s: float, end_s: float, **fields: Any) -> RenderResult:
    fields.setdefault("accuracy", "encode")
    scratch.mkdir(exist_ok=True)
    events: list[Event] = []
    task = RenderTask(source=Source(location=str(source)), start_s=start_s, end_s=end_s, **fields)
    result = run_task(task, scratch, events.append)
    assert isinstance(result, RenderResult)
    return result


def named(result: RenderResult, name: str) -> Output:
    return next(output for output in result.outputs if output.path == name)


def onset_s(sound: np.ndarray, rate: int, after_s: float = 0.0) -> float:
    loud = np.flatnonzero(np.abs(sound[int(after_s * rate) :]) > 0.2)
    return float(loud[0] / rate) + after_s


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered(tmp_path_factory.mktemp("source") / "talk.mp4")


def test_mp4_of_a_video_shows_the_frames_asked_for_at_their_times(talk: Path, tmp_path: Path) -> None:
    result = render(talk, tmp_path, 1.0, 3.0)
    seen = look(tmp_path / "clip.mp4")
    assert seen.numbers == [n % 26 for n in range(25, 75)]
    assert seen.times == pytest.approx([n / 25 for n in range(50)], abs=1e-4)
    assert seen.end_s == pytest.approx(2.0, abs=1e-3)
    assert (seen.width, seen.height) == (160, 90)
    assert named(result, "clip.mp4").duration_s == pytest.approx(2.0, abs=0.03)
    sound, rate = listen(tmp_path / "clip.mp4")
    assert pitch_hz(sound[int(0.1 * rate) : int(0.9 * rate)], rate) == pytest.approx(480, abs=3)
    assert pitch_hz(sound[int(1.1 * rate) : int(1.9 * rate)], rate) == pytest.approx(520, abs=3)


def test_all_formats_are_made_with_thumbnail_and_preview(talk: Path, tmp_path: Path) -> None:
    result = render(talk, tmp_path, 0.5, 2.5, formats=["mp4", "webm", "mp3"])
    assert {(o.path, o.content_type) for o in result.outputs} == {
        ("clip.mp4", "video/mp4"),
        ("clip.webm", "video/webm"),
        ("clip.mp3", "audio/mpeg"),
        ("thumbnail.jpg", "image/jpeg"),
        ("preview.webp", "image/webp"),
    }
    assert {path.name for path in tmp_path.iterdir()} == {o.path for o in result.outputs} | {"early.mp4"}
    assert all(o.size_bytes == (tmp_path / o.path).stat().st_size for o in result.outputs)
    assert look(tmp_path / "clip.webm").numbers == look(tmp_path / "clip.mp4").numbers
    assert frame_count(tmp_path / "preview.webp") == 16
    for name in ("clip.webm", "clip.mp3"):
        sound, rate = listen(tmp_path / name)
        assert pitch_hz(sound[int(0.6 * rate) : int(1.4 * rate)], rate) == pytest.approx(480, abs=3)


def test_flash_and_beep_stay_together_in_every_format(tmp_path: Path) -> None:
    source = flashing(tmp_path / "flash.mp4")
    render(source, tmp_path / "out", 0.52, 3.5, formats=["mp4", "webm"])
    for name in ("clip.mp4", "clip.webm"):
        seen = look(tmp_path / "out" / name)
        flash = next(time for time, luma in zip(seen.times, seen.luma, strict=True) if luma > 120)
        sound, rate = listen(tmp_path / "out" / name)
        assert flash == pytest.approx(0.48, abs=0.021)
        assert onset_s(sound, rate) == pytest.approx(flash, abs=0.02)


def test_variable_frame_rate_keeps_every_frame_at_its_time(tmp_path: Path) -> None:
    source = make(
        tmp_path / "vfr.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=160x90:r=30:d=5,geq=lum='20+8*mod(N,26)':cb=128:cr=128"),
        *("-vf", "select='not(between(t,1.0,2.4))*not(eq(mod(n,7),3))'", "-fps_mode", "vfr"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "15"),
    )
    original = look(source)
    render(source, tmp_path / "out", 0.5, 4.5)
    seen = look(tmp_path / "out" / "clip.mp4")
    expected = [(t, n) for t, n in zip(original.times, original.numbers, strict=True) if 0.5 <= t < 4.5]
    assert seen.numbers == [number for _, number in expected]
    assert seen.times == pytest.approx([time - expected[0][0] for time, _ in expected], abs=2e-3)


def test_a_frame_that_stands_for_long_is_shown_from_the_start_on(tmp_path: Path) -> None:
    source = make(
        tmp_path / "slides.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=160x90:r=1/2:d=8,geq=lum='20+8*mod(N,26)':cb=128:cr=128"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-video_track_timescale", "90000"),
    )
    render(source, tmp_path / "out", 3.5, 7.5)
    seen = look(tmp_path / "out" / "clip.mp4")
    assert seen.numbers[0] == 1
    assert seen.times[0] == 0
    changes = [t for t, n, before in zip(seen.times[1:], seen.numbers[1:], seen.numbers, strict=False) if n != before]
    assert changes == pytest.approx([0.5, 2.5], abs=0.01)
    assert seen.end_s == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(("rotation", "corner"), [(90, "right"), (180, "right"), (270, "left")])
def test_a_rotated_recording_comes_out_upright(tmp_path: Path, rotation: int, corner: str) -> None:
    flat = make(
        tmp_path / "flat.mp4",
        *("-f", "lavfi", "-i", "color=c=black:s=160x96:r=10:d=2,drawbox=x=0:y=0:w=80:h=48:color=red:t=fill"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
    )
    turned = make(tmp_path / "turned.mp4", "-display_rotation", str(360 - rotation), "-i", str(flat), "-c", "copy")
    render(turned, tmp_path / "out", 0, 2)
    seen = look(tmp_path / "out" / "clip.mp4")
    assert (seen.width, seen.height) == ((160, 96) if rotation == 180 else (96, 160))
    red = np.argwhere((seen.rgb[..., 0] > 120) & (seen.rgb[..., 1] < 90))
    assert bool(red[:, 1].mean() > seen.width / 2) is (corner == "right")
    assert bool(red[:, 0].mean() > seen.height / 2) is (rotation in {180, 270})


def test_anamorphic_and_odd_sizes_come_out_square_and_even(tmp_path: Path) -> None:
    wide = make(
        tmp_path / "wide.mkv",
        *("-f", "lavfi", "-i", "color=c=red:s=144x117:r=10:d=1,format=yuv444p", "-vf", "setsar=16/11", "-c:v", "ffv1"),
    )
    render(wide, tmp_path / "out", 0, 1)
    seen = look(tmp_path / "out" / "clip.mp4")
    assert (seen.width, seen.height) == (210, 118)


def test_one_pixel_is_enough(tmp_path: Path) -> None:
    dot = make(tmp_path / "dot.mkv", "-f", "lavfi", "-i", "color=c=white:s=1x1:r=10:d=1,format=yuv444p", "-c:v", "ffv1")
    render(dot, tmp_path / "out", 0, 1, formats=["mp4", "webm"])
    assert look(tmp_path / "out" / "clip.mp4").luma[0] > 200


@pytest.mark.parametrize(("curve", "white"), [("smpte2084", 572), ("arib-std-b67", 721)])
def test_hdr_is_tone_mapped_to_sdr(tmp_path: Path, curve: str, white: int) -> None:
    tags = f"colorprim=bt2020:transfer={curve}:colormatrix=bt2020nc"
    source = make(
        tmp_path / "hdr.mp4",
        *("-f", "lavfi", "-i", f"color=c=white:s=160x90:r=10:d=1,format=yuv420p10,geq=lum={white}:cb=512:cr=512"),
        *("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=error:{tags}"),
        *("-color_primaries", "bt2020", "-color_trc", curve, "-colorspace", "bt2020nc", "-color_range", "tv"),
    )
    render(source, tmp_path / "out", 0, 1)
    with av.open(str(tmp_path / "out" / "clip.mp4")) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        assert (context.pix_fmt, int(frame.color_trc), int(frame.colorspace)) == ("yuv420p", 1, 1)
    luma = look(tmp_path / "out" / "clip.mp4").luma[0]
    # Reference white (203 cd/m2, BT.2408) comes out bright but not clipped.
    assert 190 < luma < 215


def test_interlaced_pictures_are_deinterlaced(tmp_path: Path) -> None:
    source = make(
        tmp_path / "fields.mp4",
        *("-f", "lavfi", "-i", "color=c=black:s=320x180:r=50:d=2"),
        *("-f", "lavfi", "-i", "color=c=white:s=32x180:r=50:d=2"),
        *("-filter_complex", "[0][1]overlay=x='mod(t*240,288)':y=0,interlace=scan=tff,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-flags", "+ildct+ilme", "-x264opts", "tff=1"),
    )
    render(source, tmp_path / "out", 0, 1.5)

    def comb(path: Path) -> float:
        picture = look(path).rgb[..., 0].astype(float)
        return float(np.abs(picture[1:-1] - (picture[:-2] + picture[2:]) / 2).mean())

    assert comb(tmp_path / "out" / "clip.mp4") < comb(source) / 3


def test_dialogue_of_a_surround_recording_keeps_its_level(tmp_path: Path) -> None:
    source = make(
        tmp_path / "surround.mkv",
        *("-f", "lavfi", "-i", "aevalsrc='0|0|0.25*sin(2*PI*440*t)|0.5*sin(2*PI*50*t)|0|0':c=5.1:s=48000:d=3"),
        *("-c:a", "flac"),
    )
    render(source, tmp_path / "out", 0.5, 2.5, formats=["mp3"])
    sound, rate = listen(tmp_path / "out" / "clip.mp3")
    middle = sound[rate // 2 : rate]
    # The centre channel sounds in both speakers at -3 dB, which together are as loud as it was.
    assert level_db(middle) == pytest.approx(20 * np.log10(0.25 / np.sqrt(2)) - 3.01, abs=0.5)
    assert pitch_hz(middle, rate) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("volume", [0.05, 0.9])
def test_loudness_lands_on_target_with_true_peak_below_minus_one(tmp_path: Path, volume: float) -> None:
    spikes = f"{volume}*sin(2*PI*300*t)*(0.3+0.2*sin(2*PI*3*t))+{volume}*sin(2*PI*900*t)*lt(mod(t,0.7),0.004)"
    source = make(tmp_path / "s.wav", "-f", "lavfi", "-i", f"aevalsrc='{spikes}':s=48000:d=5")
    render(source, tmp_path / "out", 0, 5, formats=["mp3", "mp4"], loudness=-14)
    for name in ("clip.mp3", "clip.mp4"):
        lufs, peak = loudness(tmp_path / "out" / name)
        assert lufs == pytest.approx(-14, abs=0.5)
        assert peak <= -1.0


def test_level_that_the_encoder_takes_away_is_given_back(tmp_path: Path) -> None:
    """MP3 drops what lies above 19 kHz, which the meter hears: the first try ends below the target."""
    hiss = "0.02*sin(2*PI*500*t)+0.1*sin(2*PI*19500*t)"
    source = make(tmp_path / "s.wav", "-f", "lavfi", "-i", f"aevalsrc='{hiss}':s=48000:d=5")
    result = render(source, tmp_path / "out", 0, 5, formats=["mp3"], loudness=-24)
    assert loudness(tmp_path / "out" / "clip.mp3")[0] == pytest.approx(-24, abs=0.5)
    assert result.notes == []


def test_loudness_out_of_reach_is_noted_with_what_was_reached(tmp_path: Path) -> None:
    whisper = tone(tmp_path / "whisper.wav", volume=0.002)
    result = render(whisper, tmp_path / "out", 0, 5, formats=["mp3"], loudness=-14)
    lufs, _ = loudness(tmp_path / "out" / "clip.mp3")
    assert -35 < lufs < -20
    assert [note.code for note in result.notes] == ["loudness_missed"]
    assert f"{lufs:.1f} LUFS" in result.notes[0].message


def test_faded_clip_lands_on_target_too(tmp_path: Path) -> None:
    source = tone(tmp_path / "s.wav", volume=0.1)
    fades = {"fade_in_s": 2.0, "fade_out_s": 2.0}
    render(source, tmp_path / "out", 0, 5, formats=["mp3"], loudness=-16, options=fades)
    assert loudness(tmp_path / "out" / "clip.mp3")[0] == pytest.approx(-16, abs=0.5)


def test_silence_is_left_alone_and_noted(tmp_path: Path) -> None:
    source = tone(tmp_path / "silence.wav", volume=0.0)
    result = render(source, tmp_path / "out", 0, 5, formats=["mp3"], loudness=-14)
    assert [note.code for note in result.notes] == ["silence"]
    assert level_db(listen(tmp_path / "out" / "clip.mp3")[0]) < -80


def test_fades_begin_and_end_in_black_and_silence(talk: Path, tmp_path: Path) -> None:
    render(talk, tmp_path, 0.5, 3.5, options={"fade_in_s": 0.5, "fade_out_s": 0.5})
    seen = look(tmp_path / "clip.mp4")
    assert seen.luma[0] < 20
    assert seen.luma[-1] < 40
    sound, rate = listen(tmp_path / "clip.mp4")
    assert level_db(sound[: rate // 50]) < level_db(sound[rate : rate + rate // 50]) - 15
    assert level_db(sound[3 * rate - rate // 50 : 3 * rate]) < level_db(sound[rate : rate + rate // 50]) - 15


def test_sound_alone_becomes_a_video_of_its_waveform(tmp_path: Path) -> None:
    source = tone(tmp_path / "voice.m4a")
    result = render(source, tmp_path / "out", 0.5, 5.5, formats=["mp4", "mp3"])
    assert [note.code for note in result.notes] == ["still_picture"]
    assert {o.path for o in result.outputs} == {"clip.mp4", "clip.mp3", "thumbnail.jpg"}
    seen = look(tmp_path / "out" / "clip.mp4")
    assert seen.end_s == pytest.approx(5.0, abs=0.1)
    assert np.abs(seen.rgb.astype(int) - look(tmp_path / "out" / "thumbnail.jpg").rgb).mean() < 4
    wave = (np.abs(seen.rgb.astype(int) - [0x7C, 0x9C, 0xFF]).sum(axis=2) < 90).mean()
    assert 0.05 < wave < 0.5


def test_outputs_a_recording_cannot_give_are_refused(talk: Path, tmp_path: Path) -> None:
    mute = make(tmp_path / "mute.mp4", "-i", str(talk), "-an", "-c", "copy")
    voice = tone(tmp_path / "voice.m4a")
    for source, fields in (
        (mute, {"formats": ["mp3"]}),
        (mute, {"preset": "audiogram"}),
        (voice, {"preset": "vertical"}),
    ):
        with pytest.raises(MediaError) as caught:
            render(source, tmp_path / "out", 0, 2, **fields)
        assert caught.value.code == "unsupported_output"


@pytest.mark.parametrize(("start_s", "end_s"), [(3.0, 1.0), (-1.0, 2.0), (50.0, 60.0), (float("nan"), 2.0)])
def test_times_outside_the_recording_are_refused(talk: Path, tmp_path: Path, start_s: float, end_s: float) -> None:
    with pytest.raises(MediaError) as caught:
        render(talk, tmp_path, start_s, end_s)
    assert caught.value.code == "out_of_range"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_broadcast_recorded_from_its_middle_on_shows_from_its_first_keyframe_on(tmp_path: Path, accuracy: str) -> None:
    """Six seconds, the first half second of which was never received; keyframes are two seconds apart."""
    whole = numbered(tmp_path / "whole.ts", seconds=6).read_bytes()
    source = tmp_path / "middle.ts"
    source.write_bytes(whole[: 3 * TS_PACKET] + whole[len(whole) // 12 // TS_PACKET * TS_PACKET :])
    result = render(source, tmp_path / "before", 0.0, 1.0, accuracy=accuracy)
    assert "still_picture" in [note.code for note in result.notes]
    assert named(result, "clip.mp4").duration_s == pytest.approx(1.0, abs=0.05)
    render(source, tmp_path / "across", 0.5, 4.0, accuracy=accuracy)
    assert set(look(tmp_path / "across" / "clip.mp4").numbers) >= {50 % 26, 51 % 26, 75 % 26}


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
@pytest.mark.parametrize("kind", ["mp4", "webm", "mp3"])
def test_times_too_close_together_are_refused_as_that(talk: Path, tmp_path: Path, kind: str, accuracy: str) -> None:
    with pytest.raises(MediaError) as caught:
        render(talk, tmp_path, 1.0, 1.0 + SHORTEST_S / 2, formats=[kind], accuracy=accuracy)
    assert caught.value.code == "clip_too_short"
    assert render(talk, tmp_path, 1.0, 1.0 + SHORTEST_S, formats=[kind], accuracy=accuracy).outputs


def test_a_lower_bit_rate_is_tried_before_a_clip_is_too_large(tmp_path: Path) -> None:
    source = make(
        tmp_path / "noise.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=320x180:r=25:d=4,noise=alls=90:allf=t"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "20"),
    )
    limit = 150_000
    free = render(source, tmp_path / "free", 0, 4)
    assert named(free, "clip.mp4").size_bytes > 3 * limit
    held = render(source, tmp_path / "held", 0, 4, max_bytes=limit)
    assert named(held, "clip.mp4").size_bytes <= limit
    assert len(look(tmp_path / "held" / "clip.mp4").times) == 100
    with pytest.raises(MediaError) as caught:
        render(source, tmp_path / "none", 0, 4, max_bytes=2_000)
    assert caught.value.code == "output_too_large"


def test_copy_that_fails_its_check_is_encoded_and_the_note_advises_nothing(talk: Path, tmp_path: Path) -> None:
    whole = render(talk, tmp_path / "whole", 0, 4, accuracy="fast")
    assert not whole.notes
    limit = named(whole, "clip.mp4").size_bytes - 1
    held = render(talk, tmp_path / "held", 0, 4, accuracy="fast", max_bytes=limit)
    assert (held.accuracy, [note.code for note in held.notes]) == ("encode", ["copy_failed"])
    assert held.notes[0].message.endswith(f": {limit + 1} bytes, the limit is {limit}. So it was encoded.")


@pytest.mark.parametrize("extra", [(), ("-bf", "3", "-x264-params", "b-pyramid=normal")])
def test_parts_side_by_side_have_the_timing_of_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: tuple[str, ...]
) -> None:
    source = flashing(tmp_path / "long.mp4", seconds=42, extra=extra)
    for threads in ("1", "2"):
        monkeypatch.setenv("SNUGGLES_CHILD_THREADS", threads)
        render(source, tmp_path / threads, 1.5, 41.1, formats=["mp4", "webm"])
    for name in ("clip.mp4", "clip.webm"):
        alone, parts = look(tmp_path / "1" / name), look(tmp_path / "2" / name)
        assert parts.times == pytest.approx(alone.times, abs=1e-4)
        assert [luma > 120 for luma in parts.luma] == [luma > 120 for luma in alone.luma]
        assert parts.end_s == pytest.approx(alone.end_s, abs=2e-3)
        (sound, rate), (joined, _) = listen(tmp_path / "1" / name), listen(tmp_path / "2" / name)
        assert len(joined) == pytest.approx(len(sound), abs=rate // 50)
        flashes = [time for time, luma in zip(parts.times, parts.luma, strict=True) if luma > 120][::2]
        assert len(flashes) == 40
        for flash in (flashes[0], flashes[20], flashes[-1]):
            assert onset_s(joined, rate, flash - 0.1) == pytest.approx(flash, abs=0.02)
