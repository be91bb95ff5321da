"""Audiograms: a moving waveform, a title and a progress bar where there is no picture; and a still of the waveform."""

from pathlib import Path
from typing import Any

from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding import graph, subtitle
from pipeline.rendering.encoding.graph import Look
from pipeline.rendering.material import CLOCK, Material
from pipeline.rendering.pictures.strip import BT709, FRAME_RATE, Strip, moving, yuv
from pipeline.rendering.presets import AUDIOGRAM_SIZES, THEMES, Theme, theme_of
from pipeline.types import AudiogramOptions, Options

WAVE_SHARE = 0.34
"""Height of the waveform in the frame: large enough to read on a phone, with room for title and captions."""
WAVE_WIDTH = 0.88
BAR_SHARE = 0.012
HEAD_WIDTH = 4
STILL_SIZE = (1280, 720)
STILL_RATE = 10
"""Frames a second of a video with one picture: seeking is smooth, and repeated frames cost almost nothing."""
LISTENING_RATE = 8_000
"""Sample rate for drawing a still: far more than a picture has columns."""


def frame_size(options: Options) -> tuple[int, int]:
    """Return width and height of the audiogram with these options."""
    shape = options.shape if isinstance(options, AudiogramOptions) else "square"
    return AUDIOGRAM_SIZES[shape]


def video(material: Material, look: Look, *, size: tuple[int, int], strip: Strip) -> Any:
    """Return the moving picture: the waveform passes under a playhead, and a bar below shows the progress.

    A title without other moving text is drawn once.
    """
    options = look.options
    theme, width, height = theme_for(options), *size
    behind = colour_source(theme.background, size)
    if look.subtitles and not look.is_captioned:
        behind = behind.filter("ass", filename=look.subtitles)
    top = (height - strip.height) // 4 * 2
    chain = _over(_lasting(behind), moving(strip, material.duration_s), x=(width - strip.width) // 4 * 2, y=top)
    head = _lasting(colour_source(theme.progress, (HEAD_WIDTH, strip.height)))
    chain = _over(chain, head, x=(width - HEAD_WIDTH) // 2, y=top)
    if not isinstance(options, AudiogramOptions) or options.show_progress:
        bar_height = max(2, int(height * BAR_SHARE) // 2 * 2)
        bar = _lasting(colour_source(theme.progress, (width, bar_height)))
        chain = _over(chain, bar, x=f"-W+W*t/{material.duration_s:.6f}", y=height - bar_height)
    if look.subtitles and look.is_captioned:
        chain = chain.filter("ass", filename=look.subtitles)
    chain = chain.filter("trim", end=graph.seconds(material.end - material.start)).filter("settb", expr=f"1/{CLOCK}")
    return graph.faded_video(marked(chain), options, material.duration_s)


def theme_for(options: Options) -> Theme:
    """Return the colours of these options."""
    return theme_of(options) if isinstance(options, AudiogramOptions) else THEMES["dark"]


def strip_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of the waveform in a frame."""
    return int(size[0] * WAVE_WIDTH) // 2 * 2, int(size[1] * WAVE_SHARE) // 2 * 2


def colour_source(colour: str, size: tuple[int, int]) -> Any:
    """Return one plain picture of exactly the colour `yuv` (FFmpeg's own conversion rounds differently)."""
    import ffmpeg

    luma, blue, red = yuv(colour)
    name = f"color=c=black:s={size[0]}x{size[1]}:r={FRAME_RATE}:d={1 / FRAME_RATE}"
    plain = ffmpeg.input(name, format="lavfi").video.filter("format", pix_fmts="yuv420p")
    return marked(plain.filter("lutyuv", y=luma, u=blue, v=red))


def _lasting(picture: Any) -> Any:
    """Repeat one picture without end."""
    return picture.filter("loop", loop=-1, size=1).filter("setpts", expr=f"round(N/{FRAME_RATE}/TB)")


def _over(behind: Any, before: Any, *, x: int | str, y: int) -> Any:
    import ffmpeg

    return ffmpeg.filter([behind, before], "overlay", x=x, y=y, shortest=1)


def marked(chain: Any) -> Any:
    """Mark drawn pictures as BT.709 video range."""
    return chain.filter("format", pix_fmts="yuv420p").filter("setparams", **BT709)


def text_style(options: Options, size: tuple[int, int]) -> subtitle.Style:
    """Return the style of the title and the captions of an audiogram."""
    theme = theme_for(options)
    return subtitle.Style(
        width=size[0], height=size[1], colour=theme.text, outline=theme.background, title_colour=theme.text
    )


def write_waveform_picture(
    folder: Path, material: Material, name: str, theme: Theme = THEMES["dark"]
) -> tuple[int, int]:
    """Write the waveform of the whole clip as a JPEG of 1280x720; return its width and height."""
    import ffmpeg

    width, height = STILL_SIZE
    sound = graph.sound(graph.source(material), material)
    wave = sound.filter("aformat", sample_rates=LISTENING_RATE, channel_layouts="mono").filter(
        "showwavespic", s=f"{int(width * WAVE_WIDTH)}x{height // 2}", colors=theme.wave, scale="sqrt"
    )
    behind = ffmpeg.input(f"color=c=0x{theme.background[1:]}:s={width}x{height}:d=1", format="lavfi").video
    chain = graph.before_over(behind, wave).filter("format", pix_fmts="yuvj420p")
    options = {"frames:v": 1, "c:v": "mjpeg", "q:v": 3, "format": "image2", "update": 1}
    runner.run(chain.output(f"file:{name}", **options).global_args("-copyts"), folder=folder)
    return width, height


def still_video(name: str, duration_s: float) -> Any:
    """Return a moving picture that is one JPEG for the whole time."""
    still = runner.open_input(name, demuxer="image2", loop=1, framerate=STILL_RATE, t=f"{duration_s:.6f}")
    return marked(still.video.filter("scale", out_color_matrix="bt709", out_range="tv")).filter(
        "settb", expr=f"1/{CLOCK}"
    )
