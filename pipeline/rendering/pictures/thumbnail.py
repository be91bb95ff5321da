"""Pictures of a clip: the best frame, an animated preview, a storyboard."""

import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from msgspec.structs import replace

from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding import graph
from pipeline.rendering.encoding.graph import Look
from pipeline.rendering.material import Material
from pipeline.rendering.presets import Picture, even
from pipeline.types import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

THUMBNAIL_LONG_SIDE = 1280
PREVIEW_LONG_SIDE = 320
PREVIEW_S = 3.0
PREVIEW_BEFORE_S = 1.0
"""The preview starts a second before the best frame, to show what leads to it."""
PREVIEW_RATE = 8
"""Frames a second: enough to show motion, and three seconds stay near 100 KB."""
PREVIEW_QUALITY = 50
PREVIEW_EFFORT = 2
"""Of libwebp's methods 0 to 6: half the time of 3, for a tenth more bytes."""
JPEG_QUALITY = 3
"""FFmpeg's scale from 2 (best) to 31."""
STILL_MATRIX = "bt601"
"""The only matrix of JPEG and WebP: with BT.709, red and green would be slightly wrong."""
STORYBOARD_COLUMNS = 10
STORYBOARD_FRAMES = 50
STORYBOARD_WIDTH = 160
LOOK_WIDTH = 96
"""Frames are compared at this width, enough to recognise black, blurred and empty ones."""
ENOUGH_KEYFRAMES = 3
MAX_CANDIDATES = 24
EDGE_S = 0.25
"""Frames this close to either end of a clip rank lower, because of cuts, fades and flashes."""
EDGE_FACTOR = 0.6
FULL_CONTRAST = 55.0
"""Standard deviation of luma (of 255) beyond which more contrast does not count."""
FULL_SHARPNESS = 12.0
"""Mean absolute Laplacian of luma beyond which a small picture counts as sharp."""
DARK, BRIGHT = 20.0, 235.0
"""Mean luma outside of which a frame counts as black or blown out."""


def telling_score(luma: "NDArray[np.uint8]") -> float:
    """Return the quality of a frame, 0 to 1: spread of tones times contrast times sharpness; low for black or white.

    `luma` is a small picture (rows, columns) of 0 to 255.
    """
    picture = luma.astype(np.float32)
    if picture.size == 0 or min(picture.shape) < 3:  # noqa: PLR2004 - a Laplacian needs a neighbour on each side
        return 0.0
    counts = np.bincount(luma.reshape(-1) >> 2, minlength=64)
    share = counts[counts > 0] / luma.size
    tones = float(-(share * np.log2(share)).sum()) / 6.0
    laplacian = (
        4 * picture[1:-1, 1:-1] - picture[:-2, 1:-1] - picture[2:, 1:-1] - picture[1:-1, :-2] - picture[1:-1, 2:]
    )
    contrast = min(1.0, float(picture.std()) / FULL_CONTRAST)
    sharpness = min(1.0, float(np.abs(laplacian).mean()) / FULL_SHARPNESS)
    exposed = 1.0 if DARK <= float(picture.mean()) <= BRIGHT else 0.1
    return tones * (0.3 + 0.7 * contrast) * (0.3 + 0.7 * sharpness) * exposed


def telling_time(folder: Path, material: Material) -> Fraction:
    """Return the timestamp of the best frame of the material; only keyframes if there are enough."""
    frames = list(_small_frames(folder, material, keyframes_only=True))
    if len(frames) < ENOUGH_KEYFRAMES:
        frames = list(_small_frames(folder, material, keyframes_only=False)) or frames
    if not frames:
        return material.shown_from
    first, last = material.start + Fraction(EDGE_S), material.end - Fraction(EDGE_S)
    weighed = [(telling_score(luma) * (1.0 if first <= time <= last else EDGE_FACTOR), -time) for time, luma in frames]
    return -max(weighed)[1]


def write_thumbnail(folder: Path, material: Material, at: Fraction, name: str) -> tuple[int, int]:
    """Write the frame at a timestamp as JPEG, long side at most 1280; return its width and height."""
    picture = _bounded(material, THUMBNAIL_LONG_SIDE)
    still = replace(material, start=at, shown_from=at, end=max(material.end, at + 1), held=Fraction(0))
    chain = graph.video(_seek(material, at), still, Look(picture=picture, options=Options()))
    _run(folder, _jpeg(chain, name))
    return picture.width, picture.height


