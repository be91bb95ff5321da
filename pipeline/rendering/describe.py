"""Describes finished files for the result of a task."""

from pathlib import Path

from pipeline.reading.probe import probe
from pipeline.rendering.presets import display_size
from pipeline.types import Format, Output

TYPES: dict[Format, str] = {"mp4": "video/mp4", "webm": "video/webm", "mp3": "audio/mpeg"}


def clip(  # noqa: PLR0913 - keyword-only
    folder: Path, name: str, kind: Format, *, duration_s: float, copied_s: float, encoded_s: float
) -> Output:
    """Describe a clip, with its displayed size in pixels. MediaError if it cannot be opened."""
    found = probe(folder / name)
    video = found.stream(found.video) if found.video is not None else None
    width, height = display_size(video) if video is not None else (None, None)
    return Output(
        path=name,
        format=kind,
        content_type=TYPES[kind],
        size_bytes=(folder / name).stat().st_size,
        duration_s=duration_s,
        width=width,
        height=height,
        copied_s=copied_s,
        encoded_s=encoded_s,
    )


def still(folder: Path, name: str, width: int, height: int) -> Output:
    """Describe a JPEG."""
    size_bytes = (folder / name).stat().st_size
    return Output(
        path=name, format="jpeg", content_type="image/jpeg", size_bytes=size_bytes, width=width, height=height
    )


def preview(folder: Path, name: str, width: int, height: int, duration_s: float) -> Output:
    """Describe an animated WebP."""
    return Output(
        path=name,
        format="webp",
        content_type="image/webp",
        size_bytes=(folder / name).stat().st_size,
        duration_s=duration_s,
        width=width,
        height=height,
    )
