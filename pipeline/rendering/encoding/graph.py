"""Filter graphs, built with ffmpeg-python, that turn a stretch of a local file into the picture and sound of a clip.

Every chain first shifts the clip's start to 0, so all later filters and both streams share one clock.
"""

import math
from fractions import Fraction
from typing import Any

from msgspec import Struct

from pipeline.rendering.encoding.ffmpeg import open_input
from pipeline.rendering.material import Material
from pipeline.rendering.presets import Picture, display_size, even
from pipeline.types import Options, StreamInfo

HDR_WHITE_NITS = 203
"""HDR reference white (BT.2408). The Möbius curve maps it to 84 % of SDR white, keeps mid-greys (HLG's 38 % is SDR's
43 %, both 18 % grey), and leaves the rest of the range for highlights."""
BLUR_SHRINK = 8
"""Blurred sides are made from a picture this much smaller, at a sixty-fourth of the cost; the blur hides it."""
MARGIN_S = Fraction(1, 2)
"""How far around a part pictures are read, for filters that need neighbours (deinterlacing)."""
MAX_SAMPLE_RATE = 48_000
STEREO = 2
CEILING = 0.98
"""The ceiling of the limiter after a downmix: just below full scale."""


class Look(Struct, frozen=True, kw_only=True):
    """Everything that determines the picture of a clip, except its material."""

    picture: Picture
    options: Options
    subtitles: str | None = None
    """Name of an ASS script in the scratch folder."""
    is_captioned: bool = False
    """Whether that script changes during the clip: captions, not only a title."""
    path: str | None = None
    """Name of a command file that moves the crop window (see `pipeline.rendering.pictures.motion`)."""


class Part(Struct, frozen=True, kw_only=True):
    """A stretch of a clip that is encoded by itself, in seconds from the clip's start."""

    start: Fraction
    end: Fraction


def source(material: Material, part: Part | None = None) -> Any:
    """Return the ffmpeg-python input for a material; timestamps stay the file's own (`copyts` on the output).

    FFmpeg does not rotate the picture by itself; `video` does, by the recording's probe. For a part, the file is opened
    at the keyframe before it.
    """
    if part is None or not part.start:
        return open_input(material.name, noautorotate=None)
    before = material.start + part.start - MARGIN_S
    return open_input(material.name, noautorotate=None, **at_keyframe(before))


def at_keyframe(before: Fraction) -> dict[str, Any]:
    """Return the options that open an input at the keyframe before a timestamp; the caller's chain trims.

    FFmpeg's own trimming (`accurate_seek`) adds the start of the file to a timestamp, and so drops what follows it.
    """
    return {"ss": seconds(before), "seek_timestamp": 1, "noaccurate_seek": None}


def video_part(material: Material, look: Look, part: Part) -> Any:
    """Return the pictures of a part of the clip, the same ones as `video` between its times, from time 0 on."""
    whole = video(source(material, part), material, look, part=part)
    inside = whole.filter("trim", start=seconds(part.start), end=seconds(part.end))
    return inside.filter("setpts", expr=f"PTS-round(({part.start.numerator}/{part.start.denominator})/TB)")


def video(node: Any, material: Material, look: Look, *, part: Part | None = None) -> Any:
    """Return the picture of the clip: even size, square pixels, upright, progressive, SDR, 8 bit 4:2:0, from time 0."""
    stream = material.video
    if stream is None:
        raise ValueError("the material has no picture")
    chain = clipped_video(node, material, part=part)
    if stream.is_interlaced:
        chain = chain.filter("bwdif", mode="send_frame", deint="all")
    chain = _framed(chain, stream, material, look)
    if look.subtitles:
        chain = chain.filter("ass", filename=look.subtitles)
    return faded_video(chain, look.options, material.duration_s)


