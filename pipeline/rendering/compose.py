"""Composes the filter chains of a clip's picture and sound, format by format."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.rendering import presets
from pipeline.rendering.encoding import encode, graph, loudness, subtitle
from pipeline.rendering.encoding.graph import Look
from pipeline.rendering.material import Material
from pipeline.rendering.pictures import audiogram
from pipeline.rendering.pictures.motion import Move
from pipeline.rendering.pictures.strip import Strip, write_strip
from pipeline.types import Format, Options, RenderTask

SCRIPT = "text.ass"
PATH = "window.cmd"
STRIP = "strip.yuv"
STILL = "thumbnail.jpg"
"""The picture of a video that is made from sound only."""

PicturePart: TypeAlias = Callable[[graph.Part], Any]
"""Returns the picture of one part of a clip, for encoding parts side by side."""


class Composer:
    """Composes the formats of one task; shared files (waveform, path of the crop window) are made once."""

    def __init__(
        self, task: RenderTask, options: Options, cues: list[subtitle.Cue], scratch: Path, material: Material
    ) -> None:
        self.task = task
        self.options = options
        self.cues = cues
        self.scratch = scratch
        self.material = material
        self._moves: list[Move] | None = None
        self._strip: Strip | None = None

    def stream(self, kind: Format, level: loudness.Level | None) -> encode.Stream:
        """Return the chains for one format."""
        material = self.material
        node = graph.source(material)
        filters = [] if level is None else [*level.filters, *(loudness.LAME_FILTERS if kind == "mp3" else ())]
        sound = graph.audio(node, material, self.options, level=filters) if material.audio else None
        picture: Any = None
        part: PicturePart | None = None
        if kind != "mp3":
            sound, picture, part = self._with_picture(node, sound)
        return encode.Stream(
            video=picture,
            audio=sound,
            duration_s=material.duration_s,
            channels=material.audio.channels or 2 if material.audio else 2,
            clock=material.clock,
            is_even=material.is_even,
            is_drawn=self.task.preset == "audiogram" or material.video is None,
            title=self.task.title,
            picture_part=part,
        )

    def _with_picture(self, node: Any, sound: Any) -> tuple[Any, Any, PicturePart | None]:
        """Return the sound, the picture of this preset and, if it can be split, the function that makes its parts."""
        material = self.material
        if self.task.preset == "audiogram":
            size = audiogram.frame_size(self.options)
            script = self._write_text(size, titled=True)
            frame = presets.Picture(width=size[0], height=size[1])
            look = Look(picture=frame, options=self.options, subtitles=script, is_captioned=bool(self.cues))
            return sound, audiogram.video(material, look, size=size, strip=self._draw_strip(sound, size)), None
        if material.video is None:
            return sound, audiogram.still_video(STILL, material.duration_s), None
        picture = presets.picture_for(self.task.preset, self.options, material.video)
        captions = self._write_text((picture.width, picture.height), titled=False) if self.cues else None
        path = self._follow(picture)
        look = Look(picture=picture, options=self.options, subtitles=captions, path=path)
        part = partial(graph.video_part, material, look) if material.is_even else None
        return sound, graph.video(node, material, look), part

    def _draw_strip(self, sound: Any, size: tuple[int, int]) -> Strip:
        """Draw the waveform of an audiogram, once for all formats."""
        if self._strip is None:
            wave, theme = audiogram.strip_size(size), audiogram.theme_for(self.options)
            self._strip = write_strip(sound, self.scratch, STRIP, size=wave, theme=theme)
        return self._strip

    def _follow(self, picture: presets.Picture) -> str | None:
        """Write the path of the crop window, once; None if it stays in the middle."""
        if picture.mode != "crop" or getattr(self.options, "follow", "centre") != "motion":
            return None
        from pipeline.rendering.pictures import motion

        material = self.material
        if self._moves is None:
            self._moves = motion.follow(self.scratch, material, picture)
        if not self._moves or material.video is None:
            return None
        motion.write_commands(self.scratch / PATH, self._moves, picture, presets.display_size(material.video))
        return PATH

    def _write_text(self, size: tuple[int, int], *, titled: bool) -> str:
        by_s = -self.task.start_s if self.options.subtitles_origin == "recording" else 0.0
        cues = subtitle.shift(self.cues, by_s, self.material.duration_s)
        style = audiogram.text_style(self.options, size) if titled else subtitle.Style(width=size[0], height=size[1])
        title = self.task.title if titled else ""
        subtitle.write_ass(self.scratch / SCRIPT, style, cues, title=title, duration_s=self.material.duration_s)
        return SCRIPT
