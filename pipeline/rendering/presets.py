"""Presets: the options of each, and the frame that each makes from a source. Pure."""

import math
from fractions import Fraction
from typing import Any, Literal

import msgspec
from msgspec import Struct

from pipeline.errors import BAD_OPTION, MediaError
from pipeline.types import (
    PRESET_OPTIONS,
    AudiogramOptions,
    Options,
    Preset,
    Shape,
    SquareOptions,
    StreamInfo,
    ThemeName,
    VerticalOptions,
)

MAX_LONG_SIDE = 4096
MAX_SHORT_SIDE = 2304
"""H.264 level 5.2, the highest that hardware decoders in phones and browsers agree on, ends at 4096x2304."""
SHORT_SIDE_720P = 720
TALL_SOURCE = 1080
"""From this picture height on, the vertical and square presets use their large size."""


class Theme(Struct, frozen=True, kw_only=True):
    """Colours as `#rrggbb`."""

    background: str
    wave: str
    text: str
    progress: str


THEMES: dict[ThemeName, Theme] = {
    "dark": Theme(background="#14161f", wave="#7c9cff", text="#f4f5fb", progress="#ff8fab"),
    "light": Theme(background="#faf8f5", wave="#3b5bdb", text="#1f2230", progress="#e64980"),
    "warm": Theme(background="#2b1d1a", wave="#ffb36b", text="#fff4e6", progress="#ff6b6b"),
}

AUDIOGRAM_SIZES: dict[Shape, tuple[int, int]] = {
    "landscape": (1280, 720),
    "square": (1080, 1080),
    "vertical": (1080, 1920),
}


class Picture(Struct, frozen=True, kw_only=True):
    """The frame of a preset: its size in square pixels (even), and how the source is fitted into it.

    `fit` scales the whole picture to the frame, `crop` takes the part (`crop_width` by `crop_height` in display pixels
    of the source, moving along the longer side) that fills it, `blur` lays the whole picture over a blurred copy.
    """

    width: int
    height: int
    mode: Literal["fit", "crop", "blur"] = "fit"
    crop_width: int = 0
    crop_height: int = 0


def parse_options(preset: Preset, raw: dict[str, Any]) -> Options:
    """Check the options of a preset; MediaError names the one that is unknown or out of range."""
    try:
        return msgspec.convert(raw, PRESET_OPTIONS[preset])
    except msgspec.ValidationError as exc:
        known = ", ".join(sorted(PRESET_OPTIONS[preset].__struct_fields__))
        raise MediaError(BAD_OPTION, f"preset `{preset}`: {exc} (it takes {known})") from exc


def theme_of(options: AudiogramOptions) -> Theme:
    """Return the theme, with given colours replaced."""
    base = THEMES[options.theme]
    return Theme(
        background=options.background or base.background,
        wave=options.wave or base.wave,
        text=options.text or base.text,
        progress=options.progress or base.progress,
    )


def display_size(stream: StreamInfo) -> tuple[int, int]:
    """Return the displayed width and height in square pixels, with pixel aspect and rotation applied.

    One side is stretched rather than the other shrunk, so no detail is lost.
    """
    width, height = stream.width or 0, stream.height or 0
    if width <= 0 or height <= 0:
        raise MediaError(BAD_OPTION, "the video stream has no size", stream=stream.index)
    aspect = _aspect(stream.sample_aspect)
    if aspect >= 1:
        width = round(width * aspect)
    else:
        height = round(height / aspect)
    return (height, width) if stream.rotation in {90, 270} else (width, height)


def picture_for(preset: Preset, options: Options, source: StreamInfo) -> Picture:
    """Decide the frame that a preset makes of this video stream."""
    width, height = display_size(source)
    if isinstance(options, VerticalOptions):
        tall = options.height or (1920 if height >= TALL_SOURCE else 1280)
        return _filled(width, height, tall * 9 // 16, tall, blurred=options.blurred_sides)
    if isinstance(options, SquareOptions):
        side = options.size or (1080 if min(width, height) >= TALL_SOURCE else 720)
        return _filled(width, height, side, side, blurred=options.blurred_sides)
    scale = _within(width, height, MAX_LONG_SIDE, MAX_SHORT_SIDE)
    if preset == "720p":
        scale = min(scale, SHORT_SIDE_720P / min(width, height))
    return Picture(width=even(width * scale), height=even(height * scale))


def _filled(width: int, height: int, frame_width: int, frame_height: int, *, blurred: bool) -> Picture:
    if blurred:
        return Picture(width=frame_width, height=frame_height, mode="blur")
    if width * frame_height > height * frame_width:
        crop = max(1, round(height * frame_width / frame_height)), height
    else:
        crop = width, max(1, round(width * frame_height / frame_width))
    return Picture(width=frame_width, height=frame_height, mode="crop", crop_width=crop[0], crop_height=crop[1])


def _within(width: int, height: int, long_side: int, short_side: int) -> float:
    longer, shorter = max(width, height), min(width, height)
    return min(1.0, long_side / longer, short_side / shorter)


def even(value: float) -> int:
    """Round to the nearest even number (up from between two), at least 2: 4:2:0 chroma has half of each side."""
    return max(2, 2 * math.floor(value / 2 + 0.5))


def _aspect(text: str) -> Fraction:
    """Parse `16/11` or `16:11`; invalid ones count as square."""
    try:
        aspect = Fraction(text.replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        return Fraction(1)
    sane = Fraction(1, 16) <= aspect <= Fraction(16)
    return aspect if sane else Fraction(1)
