"""Cuts over codec, container and accuracy: the clip shows and sounds what the recording does at those times.

Every codec that the FFmpeg of this project encodes is here. The suite runs a row of each kind; `CUT_MATRIX=full` runs
every row in every accuracy (some ten minutes).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from support.media.video import RATE, SOUND_RATE, origin_s, pictures_of, read_number, record, sound_of

from pipeline.progress import Meter
from pipeline.reading.probe import probe
from pipeline.rendering.render import render
from pipeline.types import Accuracy, RenderTask, Source

IS_FULL = os.environ.get("CUT_MATRIX") == "full"
SECONDS, START_S, END_S = 3.0, 0.9, 2.5
CIF, PAL, SMALL = (352, 288), (720, 576), (160, 96)
ACCURACIES: tuple[Accuracy, ...] = ("exact", "fast", "encode")
LEVEL_DB, LAG_S = 3.0, 0.04
PICTURE_S = 0.05
"""A picture of 40 ms, and what containers round."""


@dataclass(frozen=True)
class Row:
    """A recording: its container, FFmpeg's arguments for pictures and sound, and the size of the pictures."""

    container: str
    video: str | None
    audio: str | None
    size: tuple[int, int] = SMALL
    sound_rate: int = SOUND_RATE
    channels: int = 1
    is_speech: bool = False
    """Whether the codec knows voices only: it turns noise into other noise, of which the level remains."""
    is_usual: bool = False
    """Whether the short suite runs it."""

    @property
    def name(self) -> str:
        """What the row is, for the report."""
        parts = [(given or "none").split()[0] for given in (self.video, self.audio)]
        return "-".join([*parts, self.container])


