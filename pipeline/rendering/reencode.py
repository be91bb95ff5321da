"""Encodes a stretch of a recording as a whole, where it cannot be copied."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from pipeline.cutting.mux import SOUND_ONLY, format_of, remux
from pipeline.presets import OriginalOptions, picture_for
from pipeline.rendering import encode, graph
from pipeline.rendering.graph import Look
from pipeline.rendering.material import Material, fetch
from pipeline.types import Format, Source

SEGMENT = "segment"
NO_LIMIT_BYTES = 1 << 40
"""A plain cut has no size limit of its own; who publishes it checks."""
FETCH_SHARE = 0.1
_KINDS: dict[str, Format] = {"webm": "webm", "mp3": "mp3"}


class ReencodeReport(Struct, frozen=True, kw_only=True):
    """What was read for it."""

    bytes_read: int


def reencode(
    source: Source | str | Path, *, start_s: float, end_s: float, out: Path, on_progress: Callable[[float], None]
) -> ReencodeReport:
    """Encode [start_s, end_s) of a recording into `out`: H.264 and AAC, VP9 and Opus (.webm), or MP3.

    Upright, progressive, SDR, as the preset `original` makes it. MediaError as for `cut`.
    """
    kind = _KINDS.get(format_of(out), "mp4")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".reencode-") as name:
        folder = Path(name)
        segment = fetch(
            source,
            out=folder / SEGMENT,
            start_s=start_s,
            end_s=end_s,
            on_progress=lambda share: on_progress(FETCH_SHARE * share),
        )
        made = folder / f"clip.{kind}"
        encode.encode(
            kind,
            _stream(segment.material, has_picture=format_of(out) not in SOUND_ONLY),
            out=made,
            max_bytes=NO_LIMIT_BYTES,
            report=lambda share: on_progress(FETCH_SHARE + (1 - FETCH_SHARE) * share),
        )
        if format_of(out) == kind:
            made.replace(out)
        else:
            remux(made, out)
    return ReencodeReport(bytes_read=segment.bytes_read)


def _stream(material: Material, *, has_picture: bool) -> encode.Stream:
    node = graph.source(material)
    options = OriginalOptions()
    video, audio = material.video if has_picture else None, material.audio
    look = Look(picture=picture_for("original", options, video), options=options) if video is not None else None
    return encode.Stream(
        video=graph.video(node, material, look) if look is not None else None,
        audio=graph.audio(node, material, options) if audio is not None else None,
        duration_s=material.duration_s,
        channels=audio.channels or 2 if audio is not None else 2,
        clock=material.clock,
        is_even=material.is_even,
        picture_part=partial(graph.video_part, material, look) if look is not None and material.is_even else None,
    )