def clipped_video(node: Any, material: Material, *, part: Part | None = None) -> Any:
    """Return the frames on the screen from start to end, the first at time 0, the last held to the end.

    For a part, only the frames in and around it are read, but their times are those of the clip.
    """
    assert material.video is not None  # noqa: S101 - callers check
    first, last, held = material.shown_from, material.end, material.held
    time = f"max(0,round(PTS-({material.start.numerator}/{material.start.denominator})/TB))"
    if part is not None:
        held = held if material.start + part.end >= material.end else Fraction(0)
        last = min(last, material.start + part.end + MARGIN_S)
    if part is None or not part.start:
        time = f"if(N,{time},0)"
    else:
        first = max(first, material.start + part.start - MARGIN_S)
    chain = node[str(material.video.index)].filter("trim", start=seconds(first), end=seconds(last))
    chain = chain.filter("settb", expr=f"1/{material.clock}").filter("setpts", expr=time)
    if held:
        chain = _held(chain, material)
    return chain.filter("sidedata", mode="delete", type="DISPLAYMATRIX")


def _held(chain: Any, material: Material) -> Any:
    """Repeat the last picture once, shortly before the end, so that players know its length.

    `tpad` alone would repeat it at every tick if the rhythm is unknown.
    """
    last = round((material.last_shown - material.start) * material.clock)
    repeated = round((material.last_shown + material.held - material.start) * material.clock)
    again = chain.filter("tpad", stop=1, stop_mode="clone")
    is_copy = f"gt(PTS,{max(0, last)})+gt(N,0)*lte(PTS,PREV_INPTS)"  # without a frame rate, it has the same time
    return again.filter("setpts", expr=f"if({is_copy},{repeated},PTS)")


def upright(chain: Any, material: Material) -> Any:
    """Rotate the picture for display."""
    for name, arguments in _TURNS[material.video.rotation if material.video else 0]:
        chain = chain.filter(name, **arguments)
    return chain


def faded_video(chain: Any, options: Options, duration_s: float) -> Any:
    """Fade from and to black, if the options say so."""
    if options.fade_in_s:
        chain = chain.filter("fade", type="in", start_time=0, duration=min(options.fade_in_s, duration_s))
    if options.fade_out_s:
        length = min(options.fade_out_s, duration_s)
        chain = chain.filter("fade", type="out", start_time=duration_s - length, duration=length)
    return chain


def audio(
    node: Any, material: Material, options: Options, *, level: list[tuple[str, dict[str, Any]]] | None = None
) -> Any:
    """Return the sound of the clip from time 0 to its end, mono or stereo, gaps filled with silence.

    `level` are the filters of `encoding.loudness`. More than two channels are mixed to stereo by ITU-R BS.775 at the
    dialogue's own loudness: the mix is not scaled down, and a limiter holds the rare sums that would clip.
    """
    chain = sound(node, material)
    for name, arguments in level or []:
        chain = chain.filter(name, **arguments)
    duration_s = material.duration_s
    if options.fade_in_s:
        chain = chain.filter("afade", type="in", start_time=0, duration=min(options.fade_in_s, duration_s))
    if options.fade_out_s:
        length = min(options.fade_out_s, duration_s)
        chain = chain.filter("afade", type="out", start_time=duration_s - length, duration=length)
    return chain


def sound(node: Any, material: Material) -> Any:
    """Return the sound of the clip before its level is changed."""
    stream = material.audio
    if stream is None:
        raise ValueError("the material has no sound")
    origin = f"{material.start.numerator}/{material.start.denominator}"
    rate = output_rate(stream)
    chain = (
        node[str(stream.index)]
        .filter("atrim", start=seconds(material.start), end=seconds(material.end))
        .filter("asetpts", expr=f"PTS-({origin})/TB")
        .filter("aformat", sample_fmts="fltp")
        .filter("aresample", rate, **{"async": 1, "first_pts": 0})
    )
    if (stream.channels or 1) > STEREO:
        chain = chain.filter(
            "aresample", ochl="stereo", clev=0.7071, slev=0.7071, lfe_mix_level=0, rematrix_maxval=1000
        ).filter("alimiter", limit=CEILING, level="disabled", latency=1)
    return chain.filter("apad", whole_dur=seconds(material.end - material.start))


