"""Renders a clip: cuts or encodes each format, checks every file, and makes the pictures that go with it."""

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline import audiogram, encode, graph, loudness, presets, subtitle, thumbnail
from pipeline.errors import BAD_OPTION, UNSUPPORTED_OUTPUT, MediaError
from pipeline.ffmpeg import FONTS_CONF
from pipeline.graph import Look
from pipeline.material import Material, Recording, fetch, look_at
from pipeline.motion import Move
from pipeline.probe import probe
from pipeline.progress import Emit, Meter, split
from pipeline.types import Accuracy, Format, Output, Problem, RenderResult, RenderTask

SEGMENT = "segment.nut"
"""NUT keeps any codec's packets with their exact times."""
SCRIPT = "text.ass"
PATH = "window.cmd"
THUMBNAIL, PREVIEW, STORYBOARD = "thumbnail.jpg", "preview.webp", "storyboard.jpg"
NAMES: dict[Format, str] = {"mp4": "clip.mp4", "webm": "clip.webm", "mp3": "clip.mp3"}
TYPES: dict[Format, str] = {"mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg"}
MIN_LUFS, MAX_LUFS = -40.0, -9.0
"""Outside of this range a target is a slip of the pen: broadcast asks for -24 to -23, platforms for -19 to -14."""
LEFTOVERS = (SEGMENT, SCRIPT, PATH, FONTS_CONF)
COST: dict[Format, float] = {"mp4": 3.0, "webm": 8.0, "mp3": 0.3}
"""How long the formats take beside each other, for an honest progress bar."""


def render(task: RenderTask, scratch: Path, meter: Meter, emit: Emit) -> RenderResult:
    """Make what a RenderTask asks for in `scratch`; every file listed in the result has been decoded and found good.

    MediaError for times outside the recording, options that make no sense, outputs that this recording cannot give, and
    files that cannot be read or encoded.
    """
    try:
        return _Rendering(task, scratch, meter, emit).run()
    finally:
        for name in LEFTOVERS:
            (scratch / name).unlink(missing_ok=True)
        shutil.rmtree(scratch / subtitle.FONT_CACHE, ignore_errors=True)