X264 = "libx264 -preset ultrafast -pix_fmt yuv420p -g 25"
B_FRAMES = "libx264 -preset veryfast -bf 3 -pix_fmt yuv420p -g 25"
MS_VIDEO = "wmv2 -q:v 3 -pix_fmt yuv420p -g 12"
ROWS = [
    Row("mp4", B_FRAMES, "aac", is_usual=True),
    Row("mkv", B_FRAMES, "truehd -strict -2", is_usual=True),
    Row("mkv", X264, "libvorbis"),
    Row("mkv", X264, "libopus"),
    Row("mkv", X264, "flac"),
    Row("mkv", X264, "tta"),
    Row("mkv", X264, "wavpack"),
    Row("mkv", X264, "mp2"),
    Row("mkv", X264, "dca -strict -2 -ac 2", channels=2),
    Row("mkv", X264, "mlp -strict -2"),
    Row("mkv", X264, "alac"),
    Row("mkv", X264, "real_144", sound_rate=8000, is_speech=True),
    Row("mov", X264, "alac", is_usual=True),
    Row("mov", X264, "pcm_s24be"),
    Row("mov", X264, "pcm_mulaw"),
    Row("mov", X264, "adpcm_ima_qt"),
    Row("ts", X264, "ac3"),
    Row("ts", X264, "eac3"),
    Row("ts", X264, "s302m -strict -2 -ac 2", channels=2),
    Row("ts", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", "mp2", is_usual=True),
    Row("m2ts", X264, "pcm_bluray", is_usual=True),
    Row("vob", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", "pcm_dvd", size=PAL, is_usual=True),
    Row("mpg", "mpeg1video -q:v 3 -bf 2 -pix_fmt yuv420p", "mp2"),
    Row("flv", "flv -q:v 3 -pix_fmt yuv420p", "nellymoser -ar 22050", sound_rate=22050),
    Row("flv", "flashsv", "adpcm_swf -ar 22050", sound_rate=22050),
    Row("flv", X264, "aac"),
    Row("wmv", MS_VIDEO, "wmav2", is_usual=True),
    Row("wmv", "wmv1 -q:v 3 -pix_fmt yuv420p", "wmav1"),
    Row("wmv", "msmpeg4 -q:v 3 -pix_fmt yuv420p", "wmav2"),
    Row("avi", "msmpeg4v2 -q:v 3 -pix_fmt yuv420p", "libmp3lame"),
    Row("avi", "mpeg4 -q:v 3 -bf 2 -pix_fmt yuv420p", "ac3"),
    Row("avi", "libxvid -q:v 3 -bf 2 -pix_fmt yuv420p", "libmp3lame", is_usual=True),
    Row("avi", "msvideo1", "adpcm_ms", is_usual=True),
    Row("avi", "msrle -pix_fmt pal8", "adpcm_ima_wav"),
    Row("avi", "cinepak", "pcm_u8"),
    Row("avi", "huffyuv -pix_fmt yuv422p", "pcm_s16le"),
    Row("avi", "ffvhuff -pix_fmt yuv420p", "pcm_alaw"),
    Row("avi", "utvideo -pix_fmt yuv420p", "adpcm_yamaha"),
    Row("avi", "ffv1 -pix_fmt yuv420p", "mp2"),
    Row("avi", "magicyuv -pix_fmt yuv420p", "wmav2"),
    Row("avi", "zmbv", "pcm_s16le", is_usual=True),
    Row("avi", "asv1 -pix_fmt yuv420p", "g722 -ar 16000", size=CIF, sound_rate=16000),
    Row("avi", "asv2 -pix_fmt yuv420p", "pcm_s16le", size=CIF),
    Row("avi", "rawvideo -pix_fmt bgr24", "pcm_s16le"),
    Row("avi", "rawvideo -pix_fmt uyvy422", "pcm_s16le"),
    Row("avi", "ljpeg -pix_fmt yuvj420p -strict -1", "pcm_s16le"),
    Row("avi", "mjpeg -q:v 3 -pix_fmt yuvj420p", "pcm_s16le"),
    Row("avi", "snow -q:v 3 -pix_fmt yuv420p -strict -2", "pcm_s16le"),
    Row("avi", "zlib -pix_fmt bgr24", "pcm_s16le"),
    Row("avi", "png -pix_fmt rgb24", "pcm_s16le"),
    Row("avi", "dvvideo -pix_fmt yuv420p", "pcm_s16le -ac 2", size=PAL, channels=2),
    Row("mov", "qtrle -pix_fmt rgb24", "pcm_s16be", is_usual=True),
    Row("mov", "rpza", "pcm_s16be"),
    Row("mov", "smc -pix_fmt pal8", "pcm_s16be", is_usual=True),
    Row("mov", "svq1 -q:v 3 -pix_fmt yuv410p", "adpcm_ima_qt"),
    Row("mov", "prores_ks -profile:v 1", "pcm_s16le"),
    Row("mov", "prores_ks -profile:v 4444 -pix_fmt yuva444p10le", "pcm_s16le"),
    Row("mov", "dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p", "pcm_s16le", size=(256, 144)),
    Row("mov", "cfhd -pix_fmt yuv422p10le", "pcm_s16le"),
    Row("mov", "jpeg2000 -pix_fmt yuv420p", "pcm_s16le"),
    Row("mov", "hap", "pcm_s16le"),
    Row("mov", "v210", "pcm_s24le"),
    Row("mov", "r210", "pcm_s24le"),
    Row("mov", "rawvideo -pix_fmt yuyv422", "pcm_s24le"),
    Row("mov", "png -pix_fmt rgba", "pcm_s16be"),
    Row("mov", "h263 -q:v 3 -pix_fmt yuv420p", "libopencore_amrnb -ar 8000", size=CIF, sound_rate=8000, is_speech=True),
    Row(
        "3gp",
        "h263 -q:v 3 -pix_fmt yuv420p",
        "libopencore_amrnb -ar 8000",
        size=CIF,
        sound_rate=8000,
        is_speech=True,
        is_usual=True,
    ),
    Row("mkv", "libtheora -q:v 7 -pix_fmt yuv420p", "libvorbis"),
    Row("ogv", "libtheora -q:v 7 -pix_fmt yuv420p", "libvorbis", is_usual=True),
    Row("ogg", None, "libvorbis"),
    Row("ogg", None, "flac", is_usual=True),
    Row("webm", "libvpx -b:v 400k -g 25 -pix_fmt yuv420p", "libvorbis"),
    Row("webm", "libvpx-vp9 -b:v 400k -g 25 -cpu-used 8 -deadline realtime -pix_fmt yuv420p", "libopus"),
    Row("mp4", "libsvtav1 -preset 8 -crf 20 -g 25 -pix_fmt yuv420p", "libopus"),
    Row("mp4", "libx265 -preset ultrafast -g 25 -x265-params log-level=none -pix_fmt yuv420p", "aac"),
    Row("mp4", "libvvenc -qp 30 -preset faster -pix_fmt yuv420p10le", "aac"),
    Row("mkv", "vc2 -pix_fmt yuv422p -strict -1", "pcm_s16le", is_usual=True),
    Row("rm", "rv10 -q:v 3 -pix_fmt yuv420p", "ac3", size=CIF),
    Row("rm", "rv20 -q:v 3 -pix_fmt yuv420p", "ac3", size=CIF),
    Row("mxf", "mpeg2video -q:v 3 -pix_fmt yuv422p -g 1", "pcm_s16le"),
    Row("gxf", "mpeg2video -q:v 3 -pix_fmt yuv420p -r 25", "pcm_s16le -ac 1", size=PAL),
    Row("dv", "dvvideo -pix_fmt yuv420p", "pcm_s16le -ac 2", size=PAL, channels=2),
    Row("nut", "ffv1 -pix_fmt yuv420p", "pcm_s16le"),
    Row("ivf", "libvpx -b:v 400k -pix_fmt yuv420p", None),
    Row("wtv", "mpeg2video -q:v 3 -pix_fmt yuv420p", "mp2", size=PAL),
    Row("y4m", "wrapped_avframe -pix_fmt yuv420p", None),
    Row("gif", "gif -pix_fmt pal8", None),
    Row("apng", "apng -pix_fmt rgb24 -plays 1", None, is_usual=True),
    Row("h264", B_FRAMES, None, is_usual=True),
    Row("265", "libx265 -preset ultrafast -x265-params log-level=none -f hevc", None),
    Row("m2v", "mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", None, is_usual=True),
    Row("m4v", "mpeg4 -q:v 3 -pix_fmt yuv420p", None),
    Row("obu", "libsvtav1 -preset 8 -crf 20 -pix_fmt yuv420p", None),
    Row("wav", None, "pcm_s16le"),
    Row("wav", None, "adpcm_ms", is_usual=True),
    Row("wav", None, "adpcm_ima_wav"),
    Row("wav", None, "adpcm_yamaha"),
    Row("wav", None, "mp2", is_usual=True),
    Row("wav", None, "libmp3lame"),
    Row("wav", None, "g726 -b:a 32k", sound_rate=8000),
    Row("wav", None, "pcm_f64le"),
    Row("w64", None, "pcm_s24le"),
    Row("aiff", None, "pcm_s16be"),
    Row("caf", None, "alac", is_usual=True),
    Row("caf", None, "adpcm_ima_qt"),
    Row("au", None, "pcm_mulaw"),
    Row("voc", None, "pcm_u8", sound_rate=20_000),
    Row("tta", None, "tta"),
    Row("wv", None, "wavpack"),
    Row("flac", None, "flac"),
    Row("mp3", None, "libmp3lame"),
    Row("mp2", None, "mp2"),
    Row("aac", None, "aac"),
    Row("m4a", None, "aac"),
    Row("ac3", None, "ac3"),
    Row("dts", None, "dca -strict -2 -ac 2", channels=2),
    Row("thd", None, "truehd -strict -2"),
    Row("mlp", None, "mlp -strict -2"),
    Row("wma", None, "wmav2", is_usual=True),
    Row("wma", None, "wmav1"),
    Row("opus", None, "libopus"),
    Row("amr", None, "libopencore_amrnb -ar 8000", sound_rate=8000, is_speech=True),
    Row("sox", None, "pcm_s32le"),
    Row("rm", None, "real_144", sound_rate=8000, is_speech=True, is_usual=True),
    Row("nut", None, "adpcm_swf -ar 22050", sound_rate=22050),
]
CASES = [
    (row, accuracy)
    for number, row in enumerate(ROWS)
    for accuracy in ACCURACIES
    if IS_FULL or (row.is_usual and accuracy == ACCURACIES[number % len(ACCURACIES)])
]


def make(row: Row, folder: Path) -> Path:
    """Record numbered pictures and noise as the row says."""
    return record(
        folder / f"recording.{row.container}",
        seconds=SECONDS,
        size=row.size,
        video=("-c:v", *row.video.split()) if row.video else None,
        audio=("-c:a", *row.audio.split()) if row.audio else None,
        sound_rate=row.sound_rate,
        channels=row.channels,
    )


@pytest.mark.parametrize(("row", "accuracy"), CASES, ids=lambda given: getattr(given, "name", given))
def test_clip_shows_and_sounds_what_the_recording_does(row: Row, accuracy: Accuracy, tmp_path: Path) -> None:
    source = make(row, tmp_path)
    kind = "mp4" if row.video else "mp3"
    task = RenderTask(
        source=Source(location=str(source)), start_s=START_S, end_s=END_S, formats=[kind], accuracy=accuracy
    )
    (tmp_path / "out").mkdir()
    made = render(task, tmp_path / "out", Meter(lambda _event: None), lambda _event: None)
    clip = next(tmp_path / "out" / output.path for output in made.outputs if output.format == kind)
    assert made.accuracy == accuracy or made.notes
    lead_s = 0.0
    if row.video:
        lead_s = assert_pictures(source, clip, made.accuracy)
    if row.audio:
        assert_sound(source, clip, lead_s, row)


def assert_pictures(source: Path, clip: Path, accuracy: Accuracy) -> float:
    """Hold each picture against its time in the recording; return how much earlier than asked the clip begins."""
    recorded, shown = times_of(source), pictures_of(clip)
    lead_s = START_S - recorded[shown[0].number] if accuracy == "fast" else 0.0
    assert lead_s >= 0
    for picture in shown:
        wanted_s = START_S - lead_s + picture.time_s - shown[0].time_s
        assert abs(recorded[picture.number] - wanted_s) < PICTURE_S, (
            f"picture {picture.number} at {picture.time_s:.3f} s"
        )
    assert len(shown) >= (END_S - START_S) * RATE - 2
    return lead_s


def times_of(source: Path) -> dict[int, float]:
    """Return when the recording shows each picture; those of bare streams are counted."""
    zero_s = probe(source).start_s
    with av.open(str(source)) as container:
        frames = [(f.time, f.reformat(format="gray").to_ndarray()) for f in container.decode(video=0)]
    if any(time is None for time, _ in frames) or source.suffix == ".m2v":
        return {read_number(picture): n / RATE for n, (_, picture) in enumerate(frames)}
    # Pictures come in order of display, but of packed bitstreams FFmpeg swaps the times of some.
    times = sorted(float(time) for time, _ in frames)
    return {read_number(picture): time - zero_s for time, (_, picture) in zip(times, frames, strict=True)}


def assert_sound(source: Path, clip: Path, lead_s: float, row: Row) -> None:
    """Find the clip's sound in the recording's noise, at two places, and compare place and level with the recording's.

    Some encoders delay the sound in the recording itself.
    """
    own, made = sound_of(source), sound_of(clip)
    zero_s = probe(source).start_s
    for at_s in () if row.is_speech else (0.2, 1.1):
        wanted_s = START_S - lead_s + at_s
        recorded_s = origin_s(own, zero_s + wanted_s, wanted_s, recorded_rate=row.sound_rate)
        found_s = origin_s(made, at_s, wanted_s, recorded_rate=row.sound_rate)
        assert abs(found_s - recorded_s) < LAG_S
    begin, end = (round((at_s + zero_s - own.start_s) * own.rate) for at_s in (START_S, END_S))
    assert abs(level_db(made.samples) - level_db(own.samples[begin:end])) < LEVEL_DB


def level_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))
