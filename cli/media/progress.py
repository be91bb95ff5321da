"""Progress bars of media work, on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress
from rich.console import Console

from pipeline.types import Event, Progress

Emit = Callable[[Event], None]
Begin = Callable[[str], Emit]
"""Begins a bar with this label and returns the function that draws its events."""


@contextmanager
def progress_bars(hear: Callable[[], None], *, enabled: bool = True) -> Iterator[Begin]:
    """Draw one bar for each task on standard error, if that is a terminal.

    `hear` is called at every event and may raise an interruption.
    """
    bars = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[stage]}"),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not (enabled and sys.stderr.isatty()),
        transient=True,
    )

    def begin(label: str) -> Emit:
        task = bars.add_task(label, total=1.0, stage="")

        def draw(event: Event) -> None:
            hear()
            if isinstance(event, Progress):
                bars.update(task, completed=event.fraction, stage=event.stage)

        return draw

    with bars:
        yield begin