def write_preview(folder: Path, material: Material, at: Fraction, name: str) -> tuple[int, int, float]:
    """Write up to three seconds around a timestamp as an animated WebP; return width, height and seconds."""
    start = max(material.start, min(at - Fraction(PREVIEW_BEFORE_S), material.end - Fraction(PREVIEW_S)))
    end = min(material.end, start + Fraction(PREVIEW_S))
    picture = _bounded(material, PREVIEW_LONG_SIDE)
    shown = material.shown_from if start == material.start else start
    part = replace(material, start=start, shown_from=shown, end=end, held=Fraction(0))
    chain = graph.video(_seek(material, shown), part, Look(picture=picture, options=Options()))
    chain = chain.filter("fps", fps=PREVIEW_RATE).filter("scale", out_color_matrix=STILL_MATRIX)
    options = {
        "c:v": "libwebp_anim",
        "quality": PREVIEW_QUALITY,
        "compression_level": PREVIEW_EFFORT,
        "loop": 0,
        "format": "webp",
    }
    _run(folder, chain.output(f"file:{name}", **options).global_args("-copyts"))
    return picture.width, picture.height, float(end - start)


def write_storyboard(folder: Path, material: Material, name: str) -> tuple[int, int]:
    """Write one JPEG with evenly spaced frames in rows of ten, left to right; return its width and height.

    There are `STORYBOARD_FRAMES` frames 160 pixels wide, fewer for clips with less than ten frames a second.
    """
    count = max(1, min(STORYBOARD_FRAMES, int(material.duration_s * 10)))
    columns = min(STORYBOARD_COLUMNS, count)
    rows = math.ceil(count / columns)
    whole = _bounded(material, THUMBNAIL_LONG_SIDE)
    height = even(STORYBOARD_WIDTH * whole.height / whole.width)
    look = Look(picture=Picture(width=STORYBOARD_WIDTH, height=height), options=Options())
    chain = graph.video(_seek(material, material.shown_from), material, look)
    chain = chain.filter("fps", fps=f"{count / material.duration_s:.6f}", round="near")
    chain = chain.filter("tile", layout=f"{columns}x{rows}", nb_frames=count)
    _run(folder, _jpeg(chain, name))
    return columns * STORYBOARD_WIDTH, rows * height


def _bounded(material: Material, long_side: int) -> Picture:
    from pipeline.rendering.presets import display_size

    assert material.video is not None  # noqa: S101 - callers have a picture
    width, height = display_size(material.video)
    scale = min(1.0, long_side / max(width, height))
    return Picture(width=even(width * scale), height=even(height * scale))


def _seek(material: Material, to: Fraction) -> Any:
    """Open the material at the keyframe before a timestamp; the chain trims exactly."""
    if to <= material.shown_from:
        return graph.source(material)
    return runner.open_input(material.name, noautorotate=None, **graph.at_keyframe(to))


def _jpeg(chain: Any, name: str) -> Any:
    """Return the output of a full-range JPEG, as viewers expect."""
    full = chain.filter("scale", out_range="pc", out_color_matrix=STILL_MATRIX).filter("format", pix_fmts="yuvj420p")
    options = {"frames:v": 1, "c:v": "mjpeg", "q:v": JPEG_QUALITY, "format": "image2", "update": 1}
    return full.output(f"file:{name}", **options).global_args("-copyts")


def _run(folder: Path, output: Any) -> None:
    runner.run(output, folder=folder)


def _small_frames(
    folder: Path, material: Material, *, keyframes_only: bool
) -> Iterable[tuple[Fraction, "NDArray[np.uint8]"]]:
    """Yield (timestamp, small luma picture) of at most some two dozen evenly chosen frames of the material."""
    assert material.video is not None  # noqa: S101 - callers have a picture
    step = (material.end - material.start) / MAX_CANDIDATES
    due = material.start
    with av.open(str(folder / material.name)) as container:
        stream = container.streams[material.video.index]
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - the probe said so
        stream.thread_type = "AUTO"
        stream.codec_context.skip_frame = "NONKEY" if keyframes_only else "NONREF"
        for frame in container.decode(stream):
            if frame.pts is None or frame.time_base is None:
                continue
            time = frame.pts * Fraction(frame.time_base)
            if time >= material.end:
                break
            if time >= due:
                due = time + step
                yield time, small_luma(frame)


def small_luma(frame: "av.VideoFrame", reformatter: VideoReformatter | None = None) -> "NDArray[np.uint8]":
    """Return the brightness of a frame as a small picture (rows, columns); reusing a reformatter saves its set-up."""
    height = max(3, round(frame.height * LOOK_WIDTH / max(1, frame.width)))
    small = (reformatter or VideoReformatter()).reformat(
        frame, width=LOOK_WIDTH, height=min(height, 4 * LOOK_WIDTH), format="gray", threads=1
    )
    return np.asarray(small.to_ndarray(), dtype=np.uint8)
