"""Presets: which options each takes, and the picture each makes of a source. Pure: numbers in, numbers out."""

import math
from fractions import Fraction
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from pipeline.errors import BAD_OPTION, MediaError
from pipeline.types import Preset, StreamInfo

MAX_LONG_SIDE = 4096
MAX_SHORT_SIDE = 2304
"""H.264 level 5.2, the highest that hardware decoders in phones and browsers agree on, ends at 4096x2304."""
SHORT_SIDE_720P = 720
TALL_SOURCE = 1080
"""From this picture height on, the vertical and square presets are made in their large size."""

Colour = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")]
FadeSeconds = Annotated[float, Meta(ge=0, le=10)]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every preset takes."""

    fade_in_s: FadeSeconds = 0.0
    fade_out_s: FadeSeconds = 0.0
    subtitles: Annotated[str, Meta(max_length=1_000_000)] = ""
    """SRT or WebVTT text to burn in."""
    subtitles_origin: Literal["clip", "recording"] = "clip"
    """What time 0 of the subtitles is: the first frame of the clip, or of the recording it is cut from."""
    keep_codec: bool = False
    """Let an MP4 keep a codec other than H.264 and AAC when the cut can copy it (HEVC, AV1 …)."""
    storyboard: bool = False
    """Also make `storyboard.jpg`: one picture with frames at even distances, for scrubbing."""


class OriginalOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`original`: the source's own picture."""


class Hd720Options(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`720p`: at most 720 lines (or columns of an upright picture)."""


class VerticalOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`vertical`: 9:16 for phones."""

    blurred_sides: bool = False
    """Show the whole picture over a blurred copy of itself, instead of a part that fills the frame."""
    follow: Literal["motion", "centre"] = "motion"
    height: Literal[1280, 1920] | None = None


class SquareOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`square`: 1:1."""

    blurred_sides: bool = False
    follow: Literal["motion", "centre"] = "motion"
    size: Literal[720, 1080] | None = None


class AudiogramOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`audiogram`: moving waveform, title and progress bar instead of a picture."""

    shape: Literal["landscape", "square", "vertical"] = "square"
    theme: Literal["dark", "light", "warm"] = "dark"
    background: Colour | None = None
    wave: Colour | None = None
    text: Colour | None = None
    progress: Colour | None = None
    show_progress: bool = True


class Theme(Struct, frozen=True, kw_only=True):
    """Colours as `#rrggbb`."""

    background: str
    wave: str
    text: str
    progress: str


THEMES = {
    "dark": Theme(background="#14161f", wave="#7c9cff", text="#f4f5fb", progress="#ff8fab"),
    "light": Theme(background="#faf8f5", wave="#3b5bdb", text="#1f2230", progress="#e64980"),
    "warm": Theme(background="#2b1d1a", wave="#ffb36b", text="#fff4e6", progress="#ff6b6b"),
}

AUDIOGRAM_SIZES = {"landscape": (1280, 720), "square": (1080, 1080), "vertical": (1080, 1920)}

_OPTION_TYPES: dict[Preset, type[Options]] = {
    "original": OriginalOptions,
    "720p": Hd720Options,
    "vertical": VerticalOptions,
    "square": SquareOptions,
    "audiogram": AudiogramOptions,
}


class Picture(Struct, frozen=True, kw_only=True):
    """The frame a preset makes: its size in square pixels (even), and how the source gets into it.

    `fit` scales the whole picture to the frame, `crop` takes the part (`crop_width` by `crop_height` in display pixels
    of the source, moving along the longer side) that fills it, `blur` lays the whole picture over a blurred copy.
    """

    width: int
    height: int
    mode: Literal["fit", "crop", "blur"] = "fit"
    crop_width: int = 0
    crop_height: int = 0


def parse_options(preset: Preset, raw: dict[str, Any]) -> Options:
    """Check the options of a preset; MediaError says in a sentence which one is unknown or out of range."""
    try:
        return msgspec.convert(raw, _OPTION_TYPES[preset])
    except msgspec.ValidationError as exc:
        known = ", ".join(sorted(_OPTION_TYPES[preset].__struct_fields__))
        raise MediaError(BAD_OPTION, f"preset `{preset}`: {exc} (it takes {known})") from exc


def theme_of(options: AudiogramOptions) -> Theme:
    """Return the theme with the colours that were given in their place."""
    base = THEMES[options.theme]
    return Theme(
        background=options.background or base.background,
        wave=options.wave or base.wave,
        text=options.text or base.text,
        progress=options.progress or base.progress,
    )


def display_size(stream: StreamInfo) -> tuple[int, int]:
    """Return width and height in square pixels as a person sees them: pixel aspect and rotation applied.

    The side that the pixel aspect shrinks is kept and the other one stretched, so no detail is lost.
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
    """Read `16/11` or `16:11`; what makes no sense is taken as square."""
    try:
        aspect = Fraction(text.replace(":", "/"))
    except (ValueError, ZeroDivisionError):
        return Fraction(1)
    sane = Fraction(1, 16) <= aspect <= Fraction(16)
    return aspect if sane else Fraction(1)