class _Rendering:
    """The state of one task: what is known of the source, what has been made, what is worth telling."""

    def __init__(self, task: RenderTask, scratch: Path, meter: Meter, emit: Emit) -> None:
        self.task = task
        self.scratch = scratch
        self.meter = meter
        self.emit = emit
        self.options = presets.parse_options(task.preset, task.options)
        self.formats = list(dict.fromkeys(task.formats))
        self.cues = subtitle.parse(self.options.subtitles) if self.options.subtitles else []
        self.notes: list[Problem] = []
        self.outputs: list[Output] = []
        self.bytes_read = 0
        self.accuracy: Accuracy = "encode"
        self._moves: list[Move] | None = None
        self._level: loudness.Filters = []

    def run(self) -> RenderResult:
        report = self.meter.stage("open", 0.0, 0.03)
        self.source = probe(self.task.source)
        self._refuse_impossible()
        report(1.0)
        material = self._fetch(self.meter.stage("fetch", 0.03, 0.1))
        if material.video is None:
            self._draw_waveform(material)
        self._find_level(material)
        self._encode(material, self.formats, self.meter.stage("encode", 0.1, 0.9))
        self._draw(material, self.meter.stage("pictures", 0.9, 1.0))
        return RenderResult(outputs=self.outputs, bytes_read=self.bytes_read, accuracy=self.accuracy, notes=self.notes)

    def _refuse_impossible(self) -> None:
        """Say what this recording cannot give, before any work is done."""
        pictures = [kind for kind in self.formats if kind != "mp3"]
        if self.source.audio is None and "mp3" in self.formats:
            raise MediaError(UNSUPPORTED_OUTPUT, "an MP3 needs sound, and this recording has none")
        if self.source.audio is None and self.task.preset == "audiogram":
            raise MediaError(UNSUPPORTED_OUTPUT, "an audiogram needs sound, and this recording has none")
        if self.source.video is None and pictures and self.task.preset in {"720p", "vertical", "square"}:
            raise MediaError(
                UNSUPPORTED_OUTPUT, f"preset `{self.task.preset}` needs a picture; use `audiogram` for sound alone"
            )

    def _fetch(self, report: Callable[[float], None]) -> Material:
        """Copy the packets of the clip into the scratch folder and see which of them are the clip."""
        task = self.task
        material, bytes_read = fetch(
            Recording(source=task.source, probe=self.source),
            out=self.scratch / SEGMENT,
            start_s=task.start_s,
            end_s=task.end_s,
            on_progress=report,
        )
        self.bytes_read += bytes_read
        return material

    def _find_level(self, material: Material) -> None:
        """Measure the sound and decide the filters that bring it to the loudness asked for."""
        target = self.task.loudness
        if target is None or material.audio is None:
            return
        if not MIN_LUFS <= target <= MAX_LUFS:
            raise MediaError(BAD_OPTION, f"loudness must be between {MIN_LUFS:g} and {MAX_LUFS:g} LUFS")
        self._level = loudness.level(self.scratch, material, target)
        if not self._level:
            self._note("silence", "The clip is silent: its level was left alone.")

    def _level_for(self, kind: Format) -> loudness.Filters:
        return [*self._level, *loudness.gain(loudness.LAME_LOSS_DB)] if self._level and kind == "mp3" else self._level

    def _encode(self, material: Material, formats: list[Format], report: Callable[[float], None]) -> None:
        reports = split(report, [COST[kind] for kind in formats])
        for kind, part in zip(formats, reports, strict=True):
            name = NAMES[kind]
            stream = self._stream(material, kind)
            encode.encode(kind, stream, out=self.scratch / name, max_bytes=self.task.max_bytes, report=part)
            self._list(kind, name, encoded_s=material.duration_s)

    def _stream(self, material: Material, kind: Format) -> encode.Stream:
        """Put together the chains for one format."""
        node = graph.source(material)
        sound = graph.audio(node, material, self.options, level=self._level_for(kind)) if material.audio else None
        picture: Any = None
        if kind != "mp3":
            sound, picture = self._with_picture(node, material, sound)
        return encode.Stream(
            video=picture,
            audio=sound,
            duration_s=material.duration_s,
            channels=material.audio.channels or 2 if material.audio else 2,
            clock=material.clock,
            is_even=material.is_even,
            title=self.task.title,
        )

    def _with_picture(self, node: Any, material: Material, sound: Any) -> tuple[Any, Any]:
        """Return the sound, which drawing may have to share, and the picture of this preset."""
        if self.task.preset == "audiogram":
            size = audiogram.frame_size(self.options)
            script = self._write_text(material, size, titled=True)
            look = Look(picture=presets.Picture(width=size[0], height=size[1]), options=self.options, subtitles=script)
            parts = sound.asplit()
            return parts[0], audiogram.video(parts[1], material, look, size=size)
        if material.video is None:
            return sound, audiogram.still_video(THUMBNAIL, material.duration_s)
        picture = presets.picture_for(self.task.preset, self.options, material.video)
        captions = self._write_text(material, (picture.width, picture.height), titled=False) if self.cues else None
        path = self._follow(material, picture)
        look = Look(picture=picture, options=self.options, subtitles=captions, path=path)
        return sound, graph.video(node, material, look)

    def _follow(self, material: Material, picture: presets.Picture) -> str | None:
        """Write the path of the crop window, once; None where it stays in the middle."""
        if picture.mode != "crop" or getattr(self.options, "follow", "centre") != "motion":
            return None
        from pipeline import motion

        if self._moves is None:
            self._moves = motion.follow(self.scratch, material, picture)
        if not self._moves or material.video is None:
            return None
        motion.write_commands(self.scratch / PATH, self._moves, picture, presets.display_size(material.video))
        return PATH

    def _write_text(self, material: Material, size: tuple[int, int], *, titled: bool) -> str:
        by_s = -self.task.start_s if self.options.subtitles_origin == "recording" else 0.0
        cues = subtitle.shift(self.cues, by_s, material.duration_s)
        style = audiogram.text_style(self.options, size) if titled else subtitle.Style(width=size[0], height=size[1])
        title = self.task.title if titled else ""
        subtitle.write_ass(self.scratch / SCRIPT, style, cues, title=title, duration_s=material.duration_s)
        return SCRIPT

    def _draw_waveform(self, material: Material) -> None:
        """Without moving images the waveform is the thumbnail, and the picture of a video that must have one."""
        width, height = audiogram.write_waveform_picture(self.scratch, material, THUMBNAIL)
        self._list_picture(THUMBNAIL, width, height)
        if self.task.preset == "original" and {"mp4", "webm"} & set(self.formats):
            self._note("still_picture", "There are no moving images: the video shows the waveform as a still picture.")

    def _draw(self, material: Material, report: Callable[[float], None]) -> None:
        """Make thumbnail, preview and storyboard from what the clip shows."""
        shown = self._shown(material)
        if shown is None:
            return
        reports = split(report, [1.0, 2.0, 3.0])
        at = thumbnail.telling_time(self.scratch, shown)
        self._list_picture(THUMBNAIL, *thumbnail.write_thumbnail(self.scratch, shown, at, THUMBNAIL))
        reports[0](1.0)
        self._list_preview(shown, at)
        reports[1](1.0)
        if self.options.storyboard:
            self._list_picture(STORYBOARD, *thumbnail.write_storyboard(self.scratch, shown, STORYBOARD))
        reports[2](1.0)

    def _shown(self, material: Material) -> Material | None:
        """Return the finished video, or the source where only sound was made of it; None where nothing moves."""
        made = next((o for o in self.outputs if o.format in {"mp4", "webm"}), None)
        if material.video is None and (made is None or self.task.preset != "audiogram"):
            return None
        if made is None:
            return material
        found = probe(self.scratch / made.path)
        start = Fraction(found.start_s)
        video = found.stream(found.video) if found.video is not None else None
        end = start + Fraction(found.duration_s).limit_denominator(1_000_000)
        return look_at(self.scratch, made.path, start=start, end=end, streams=(video, None))

    def _list(self, kind: Format, name: str, *, encoded_s: float, copied_s: float = 0.0) -> None:
        """Check a finished file and add it to the outputs."""
        found = probe(self.scratch / name)
        video = found.stream(found.video) if found.video is not None else None
        self.outputs.append(
            Output(
                path=name,
                format=kind,
                content_type=TYPES[kind],
                size_bytes=(self.scratch / name).stat().st_size,
                duration_s=found.duration_s,
                width=video.width if video else None,
                height=video.height if video else None,
                copied_s=copied_s,
                encoded_s=encoded_s,
            )
        )

    def _list_picture(self, name: str, width: int, height: int) -> None:
        size_bytes = (self.scratch / name).stat().st_size
        self.outputs.append(
            Output(
                path=name, format="jpeg", content_type="image/jpeg", size_bytes=size_bytes, width=width, height=height
            )
        )

    def _list_preview(self, shown: Material, at: Fraction) -> None:
        width, height, duration_s = thumbnail.write_preview(self.scratch, shown, at, PREVIEW)
        self.outputs.append(
            Output(
                path=PREVIEW,
                format="webp",
                content_type="image/webp",
                size_bytes=(self.scratch / PREVIEW).stat().st_size,
                duration_s=duration_s,
                width=width,
                height=height,
            )
        )

    def _note(self, code: str, message: str) -> None:
        self.notes.append(Problem(code=code, message=message))