def output_rate(stream: StreamInfo) -> int:
    """Return the sample rate of the clip: the source's if every encoder accepts it, else 48 kHz."""
    return stream.sample_rate if stream.sample_rate in {32_000, 44_100} else MAX_SAMPLE_RATE


def seconds(value: Fraction | float) -> str:
    """Format a time for FFmpeg, to the microsecond (its resolution for option values)."""
    return f"{float(value):.6f}"


def _framed(chain: Any, stream: StreamInfo, material: Material, look: Look) -> Any:
    """Convert the picture to the frame's size, upright and with square pixels, then to BT.709 SDR."""
    picture = look.picture
    if material.unmarked_matrix:
        chain = chain.filter("setparams", colorspace=material.unmarked_matrix)
    chain = upright(chain, material)
    if picture.mode == "blur":
        chain = _blurred(chain, stream, picture)
    elif picture.mode == "crop":
        chain = _cropped(chain, stream, picture, look.path)
    return _to_sdr(_scaled(chain, picture.width, picture.height), stream)


_TURNS: dict[int, list[tuple[str, dict[str, Any]]]] = {
    0: [],
    90: [("transpose", {"dir": "clock"})],
    180: [("hflip", {}), ("vflip", {})],
    270: [("transpose", {"dir": "cclock"})],
}


def _scaled(chain: Any, width: int, height: int, *, flags: str = "bicubic") -> Any:
    return chain.filter("scale", w=width, h=height, flags=flags).filter("setsar", sar=1)


def _cropped(chain: Any, stream: StreamInfo, picture: Picture, path: str | None) -> Any:
    """Make pixels square, then crop to the window, which a command file moves; without one it stays in the middle."""
    chain = _scaled(chain, *display_size(stream))
    if path is not None:
        chain = chain.filter("sendcmd", filename=path)
    return chain.filter("crop", w=picture.crop_width, h=picture.crop_height)


def _blurred(chain: Any, stream: StreamInfo, picture: Picture) -> Any:
    """Lay the whole picture over a blurred copy of itself that fills the frame."""
    frame_width, frame_height = picture.width, picture.height
    width, height = display_size(stream)
    inside = min(frame_width / width, frame_height / height)
    outside = max(frame_width / width, frame_height / height) / BLUR_SHRINK
    parts = chain.split()
    small = _scaled(parts[0], math.ceil(width * outside), math.ceil(height * outside), flags="bilinear")
    behind = small.filter("crop", w=frame_width // BLUR_SHRINK, h=frame_height // BLUR_SHRINK).filter("gblur", sigma=3)
    before = _scaled(parts[1], even(width * inside), even(height * inside))
    return before_over(_scaled(behind, frame_width, frame_height, flags="bilinear"), before)


def before_over(behind: Any, before: Any) -> Any:
    """Lay one picture over the middle of another; timestamps are those of the one behind."""
    import ffmpeg

    return ffmpeg.filter([behind, before], "overlay", x="(W-w)/2", y="(H-h)/2", format="auto")


def _to_sdr(chain: Any, stream: StreamInfo) -> Any:
    """Tone-map PQ and HLG in linear light, and mark the result as 8-bit BT.709 video range."""
    if stream.hdr is not None:
        curve = "smpte2084" if stream.hdr == "pq" else "arib-std-b67"
        chain = (
            chain.filter("setparams", color_primaries="bt2020", color_trc=curve, colorspace="bt2020nc", range="tv")
            .filter("zscale", t="linear", npl=HDR_WHITE_NITS)
            .filter("format", pix_fmts="gbrpf32le")
            .filter("zscale", p="709")
            .filter("tonemap", tonemap="mobius", desat=0)
            .filter("zscale", t="709", m="709", p="709", r="limited")
        )
    else:
        chain = chain.filter("scale", out_color_matrix="bt709", out_range="tv")
    return chain.filter("format", pix_fmts="yuv420p").filter(
        "setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="tv"
    )
