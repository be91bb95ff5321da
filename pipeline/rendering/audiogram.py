"""Audiograms: a moving waveform, a title and a progress bar where there is no picture; and a still of the waveform."""

from pathlib import Path
from typing import Any

from pipeline.presets import AUDIOGRAM_SIZES, THEMES, AudiogramOptions, Options, Theme, theme_of
from pipeline.rendering import ffmpeg as runner
from pipeline.rendering import graph, subtitle
from pipeline.rendering.graph import Look
from pipeline.rendering.material import CLOCK, Material

FRAME_RATE = 20
"""A waveform moves as well at 20 as at 25 frames a second, for a fifth less work."""
WAVE_SHARE = 0.34
"""Height of the waveform in the frame: large enough to read on a phone, with room for title and captions."""
WAVE_WIDTH = 0.88
BAR_SHARE = 0.012
STILL_SIZE = (1280, 720)
STILL_RATE = 10
"""Frames a second of a video that is one picture: seeking stays smooth, and repeats cost next to nothing."""
LISTENING_RATE = 8_000
"""Sample rate for drawing a still: far more than a picture has columns."""


def frame_size(options: Options) -> tuple[int, int]:
    """Return width and height of the audiogram these options ask for."""
    shape = options.shape if isinstance(options, AudiogramOptions) else "square"
    return AUDIOGRAM_SIZES[shape]


def video(sound: Any, material: Material, look: Look, *, size: tuple[int, int]) -> Any:
    """Return the moving picture for a chain of sound (already from time 0, mono or stereo)."""
    import ffmpeg

    options = look.options if isinstance(look.options, AudiogramOptions) else AudiogramOptions()
    theme = theme_of(options)
    width, height = size
    wave_width, wave_height = int(width * WAVE_WIDTH) // 2 * 2, int(height * WAVE_SHARE) // 2 * 2
    wave = (
        sound.filter(
            "aformat", sample_rates=FRAME_RATE * wave_width, channel_layouts="mono"
        )  # a sample for each column
        .filter(
            "showwaves",
            size=f"{wave_width}x{wave_height}",
            mode="cline",
            rate=FRAME_RATE,
            colors=theme.wave,
            scale="sqrt",
        )
        .filter("format", pix_fmts="yuva420p")
    )
    behind = colour_source(theme.background, size, material.duration_s)
    chain = graph.before_over(behind, wave)
    if options.show_progress:
        bar_height = max(2, int(height * BAR_SHARE) // 2 * 2)
        bar = colour_source(theme.progress, (width, bar_height), material.duration_s)
        where = {"x": f"-W+W*t/{material.duration_s:.6f}", "y": f"H-{bar_height}", "shortest": 1}
        chain = ffmpeg.filter([chain, bar], "overlay", **where)
    if look.subtitles:
        chain = chain.filter("ass", filename=look.subtitles)
    chain = chain.filter("trim", end=graph.seconds(material.end - material.start)).filter("settb", expr=f"1/{CLOCK}")
    return graph.faded_video(marked(chain), options, material.duration_s)


def colour_source(colour: str, size: tuple[int, int], duration_s: float) -> Any:
    """Return a plain picture that lasts a given time."""
    import ffmpeg

    name = f"color=c=0x{colour[1:]}:s={size[0]}x{size[1]}:r={FRAME_RATE}:d={duration_s:.6f}"
    return ffmpeg.input(name, format="lavfi").video.filter("format", pix_fmts="yuv420p")


def marked(chain: Any) -> Any:
    """Say that drawn pictures are BT.709 video range."""
    return chain.filter("format", pix_fmts="yuv420p").filter(
        "setparams", color_primaries="bt709", color_trc="bt709", colorspace="bt709", range="tv"
    )


def text_style(options: Options, size: tuple[int, int]) -> subtitle.Style:
    """Return how the title and the captions of an audiogram look."""
    theme = theme_of(options) if isinstance(options, AudiogramOptions) else THEMES["dark"]
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
