"""The waveform of a clip as a long picture of bars that moves through the frame from right to left.

It is drawn once and moved by cropping. A shifting picture costs an encoder almost nothing, whereas redrawing each frame
costs more than the rest of an audiogram.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.presets import Theme

if TYPE_CHECKING:
    from numpy.typing import NDArray

FRAME_RATE = 20
"""A waveform looks as smooth at 20 as at 25 frames a second, for a fifth less work."""
STEP = 6
"""Pixels from frame to frame: even, since chroma has half of them, and well under half the distance of bars. Otherwise
the bars would seem to change their height in place instead of moving."""
PITCH, BAR = 16, 10
"""Pixels from bar to bar, an eighth of a second, and their width."""
LEAST_HEIGHT = 6
"""Silence is a row of dots."""
TILE_S = 60
"""The strip is stored as pictures of a minute each, so that memory does not grow with the clip."""
SAMPLE_RATE = 8_000
FULL_SCALE = 32_768.0
BT709 = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "range": "tv"}
"""The colour properties of drawn pictures. Without them, FFmpeg would convert one to the other's assumed range."""
_PER_S = STEP * FRAME_RATE


class Strip(Struct, frozen=True, kw_only=True):
    """A file of raw pictures (yuv420p) in the scratch folder, and the size of the visible part."""

    name: str
    width: int
    height: int

    @property
    def tile_width(self) -> int:
        """Width of a picture in the file: the pixels of a minute, and the visible part at its end."""
        return TILE_S * _PER_S + self.width


def write_strip(sound: Any, folder: Path, name: str, *, size: tuple[int, int], theme: Theme) -> Strip:
    """Draw the waveform of a chain of sound (from time 0 on), after an empty half of `size`'s width."""
    mono = sound.filter("aformat", sample_fmts="s16", sample_rates=SAMPLE_RATE, channel_layouts="mono")
    output = mono.output("pipe:1", format="s16le").global_args("-copyts")
    samples = np.frombuffer(runner.capture(output, folder=folder), dtype="<i2")
    strip = Strip(name=name, width=size[0], height=size[1])
    heights = bar_heights(samples, strip)
    with (folder / name).open("wb") as file:
        for picture in _tiles(heights, strip, theme, len(samples) / SAMPLE_RATE):
            file.write(picture)
    return strip


def moving(strip: Strip, duration_s: float) -> Any:
    """Return the endless chain of the moving strip."""
    import ffmpeg

    shape = {"pixel_format": "yuv420p", "video_size": (strip.tile_width, strip.height)}
    chain = ffmpeg.input(f"file:{strip.name}", format="rawvideo", framerate=FRAME_RATE, **shape).video
    chain = chain.filter("setparams", **BT709)
    shown = TILE_S * FRAME_RATE
    count = tile_count(duration_s)
    for number in range(count):  # each for a minute, without copying it as the filter `fps` would
        again = -1 if number == count - 1 else shown - 1
        chain = chain.filter("loop", loop=again, size=1, start=number * shown + 1)  # counted from 1
    chain = chain.filter("setpts", expr=f"round(N/{FRAME_RATE}/TB)")
    return chain.filter("crop", w=strip.width, h=strip.height, x=f"{STEP}*mod(n,{shown})", y=0)


def tile_count(duration_s: float) -> int:
    """Return the number of one-minute pictures of a clip."""
    return max(1, math.ceil(duration_s / TILE_S))


def bar_heights(samples: "NDArray[np.int16]", strip: Strip) -> "NDArray[np.int64]":
    """Return the height in pixels (even) of each bar from the strip's left end on; peaks by their square root.

    The strip begins half its visible width before the sound and ends as much after it.
    """
    lead = strip.width / 2 / _PER_S
    duration_s = len(samples) / SAMPLE_RATE
    count = math.ceil((duration_s + 2 * lead) * _PER_S / PITCH) + 1
    borders = np.round((np.arange(count + 1) * PITCH / _PER_S - lead) * SAMPLE_RATE).astype(int)
    borders = np.clip(borders, 0, len(samples))
    level = np.abs(np.append(samples, [0]).astype(np.float32)) / FULL_SCALE
    peaks = np.maximum.reduceat(level, np.minimum(borders[:-1], len(samples)))
    peaks[borders[:-1] == borders[1:]] = 0.0
    heights: NDArray[np.int64] = np.maximum(LEAST_HEIGHT, np.sqrt(peaks) * strip.height).astype(np.int64)
    return heights // 2 * 2


def _tiles(heights: "NDArray[np.int64]", strip: Strip, theme: Theme, duration_s: float) -> Iterator[bytes]:
    behind, wave = yuv(theme.background), yuv(theme.wave)
    for number in range(tile_count(duration_s)):
        left = number * TILE_S * _PER_S
        columns = np.arange(left, left + strip.tile_width)
        bars = np.minimum(columns // PITCH, len(heights) - 1)
        tall = np.where((columns % PITCH < BAR) & (columns // PITCH < len(heights)), heights[bars], 0)
        distance = np.abs(np.arange(strip.height) - (strip.height - 1) / 2)
        is_wave = distance[:, None] < tall[None, :] / 2
        planes = (is_wave, is_wave[::2, ::2], is_wave[::2, ::2])
        yield b"".join(
            np.where(plane, wave[at], behind[at]).astype(np.uint8).tobytes() for at, plane in enumerate(planes)
        )


def yuv(colour: str) -> tuple[int, int, int]:
    """Return `#rrggbb` as BT.709 video range (ITU-R BT.709-6, 3.2 to 3.5)."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return round(16 + 219 * luma), round(128 + 224 * (blue - luma) / 1.8556), round(128 + 224 * (red - luma) / 1.5748)
