"""Each entry of the carriers' table: a copied stretch decodes to the recording's own pictures and sound, in time."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.media.video import H264_B, RATE, SIZE, SOUND_RATE, origin_s, read_number, record, sound_of

from pipeline.cutting.stretch.carriers import PICTURES, SOUNDS
from pipeline.cutting.stretch.extract import StretchReport, extract_stretch
from pipeline.reading.probe import probe

START_S, END_S = 0.9, 2.5
PAL = (720, 576)
TIMES_S = 0.002
"""Matroska rounds to milliseconds."""


@dataclass(frozen=True)
class Coded:
    """How a codec is encoded, and the container of the recording by the suffix of the copy."""

    arguments: str
    containers: dict[str, str]
    size: tuple[int, int] = SIZE


VIDEO = {
    "h264": Coded("libx264 -preset ultrafast -bf 2 -pix_fmt yuv420p -g 12", {".nut": "ts"}),
    "hevc": Coded("libx265 -preset ultrafast -x265-params log-level=none:keyint=12 -pix_fmt yuv420p", {".nut": "ts"}),
    "vp8": Coded("libvpx -b:v 400k -g 12 -pix_fmt yuv420p", {".nut": "ivf"}),
    "vp9": Coded("libvpx-vp9 -b:v 400k -g 12 -cpu-used 8 -deadline realtime -pix_fmt yuv420p", {".nut": "ivf"}),
    "av1": Coded("libsvtav1 -preset 10 -crf 30 -g 12 -pix_fmt yuv420p", {}),
    "mpeg1video": Coded("mpeg1video -q:v 3 -bf 2 -pix_fmt yuv420p", {".nut": "mpg"}),
    "mpeg2video": Coded("mpeg2video -q:v 3 -bf 2 -pix_fmt yuv420p", {".nut": "ts"}),
    "mpeg4": Coded("mpeg4 -q:v 3 -g 12 -pix_fmt yuv420p", {".nut": "avi"}),
    "mjpeg": Coded("mjpeg -q:v 3 -pix_fmt yuvj420p", {".nut": "avi"}),
    "prores": Coded("prores_ks -profile:v 1", {}),
    "dnxhd": Coded("dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p", {}, size=(256, 144)),
    "dvvideo": Coded("dvvideo -pix_fmt yuv420p", {".nut": "avi"}, size=PAL),
}
AUDIO = {
    "aac": Coded("aac", {".nut": "ts"}),
    "mp3": Coded("libmp3lame", {".nut": "mp3"}),
    "opus": Coded("libopus", {".nut": "ogg"}),
    "vorbis": Coded("libvorbis", {".nut": "ogg"}),
    "flac": Coded("flac", {".nut": "flac"}),
    "ac3": Coded("ac3", {".nut": "ac3"}),
    "eac3": Coded("eac3", {}),
    "alac": Coded("alac", {}),
}
BESIDE = {".mov": ("-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p")}
"""Pictures beside which sound is copied into this container; H.264 elsewhere."""


def entries(table: dict[str, frozenset[str]]) -> list[tuple[str, str]]:
    return [(suffix, codec) for suffix, codecs in table.items() for codec in sorted(codecs)]


def extract(source: Path, suffix: str) -> StretchReport:
    report = extract_stretch(source, start_s=START_S, end_s=END_S, out=source.parent / "copy")
    assert (report.decoded, Path(report.path).suffix) == (None, suffix)
    return report


def pictures(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        return [(float(f.time), f.reformat(format="gray").to_ndarray()) for f in container.decode(video=0)]


@pytest.mark.parametrize(("suffix", "codec"), entries(PICTURES))
def test_copied_pictures_are_those_of_the_recording(suffix: str, codec: str, tmp_path: Path) -> None:
    coded = VIDEO[codec]
    source = tmp_path / f"recording.{coded.containers.get(suffix, suffix[1:])}"
    record(source, seconds=3, size=coded.size, video=("-c:v", *coded.arguments.split()), audio=None)
    report = extract(source, suffix)
    zero_s = probe(source).start_s
    recorded = [(at - zero_s, picture) for at, picture in pictures(source)]
    made = [(at - float(report.begin_s), picture) for at, picture in pictures(Path(report.path))]
    shown = [(at, picture) for at, picture in made if -TIMES_S <= at < END_S - START_S - TIMES_S]
    assert len(shown) >= (END_S - START_S) * RATE - 1
    for at, picture in shown:
        near = min(recorded, key=lambda one: abs(one[0] - START_S - at))
        assert near[0] - START_S == pytest.approx(at, abs=2 * TIMES_S)
        assert read_number(picture) == read_number(near[1])
        assert np.array_equal(picture, near[1])


@pytest.mark.parametrize(("suffix", "codec"), entries(SOUNDS))
def test_copied_sound_is_that_of_the_recording(suffix: str, codec: str, tmp_path: Path) -> None:
    coded = AUDIO[codec]
    container = coded.containers.get(suffix, suffix[1:])
    video: Sequence[str] | None = None if suffix == ".nut" else BESIDE.get(suffix, (*H264_B, "-g", "12"))
    source = tmp_path / f"recording.{container}"
    record(source, seconds=3, video=video, audio=("-c:a", *coded.arguments.split()))
    report = extract(source, suffix)
    with av.open(report.path) as container_made:
        assert container_made.streams.audio[0].codec_context.codec.canonical_name == codec
    own, made = sound_of(source), sound_of(Path(report.path))
    zero_s, start_s = probe(source).start_s, float(report.begin_s)
    for at_s in (0.1, 1.2):
        wanted_s = START_S + at_s
        recorded_s = origin_s(own, zero_s + wanted_s, wanted_s, recorded_rate=SOUND_RATE)
        found_s = origin_s(made, start_s + at_s, wanted_s, recorded_rate=SOUND_RATE)
        assert found_s == pytest.approx(recorded_s, abs=2 * TIMES_S)


def test_every_codec_of_the_table_is_encoded_here() -> None:
    assert set().union(*PICTURES.values()) == set(VIDEO)
    assert set().union(*SOUNDS.values()) == set(AUDIO)
