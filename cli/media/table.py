"""Tables and lines for the terminal."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.output import clock
from pipeline.types import Highlight, Probe, Problem, Reason, StreamInfo

if TYPE_CHECKING:
    from rich.console import Console

    from cli.media.clipping import Clip

# The strongest parts of a score explain it; the JSON has all of them.
REASONS_SHOWN = 3
LOW_SENSITIVITY = 0.5
"""A sensitivity that takes most moments; the advice to try it is for higher ones."""
LOSSES = frozenset({"truncated", "recovered", "sound_recovered", "sound_lost", "clock_restarts"})
"""Problems of a recording that affect its clips; `snuggles probe` shows all problems."""


def show_losses(console: "Console", problems: Sequence[Problem]) -> None:
    """Print lost and repaired parts of a recording."""
    for problem in problems:
        if problem.code in LOSSES:
            console.print(f"note: {problem.message}")


def show_highlights(console: "Console", highlights: Sequence[Highlight], *, sensitivity: float) -> None:
    """Print highlights, best first, with their strongest reasons; `sensitivity` is that of the request."""
    if not highlights and sensitivity > LOW_SENSITIVITY:
        console.print(f"No moment reaches this sensitivity; try a lower one, such as --sensitivity {LOW_SENSITIVITY}.")
        return
    if not highlights:
        console.print("No moment of this recording stands out; `snuggles cut` makes a clip of times that you choose.")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("#", "from", "to", "peak", "score"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("why")
    for number, moment in enumerate(highlights, 1):
        times = (clock(moment.start_s), clock(moment.end_s), clock(moment.peak_s))
        table.add_row(str(number), *times, f"{moment.score:.2f}", moment.kind, why(moment.reasons))
    console.print(table)


def why(reasons: Sequence[Reason]) -> str:
    """Return the strongest parts of a score."""
    strongest = sorted(reasons, key=lambda reason: -abs(reason.contribution))[:REASONS_SHOWN]
    return ", ".join(f"{reason.signal.replace('_', ' ')} {reason.contribution:+.2f}" for reason in strongest)


def show_clips(console: "Console", clips: "Sequence[Clip]") -> None:
    """Print finished files."""
    for clip in clips:
        how = f"copied {clip.copied_s:.1f} s, encoded {clip.encoded_s:.1f} s"
        console.print(f"{clip.path}  {clip.size_bytes / 1e6:.1f} MB  {how}")


def probe_lines(found: Probe) -> Iterator[str]:
    """Yield lines about a file and its streams."""
    size = "" if found.size_bytes is None else f", {found.size_bytes / 1e6:.1f} MB"
    yield f"{found.container}, {clock(found.duration_s)}{size}"
    for stream in found.streams:
        marks = [name for name, index in (("picture", found.video), ("sound", found.audio)) if index == stream.index]
        used = f"  (the {marks[0]} of clips)" if marks else ""
        kind = "cover" if stream.is_cover else stream.kind
        yield f"  {stream.index}: {kind} {stream.codec} {_detail(stream)}{used}"
    for problem in found.problems:
        yield f"  note: {problem.message}"


def _detail(stream: StreamInfo) -> str:
    parts = []
    if stream.width and stream.height:
        parts.append(f"{stream.width}x{stream.height}")
    if stream.frame_rate and not stream.is_cover:
        parts.append(f"{stream.frame_rate:.3g} fps{' (variable)' if stream.is_vfr else ''}")
    if stream.rotation:
        parts.append(f"rotated by {stream.rotation} degrees")
    if stream.hdr:
        parts.append(stream.hdr.upper())
    if stream.sample_rate:
        parts.append(f"{stream.sample_rate} Hz {stream.layout or f'{stream.channels} channels'}")
    if stream.language:
        parts.append(stream.language)
    return ", ".join(parts)
