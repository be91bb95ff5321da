"""The commands that need no server: `clip`, `highlights`, `cut`, `probe`."""

import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import typer

from cli.errors import CommandError, UsageError
from cli.output import answers, interruptible, parse_clock, print_json
from pipeline.types import Accuracy, DetectOptions, Preset, Probe, RenderTask

Input = Annotated[str, typer.Argument(metavar="INPUT", help="A recording: a file, or an http(s) address.")]
Top = Annotated[int | None, typer.Option(min=1, max=500, help="Number of moments, best first.")]
Sensitivity = Annotated[
    float, typer.Option(min=0, max=1, help="The least score that counts: 0.5 most moments, 0.7 balanced, 0.9 peaks.")
]
Tagger = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        envvar="AUDIO_TAGGER_MODEL",
        help="A YAMNet export (yamnet.tflite) that listens too; the built-in tagger needs none.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")]
Look = Annotated[Preset, typer.Option(help="Shape and size of the picture.")]
Precision = Annotated[
    Accuracy, typer.Option(help="exact: to the frame, copying what it can; fast: at keyframes; encode: encode all.")
]


def _time(text: str) -> float:
    try:
        return parse_clock(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is not a time; write seconds or [h:]m:s, such as 83.4 or 1:23.4") from error


CUT_FORMATS = {".mp4": "mp4", ".webm": "webm", ".mp3": "mp3"}


def clip(  # noqa: PLR0913 - one parameter for each option
    source: Input,
    *,
    top: Top = None,
    sensitivity: Sensitivity = 0.7,
    tagger: Tagger = None,
    out: Annotated[Path, typer.Option(help="Folder for the clips.")] = Path("clips"),
    formats: Annotated[str | None, typer.Option(help="mp4, webm, mp3, separated by commas.")] = None,
    preset: Look = "original",
    accuracy: Precision = "exact",
    json: AsJson = False,
) -> None:
    """Find the highlights of a recording and cut them into clips."""
    from cli.media.clipping import Style, analyse, default_formats, make_clips, parse_formats
    from cli.media.progress import progress_bars
    from cli.media.source import open_source
    from cli.media.table import show_clips, show_highlights, show_losses

    chosen = parse_formats(formats) if formats is not None else None
    opened = open_source(source)
    options = DetectOptions(sensitivity=_number("--sensitivity", sensitivity), top=top)
    with (
        interruptible() as hear,
        TemporaryDirectory(prefix="snuggles-") as scratch,
        progress_bars(hear, enabled=not json) as begin,
    ):
        analysis = analyse(opened, options, Path(scratch), begin("listening"), tagger=_path_of(tagger))
        style = Style(
            formats=chosen or default_formats(analysis.probe, preset),
            preset=preset,
            accuracy=accuracy,
        )
        clips = make_clips(analysis, style, out, begin)
    if json:
        print_json(_findings(source, analysis.probe, analysis.highlights) | {"clips": clips})
        return
    show_losses(answers(), analysis.probe.problems)
    show_highlights(answers(), analysis.highlights, sensitivity=sensitivity)
    show_clips(answers(), clips)


def highlights(
    source: Input,
    *,
    top: Top = None,
    sensitivity: Sensitivity = 0.7,
    tagger: Tagger = None,
    json: AsJson = False,
) -> None:
    """Find the highlights of a recording, with reasons."""
    from cli.media.clipping import analyse
    from cli.media.progress import progress_bars
    from cli.media.source import open_source
    from cli.media.table import show_highlights, show_losses

    opened = open_source(source)
    options = DetectOptions(sensitivity=_number("--sensitivity", sensitivity), top=top)
    with (
        interruptible() as hear,
        TemporaryDirectory(prefix="snuggles-") as scratch,
        progress_bars(hear, enabled=not json) as begin,
    ):
        analysis = analyse(opened, options, Path(scratch), begin("listening"), tagger=_path_of(tagger))
    if json:
        print_json(_findings(source, analysis.probe, analysis.highlights))
        return
    show_losses(answers(), analysis.probe.problems)
    show_highlights(answers(), analysis.highlights, sensitivity=sensitivity)


def cut(  # noqa: PLR0913 - one parameter for each option
    source: Input,
    *,
    start: Annotated[
        float, typer.Option(parser=_time, metavar="TIME", help="Where the clip begins: seconds, or [h:]m:s.f.")
    ],
    end: Annotated[float, typer.Option(parser=_time, metavar="TIME", help="Where it ends: seconds, or [h:]m:s.f.")],
    out: Annotated[Path, typer.Option(help="The file to write: .mp4, .webm or .mp3.")],
    accuracy: Precision = "exact",
    preset: Look = "original",
    json: AsJson = False,
) -> None:
    """Cut one clip out of a recording."""
    from cli.media.clipping import check_target, describe, inspect, render, scratch_in, stem_of
    from cli.media.progress import progress_bars
    from cli.media.source import open_source
    from cli.media.table import show_losses

    wanted = CUT_FORMATS.get(out.suffix.lower())
    if wanted is None:
        raise UsageError(f"--out {out} must end in .mp4, .webm or .mp3: that chooses the format")
    opened = open_source(source)
    check_target(out, source)
    if not _number("--start", start) < _number("--end", end):
        raise CommandError(f"The clip starts at {start:g} s and ends at {end:g} s; the end must come after the start")
    task = msgspec.convert(
        {
            "task": "render",
            "source": msgspec.to_builtins(opened),
            "start_s": start,
            "end_s": end,
            "formats": [wanted],
            "preset": preset,
            "accuracy": accuracy,
            "title": stem_of(source),
        },
        RenderTask,
    )
    with (
        interruptible() as hear,
        progress_bars(hear, enabled=not json) as begin,
        scratch_in(out.parent) as scratch,
    ):
        seen = inspect(opened, scratch)
        made = render(msgspec.structs.replace(task, source=seen.source), scratch, begin("cutting"))
        output = next(output for output in made.outputs if output.format == wanted)
        (scratch / output.path).replace(out)
    result = describe(output, task, out)
    bytes_read = seen.bytes_read + made.bytes_read
    if json:
        facts = {"bytes_read": bytes_read, "accuracy": made.accuracy, "notes": made.notes, "problems": seen.losses}
        print_json(msgspec.to_builtins(result) | facts)
        return
    show_losses(answers(), seen.losses)
    answers().print(
        f"{out}: {output.duration_s or 0:.2f} s, {output.size_bytes / 1e6:.1f} MB; "
        f"copied {output.copied_s:.2f} s, encoded {output.encoded_s:.2f} s, read {bytes_read / 1e6:.1f} MB"
    )
    for note in made.notes:
        answers().print(note.message)


def probe(
    source: Input,
    *,
    json: AsJson = False,
) -> None:
    """Show the streams, durations and problems of a recording."""
    from cli.media.source import open_source
    from cli.media.table import probe_lines
    from pipeline.reading.probe import probe as look_into

    found = look_into(open_source(source))
    if json:
        print_json({"path": source} | msgspec.to_builtins(found))
        return
    sys.stdout.write("".join(f"{line}\n" for line in probe_lines(found)))


def _findings(path: str, found: Probe, moments: list[Any]) -> dict[str, Any]:
    source = {
        "path": path,
        "duration_s": found.duration_s,
        "container": found.container,
        "size_bytes": found.size_bytes,
        "has_audio": found.audio is not None,
        "has_video": found.video is not None,
        "problems": found.problems,
    }
    return {"source": source, "highlights": moments}


def _number(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise CommandError(f"{name} is {value}; it must be a number")
    return value


def _path_of(tagger: Path | None) -> str | None:
    """Return the tagger's path, made absolute."""
    return None if tagger is None else str(tagger.expanduser().absolute())
