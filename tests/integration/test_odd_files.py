"""Clips of files that real programs write: odd headers, times that are wrong after a seek, ends with an error."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.media.clip import clip_of, refusal
from support.media.recordings import make
from support.media.video import AAC, H264, H264_B, RATE, pictures_of, record, run_ffmpeg, sound_of

from pipeline.cutting.stretch.reference import Reference, Sample, Shrinker
from pipeline.errors import MediaError
from pipeline.rendering.check.resemblance import Likeness
from pipeline.rendering.check.verify import Expectation, verify
from pipeline.types import Accuracy, RenderResult

ACCURACIES: tuple[Accuracy, ...] = ("exact", "fast", "encode")


def codes(result: RenderResult) -> list[str]:
    return [note.code for note in result.notes]


def level_db(path: Path) -> float:
    return float(10 * np.log10(np.mean(sound_of(path).samples.astype(np.float64) ** 2) + 1e-12))


def test_opus_that_states_a_long_delay_is_heard(tmp_path: Path) -> None:
    """A decoder drops the delay wherever it begins, so a copy of a second would be silent."""
    source = record(tmp_path / "delay.mp4", seconds=4, video=None, audio=("-c:a", "libopus"))
    data = bytearray(source.read_bytes())
    place = data.index(b"dOps") + 6
    data[place : place + 2] = b"\xff\xff"
    source.write_bytes(data)
    clip, _ = clip_of(source, 2.0, 3.0)
    assert level_db(clip) == pytest.approx(level_db(source), abs=3)


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_last_picture_stays_where_only_sound_goes_on(accuracy: Accuracy, tmp_path: Path) -> None:
    record(tmp_path / "whole.mp4", seconds=3, video=(*H264, "-g", "25"))
    source = make(
        tmp_path / "short.mp4",
        *("-t", "1", "-i", str(tmp_path / "whole.mp4"), "-i", str(tmp_path / "whole.mp4")),
        *("-map", "0:v", "-map", "1:a", "-c", "copy"),
    )
    clip, result = clip_of(source, 1.5, 2.5, accuracy=accuracy)
    shown = pictures_of(clip)
    assert {picture.number for picture in shown} == {pictures_of(source)[-1].number}
    assert len(shown) == 2
    assert shown[-1].time_s > 0.9
    assert codes(result) == ([] if accuracy == "encode" else ["inside_one_gop"])


def test_pictures_of_h264_in_asf_are_whole_after_a_seek(tmp_path: Path) -> None:
    """FFmpeg gives the second packet after a seek no time, and the first one a wrong time."""
    video = (*H264_B, "-bf", "0", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0")
    source = record(tmp_path / "source.asf", seconds=5, video=video, audio=("-c:a", "wmav2"))
    clip, _ = clip_of(source, 3.2, 3.8)
    numbers = [picture.number for picture in pictures_of(clip)]
    assert numbers == list(range(numbers[0], numbers[0] + 15))
    with av.open(str(clip)) as made, av.open(str(source)) as recorded:
        originals = [frame.to_ndarray(format="gray") for frame in recorded.decode(video=0)]
        for number, frame in enumerate(made.decode(video=0)):
            gray = frame.to_ndarray(format="gray").astype(float)
            assert np.abs(gray - originals[numbers[number]]).mean() < 6


def test_lossless_h264_is_not_joined_to_ours(tmp_path: Path) -> None:
    source = record(tmp_path / "lossless.mkv", seconds=3, video=(*H264, "-qp", "0", "-g", "25"))
    clip, result = clip_of(source, 0.52, 2.52)
    assert codes(result) == ["cannot_join"]
    assert [picture.number for picture in pictures_of(clip)] == list(range(13, 63))


def test_sound_of_realmedia_without_times_is_counted(tmp_path: Path) -> None:
    """FFmpeg writes the time 0 for all packets of RealAudio 1.0 beside pictures."""
    video = ("-c:v", "rv20", "-q:v", "3", "-pix_fmt", "yuv420p")
    source = record(
        tmp_path / "source.rm", seconds=3, size=(352, 288), video=video, audio=("-c:a", "real_144"), sound_rate=8000
    )
    clip, _ = clip_of(source, 1.2, 2.4)
    assert level_db(clip) == pytest.approx(level_db(source), abs=3)


def test_unused_byte_of_uncompressed_avi_hides_nothing(tmp_path: Path) -> None:
    source = make(
        tmp_path / "screen.avi",
        *("-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=1,format=bgra,colorchannelmixer=aa=0"),
        *("-c:v", "rawvideo", "-pix_fmt", "bgra"),
    )
    clip, result = clip_of(source, 0.2, 0.8)
    assert "alpha_flattened" not in codes(result)
    with av.open(str(clip)) as container:
        assert next(container.decode(video=0)).to_ndarray(format="gray").mean() > 60


def test_file_whose_reading_ends_with_an_error_is_cut_to_its_end(tmp_path: Path) -> None:
    video = ("-c:v", "roqvideo", "-pix_fmt", "yuv444p")
    source = record(
        tmp_path / "end.roq", seconds=2, size=(128, 64), video=video, audio=("-c:a", "roq_dpcm"), sound_rate=22050
    )
    clip, _ = clip_of(source, 1.0, 2.0)
    assert len(pictures_of(clip)) >= RATE - 2


def test_offset_that_encoders_leave_out_is_no_difference(tmp_path: Path) -> None:
    source = tmp_path / "offset.wav"
    with wave.open(str(source), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(np.full(2 * 44100, 16000, "<i2").tobytes())
    clip_of(source, 0.5, 1.5)


def test_sound_that_does_not_decode_is_not_called_absent(tmp_path: Path) -> None:
    sound, extra = ("-c:a", "alac"), ("-movflags", "+faststart")
    source = record(tmp_path / "noise.mp4", seconds=2, video=None, audio=sound, extra=extra)
    data = bytearray(source.read_bytes())
    begin = data.index(b"mdat") + 4
    data[begin:] = b"\xff" * (len(data) - begin)
    source.write_bytes(data)
    assert refusal(clip_of, source, 0.5, 1.5).code == "decode_failed"


@pytest.mark.parametrize(
    ("sound", "extra", "says"),
    [
        (("-c:a", "pcm_s24le"), (), "pcm_s24le sound"),
        (AAC, ("-movflags", "frag_every_frame+empty_moov"), "leave gaps"),
    ],
)
def test_note_on_sound_names_what_the_recording_holds(
    sound: tuple[str, ...], extra: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    suffix = "mp4" if extra else "mov"
    source = record(tmp_path / f"source.{suffix}", seconds=3, video=(*H264, "-g", "25"), audio=sound, extra=extra)
    _, result = clip_of(source, 0.52, 2.52)
    assert codes(result) == ["sound_encoded"]
    assert says in result.notes[0].message


def test_check_sees_wrong_pictures_behind_a_right_one(tmp_path: Path) -> None:
    """At a seam the picture before is right, and must not stand for the copied one of that time."""
    whole = record(tmp_path / "whole.mp4", seconds=2, video=(*H264, "-g", "25"))
    other = tmp_path / "other.mp4"
    run_ffmpeg("-i", whole, "-vf", "negate=enable='gte(t,1)'", "-c:a", "copy", *H264, other)
    assert differs(whole, other, at_s=1.0)
    assert not differs(whole, whole, at_s=1.0)


def differs(recording: Path, clip: Path, *, at_s: float) -> bool:
    """Compare a whole clip with its recording by one picture."""
    with av.open(str(recording)) as container:
        frame = next(f for f in container.decode(video=0) if (f.time or 0) >= at_s - 0.001)
        sample = Sample(Fraction(at_s), Shrinker().fields(frame))
    likeness = Likeness(reference=Reference(pictures=[sample]), start_s=Fraction(0), length_s=2.0)
    try:
        verify(clip, Expectation(likeness=likeness))
    except MediaError as exc:
        return "the picture is not the recording's" in exc.message
    return False


def test_loud_surround_sound_may_be_held_by_the_limiter(tmp_path: Path) -> None:
    """Six full channels add up to more than two can hold."""
    channels = "|".join(["0.8*sin(2*PI*220*t)"] * 6)
    sound = ("-c:a", "libopus", "-mapping_family", "1", "-b:a", "256k")
    source = make(tmp_path / "loud.mka", "-f", "lavfi", "-i", f"aevalsrc={channels}:c=5.1:s=48000:d=2", *sound)
    clip_of(source, 0.5, 1.5, formats=["mp3"])


def test_waveform_of_very_short_sound_is_a_clip(tmp_path: Path) -> None:
    source = record(tmp_path / "click.wav", seconds=0.06, video=None, audio=("-c:a", "pcm_s16le"))
    clip_of(source, 0.0, 0.06)
