"""Finds highlights in a recording and cuts them, in this process, with local files."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from cli.errors import CommandError, UsageError
from cli.media.progress import Begin, Emit
from pipeline.reading.index import build_index, open_indexed
from pipeline.reading.media import is_url
from pipeline.reading.probe import find_losses
from pipeline.task import run_task
from pipeline.types import (
    Accuracy,
    DetectOptions,
    DetectResult,
    DetectTask,
    Format,
    Highlight,
    IngestResult,
    IngestTask,
    Output,
    Preset,
    Probe,
    Problem,
    RenderResult,
    RenderTask,
    Source,
)

MEDIA_SUFFIX = {"mp4": "mp4", "webm": "webm", "mp3": "mp3", "jpeg": "jpg"}
CACHE = "cache"
INDEX = "index"
# Long enough to distinguish recordings, short enough for every file system with the suffix.
MAX_STEM = 80


class Analysis(Struct, frozen=True, kw_only=True):
    """An analysed recording."""

    source: Source
    probe: Probe
    highlights: list[Highlight]


class Inspection(Struct, frozen=True, kw_only=True):
    """A recording that is open for the cut of one clip."""

    source: Source
    losses: list[Problem]
    bytes_read: int


class Style(Struct, frozen=True, kw_only=True):
    """The options of clips."""

    formats: list[Format]
    preset: Preset = "original"
    accuracy: Accuracy = "exact"


class Clip(Struct, frozen=True, kw_only=True):
    """A finished file."""

    path: str
    start_s: float
    end_s: float
    format: str
    size_bytes: int
    duration_s: float | None
    copied_s: float
    encoded_s: float


def check_target(out: Path, source: str) -> None:
    """Raise CommandError if writing `out` would overwrite the recording, or is impossible."""
    if out.is_dir():
        raise CommandError(f"--out {out} is a folder; name the file to write")
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise CommandError(f"--out {out} is the recording itself, which would be overwritten; choose another name")


def analyse(
    source: Source, options: DetectOptions, scratch: Path, emit: Emit, *, tagger: str | None = None
) -> Analysis:
    """Analyse a recording and find its highlights; MediaError when it cannot be read.

    `tagger` is the path of a YAMNet export; None is the built-in tagger. The bytes read stay in `scratch` for the
    clips.
    """
    source = replace(source, cache_dir=str(scratch / CACHE))
    ingested = run_task(IngestTask(source=source, tagger=tagger), scratch, emit)
    if not isinstance(ingested, IngestResult):
        raise TypeError(ingested)
    detected = run_task(DetectTask(timeline=ingested.timeline, options=options), scratch, emit)
    if not isinstance(detected, DetectResult):
        raise TypeError(detected)
    index = str(scratch / ingested.index) if ingested.index else None
    return Analysis(source=replace(source, index=index), probe=ingested.probe, highlights=detected.highlights)


def inspect(source: Source, scratch: Path) -> Inspection:
    """Find lost or repaired parts of a recording; MediaError when it cannot be opened.

    The bytes read stay in `scratch` for the clip.
    """
    with open_indexed(source) as media:
        losses = find_losses(media)
        # If a file ends early, a clip up to the length in its header would contain silence.
        is_short = not is_url(source.location) and any(loss.code == "truncated" for loss in losses)
        index = media.index or (build_index(media) if media.recovery is not None or is_short else None)
        bytes_read = media.bytes_read
    if index is not None:
        index.save(scratch / INDEX)
        source = replace(source, index=str(scratch / INDEX))
    return Inspection(source=source, losses=losses, bytes_read=bytes_read)


def render(task: RenderTask, scratch: Path, emit: Emit) -> RenderResult:
    """Render the files of one clip in `scratch`."""
    made = run_task(task, scratch, emit)
    if not isinstance(made, RenderResult):
        raise TypeError(made)
    return made


def make_clips(analysis: Analysis, style: Style, folder: Path, begin: Begin) -> list[Clip]:
    """Cut every highlight into `folder`. A clip appears there complete or not at all."""
    clips = []
    stem = stem_of(analysis.source.location)
    for number, highlight in enumerate(analysis.highlights, 1):
        emit = begin(f"clip {number} of {len(analysis.highlights)}")
        name = f"{stem}-{number:02d}-{highlight.kind}-{_stamp(highlight.start_s)}"
        task = RenderTask(
            source=analysis.source,
            start_s=highlight.start_s,
            end_s=highlight.end_s,
            formats=style.formats,
            preset=style.preset,
            accuracy=style.accuracy,
            title=stem,
        )
        with scratch_in(folder) as scratch:
            made = render(task, scratch, emit)
            clips += [_place(output, task, scratch, folder / name) for output in _wanted(made.outputs)]
    return [clip for clip in clips if clip.format in get_args(Format)]


def default_formats(probe: Probe, preset: Preset) -> list[Format]:
    """Return the default formats: MP3 for a recording without picture, unless the preset draws one."""
    return ["mp3"] if probe.video is None and preset != "audiogram" else ["mp4"]


def parse_formats(text: str) -> list[Format]:
    """Parse a list such as `mp4,webm`; UsageError names an unknown format."""
    known: dict[str, Format] = {name: name for name in get_args(Format)}
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f"{name!r} is not a format; --formats takes {', '.join(known)}, separated by commas")
    if not names:
        raise UsageError(f"--formats is empty; it takes {', '.join(known)}, separated by commas")
    return [known[name] for name in dict.fromkeys(names)]


@contextmanager
def scratch_in(folder: Path) -> Iterator[Path]:
    """Create a temporary folder inside `folder`, from which files move without being copied.

    CommandError when nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix=".snuggles-", dir=folder)
    except OSError as error:
        raise CommandError(f"Nothing can be written to {folder}: {error.strerror}") from error
    with scratch as path:
        yield Path(path)


def stem_of(location: str) -> str:
    """Return the start of the clips' file names, from the name of the recording."""
    name = location
    if is_url(location):
        with suppress(ValueError):  # invalid brackets: opening the URL reports them
            name = unquote(urlsplit(location).path)
    stem = re.sub(r"[^\w.()\[\] -]+", "_", Path(name).stem).strip(" .-_")
    return stem[:MAX_STEM] or "clip"


def _wanted(outputs: Sequence[Output]) -> list[Output]:
    return [output for output in outputs if output.format in MEDIA_SUFFIX]


def _place(output: Output, task: RenderTask, scratch: Path, target: Path) -> Clip:
    """Move a finished file to its place; `target` has no suffix yet."""
    path = target.with_name(f"{target.name}.{MEDIA_SUFFIX[output.format]}")
    (scratch / output.path).replace(path)
    return describe(output, task, path)


def describe(output: Output, task: RenderTask, path: Path) -> Clip:
    """Describe a finished file."""
    return Clip(
        path=str(path),
        start_s=task.start_s,
        end_s=task.end_s,
        format=output.format,
        size_bytes=output.size_bytes,
        duration_s=output.duration_s,
        copied_s=output.copied_s,
        encoded_s=output.encoded_s,
    )


def _stamp(time_s: float) -> str:
    minutes, seconds = divmod(int(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:d}h{minutes:02d}m{seconds:02d}s" if hours else f"{minutes:02d}m{seconds:02d}s"
