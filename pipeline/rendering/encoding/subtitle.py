"""Text on the picture: parses SRT and WebVTT strictly and writes ASS; none of their markup reaches libass.

A bare machine has no fonts, so Noto Sans comes from the `fontpkg-noto-sans` wheel; scripts that it lacks are drawn with
the machine's own fonts, if any.
"""

import html
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from pipeline.errors import BAD_OPTION, CRASHED, MediaError
from pipeline.rendering.encoding.ffmpeg import FONTS_CONF

FONT = "Noto Sans"
FONT_CACHE = "fontcache"
MAX_CUES = 5_000
"""Two hours of dense captions have some 2,500 cues."""
MAX_CUE_CHARS = 400
"""Four full lines; longer text covers the picture."""
MAX_TITLE_CHARS = 140

_STYLE_FORMAT = (
    "Format: Name,Fontname,Fontsize,PrimaryColour,SecondaryColour,OutlineColour,BackColour,Bold,Italic,Underline,"
    "StrikeOut,ScaleX,ScaleY,Spacing,Angle,BorderStyle,Outline,Shadow,Alignment,MarginL,MarginR,MarginV,Encoding"
)
_TIMING = re.compile(
    r"^\s*(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})\s*-->"
    r"\s*(?:(\d{1,3}):)?([0-5]?\d):([0-5]?\d)[.,](\d{1,3})(?:\s.*)?$"
)
_TAG = re.compile(r"<[^<>]{0,200}>")
_OVERRIDE = re.compile(r"\{[^{}]{0,500}\}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class Cue(Struct, frozen=True, kw_only=True):
    """A text and its times in seconds; lines are separated by a newline."""

    start_s: float
    end_s: float
    text: str


class Style(Struct, frozen=True, kw_only=True):
    """The style of text on a frame of `width` by `height` pixels. Colours are `#rrggbb`."""

    width: int
    height: int
    colour: str = "#ffffff"
    outline: str = "#000000"
    title_colour: str = "#ffffff"


def parse(text: str) -> list[Cue]:
    """Parse SRT or WebVTT text; MediaError if it has no cues or too many.

    Markup is dropped, entities are resolved, control characters and direction overrides removed; cues that end before
    they start are left out.
    """
    cues = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n\ufeff").split("\n")
        at = next((i for i, line in enumerate(lines[:2]) if _TIMING.match(line)), None)
        if at is None:
            continue
        cue = _cue(lines[at], lines[at + 1 :])
        if cue is not None:
            cues.append(cue)
        if len(cues) > MAX_CUES:
            raise MediaError(BAD_OPTION, f"the subtitles hold more than {MAX_CUES} cues")
    if not cues:
        raise MediaError(BAD_OPTION, "the subtitles hold no cue in SRT or WebVTT form")
    return sorted(cues, key=lambda cue: cue.start_s)


def shift(cues: Sequence[Cue], by_s: float, end_s: float) -> list[Cue]:
    """Shift cues and keep those between 0 and `end_s`."""
    moved = (Cue(start_s=c.start_s + by_s, end_s=c.end_s + by_s, text=c.text) for c in cues)
    return [
        Cue(start_s=max(0.0, c.start_s), end_s=min(end_s, c.end_s), text=c.text)
        for c in moved
        if c.end_s > 0 and c.start_s < end_s
    ]


def write_ass(path: Path, style: Style, cues: Sequence[Cue], *, title: str = "", duration_s: float = 0.0) -> None:
    """Write an ASS script (cues at the bottom, a title at the top), and the font configuration beside it."""
    events = [_event("Caption", cue.start_s, cue.end_s, cue.text) for cue in cues]
    if title.strip():
        events.append(_event("Title", 0.0, duration_s, _shortened(title, MAX_TITLE_CHARS)))
    path.write_text("\n".join([_head(style), *events, ""]), encoding="utf-8")
    write_fonts_conf(path.parent)


def write_fonts_conf(folder: Path) -> None:
    """Write the configuration with which FFmpeg finds our font on any machine, and the machine's own, if any."""
    spec = importlib.util.find_spec("fontpkg_noto_sans")
    if spec is None or not spec.submodule_search_locations:
        raise MediaError(CRASHED, "the font package `fontpkg-noto-sans` is not installed")
    fonts = html.escape(str(Path(spec.submodule_search_locations[0], "files")))
    cache = html.escape(str(folder.absolute() / FONT_CACHE))
    (folder / FONTS_CONF).write_text(
        f'<?xml version="1.0"?>\n<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir>'
        '<include ignore_missing="yes">/etc/fonts/fonts.conf</include></fontconfig>\n',
        encoding="utf-8",
    )


def clean(text: str) -> str:
    """Return text with markup, control characters and direction overrides removed; newlines stay."""
    without_tags = _OVERRIDE.sub("", _TAG.sub("", text))
    return _CONTROL.sub("", html.unescape(without_tags)).strip()


def _cue(timing: str, lines: Sequence[str]) -> Cue | None:
    match = _TIMING.match(timing)
    if match is None:
        return None
    start_s, end_s = _seconds(match.groups()[:4]), _seconds(match.groups()[4:])
    text = _shortened("\n".join(line.strip() for line in clean("\n".join(lines)).split("\n")), MAX_CUE_CHARS)
    return Cue(start_s=start_s, end_s=end_s, text=text) if text and end_s > start_s else None


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _event(style: str, start_s: float, end_s: float, text: str) -> str:
    return f"Dialogue: 0,{_clock(start_s)},{_clock(end_s)},{style},,0,0,0,,{_escaped(clean(text))}"


def _escaped(text: str) -> str:
    r"""Escape text for libass, which interprets `\N`, `\h` and `{…}`; a word joiner follows each backslash."""
    plain = text.replace("\\", "\\\u2060").replace("{", "\\{").replace("}", "\\}")
    return plain.replace("\n", "\\N")


def _clock(time_s: float) -> str:
    centiseconds = max(0, round(time_s * 100))
    minutes, rest = divmod(centiseconds, 6000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def _colour(value: str) -> str:
    """Turn `#rrggbb` into ASS's `&H00bbggrr`."""
    return f"&H00{value[5:7]}{value[3:5]}{value[1:3]}"


def _head(style: Style) -> str:
    """Return the style lines. Sizes follow the shorter side; captions of upright pictures avoid phones' controls."""
    short = min(style.width, style.height)
    caption, title = max(8, round(short / 17)), max(8, round(short / 14))
    upright = style.height > style.width
    side = round(style.width * 0.06)
    bottom = round(style.height * (0.16 if upright else 0.06))
    top = round(style.height * (0.14 if upright else 0.09))
    outline = max(1, round(short / 270))
    colours = f"{_colour(style.colour)},{_colour(style.colour)},{_colour(style.outline)},&H80000000"
    titles = f"{_colour(style.title_colour)},{_colour(style.title_colour)},{_colour(style.outline)},&H80000000"
    fixed = "0,0,0,100,100,0,0,1"
    return "\n".join(
        (
            "[Script Info]",
            "ScriptType: v4.00+",
            f"PlayResX: {style.width}",
            f"PlayResY: {style.height}",
            "WrapStyle: 0",
            "ScaledBorderAndShadow: yes",
            "",
            "[V4+ Styles]",
            _STYLE_FORMAT,
            f"Style: Caption,{FONT},{caption},{colours},-1,{fixed},{outline},0,2,{side},{side},{bottom},1",
            f"Style: Title,{FONT},{title},{titles},-1,{fixed},0,0,8,{side},{side},{top},1",
            "",
            "[Events]",
            "Format: Layer,Start,End,Style,Name,MarginL,MarginR,MarginV,Effect,Text",
        )
    )
