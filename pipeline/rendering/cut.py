"""Cuts clips out of recordings: copies packets if possible, else encodes the whole stretch."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from pipeline.cutting.cut import CutReport, Refusal, cut_by_copy
from pipeline.cutting.mux import SOUND_ONLY, format_of, remux
from pipeline.reading.media import Media
from pipeline.rendering.eligibility import encoding_notes
from pipeline.rendering.encoding import encode, graph
from pipeline.rendering.encoding.graph import Look
from pipeline.rendering.material import Material, fetch
from pipeline.rendering.presets import picture_for
from pipeline.types import Accuracy, Format, OriginalOptions, Problem, Source

SEGMENT = "segment"
NO_LIMIT_BYTES = 1 << 40
"""A plain cut has no size limit; the caller that publishes it checks its size."""
FETCH_SHARE = 0.1
_KINDS: dict[str, Format] = {"webm": "webm", "mp3": "mp3"}


class ReencodeReport(Struct, frozen=True, kw_only=True):
    """The bytes read for it, and changes by encoding other than the codec."""

    bytes_read: int
    notes: list[Problem]


def cut(  # noqa: PLR0913 - one parameter for each option of a cut
    source: Source | str | Path | Media,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    accuracy: Accuracy = "exact",
    on_progress: Callable[[float], None] | None = None,
) -> CutReport:
    """Cut [start_s, end_s) of a recording into `out` (.mp4, .m4a, .mov, .mkv, .webm, .mp3 by its suffix).

    `exact` copies packets and encodes the few pictures between the cut and the next keyframe; `fast` copies whole
    groups of pictures, so it may start earlier by up to one group; `encode` encodes everything (H.264 and AAC, VP9 and
    Opus, or MP3). What cannot be copied is encoded. `on_progress` receives the share done and may raise.
    Clips of a recording share the bytes read if it is passed open (`pipeline.reading.index.open_indexed`), and share
    bytes and encoded parts, also between processes, if its `Source` names a cache folder.

    Raises MediaError: OUT_OF_RANGE, UNSUPPORTED_OUTPUT, DECODE_FAILED, ENCODE_FAILED, or one of opening the recording.
    """
    report = on_progress or _ignore
    found = cut_by_copy(source, start_s=start_s, end_s=end_s, out=out, accuracy=accuracy, on_progress=report)
    if not isinstance(found, Refusal):
        return found
    done = reencode(found.source, start_s=start_s, end_s=end_s, out=out, on_progress=report)
    return CutReport(
        accuracy="encode",
        start_s=start_s,
        end_s=end_s,
        copied_s=0.0,
        encoded_s=end_s - start_s,
        bytes_read=found.bytes_read + done.bytes_read,
        notes=[*([] if accuracy == "encode" else [found.problem]), *done.notes],
    )


def _ignore(_share: float) -> None:
    """Discard progress."""


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
        return ReencodeReport(bytes_read=segment.bytes_read, notes=[*segment.notes, *encoding_notes(segment)])


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
