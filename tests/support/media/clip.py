"""Renders clips in this process."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import MediaError
from pipeline.progress import Meter
from pipeline.rendering.render import render
from pipeline.types import RenderResult, RenderTask, Source


def meter() -> Meter:
    """Return a progress meter that reports to nobody."""
    return Meter(lambda _event: None)


def clip_of(source: Path, start_s: float, end_s: float, **wanted: Any) -> tuple[Path, RenderResult]:
    """Render a clip; return its file and what was reported."""
    folder = source.parent / "made"
    folder.mkdir(exist_ok=True)
    kind = wanted.setdefault("formats", ["mp4"])[0]
    task = RenderTask(source=Source(location=str(source)), start_s=start_s, end_s=end_s, **wanted)
    result = render(task, folder, meter(), lambda _event: None)
    return next(folder / output.path for output in result.outputs if output.format == kind), result


def refusal(call: Any, *arguments: Any) -> MediaError:
    """Return the MediaError that a call raises."""
    with pytest.raises(MediaError) as caught:
        call(*arguments)
    return caught.value
