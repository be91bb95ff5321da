"""Re-encodes the few pictures of a clip that cannot be copied, or reuses those of another clip."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av.error
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.cutting.draft import Draft
from pipeline.cutting.part_cache import PartCache, fingerprint
from pipeline.cutting.plan import Encode, Unit
from pipeline.cutting.splice.splicer import Part
from pipeline.errors import DECODE_FAILED
from pipeline.reading.demux import Piece
from pipeline.reading.media import AV_ERRORS, as_media_error

PARTS = "parts"


@dataclass
class Made:
    """The encoded parts of a clip in order, and the number of pictures decoded for them."""

    parts: list[tuple[Encode, Part]] = field(default_factory=list)
    decoded: int = 0


def make_parts(draft: Draft) -> Made:
    """Encode the parts that a plan names; MediaError DECODE_FAILED, ENCODE_FAILED."""
    segments = [s for s in draft.plan.segments if isinstance(s, Encode)]
    cache = PartCache(Path(draft.cache_dir, PARTS)) if draft.cache_dir is not None else None
    made = Made()
    for segment in segments:
        made.parts.append((segment, _make(draft, segment, made, cache)))
    if len({part.header for _, part in made.parts}) > 1:  # a stream has one header, so one encoder makes all parts
        made.parts = [(segment, _encode(draft, segment, made)) for segment in segments]
    return made


def _make(draft: Draft, segment: Encode, made: Made, cache: PartCache | None) -> Part:
    if cache is None:
        return _encode(draft, segment, made)
    key = fingerprint(_video(draft), segment, _needed(draft, segment))
    part = cache.find(key, segment.start)
    if part is None:
        part = _encode(draft, segment, made)
        cache.put(key, segment.start, part)
    return part


def _encode(draft: Draft, segment: Encode, made: Made) -> Part:
    assert draft.splicer is not None  # noqa: S101 - the plan has pictures
    return draft.splicer.encode(_pictures(draft, segment, made))


def _pictures(draft: Draft, segment: Encode, made: Made) -> Iterator[VideoFrame]:
    """Yield the decoded pictures of a segment; a held or awaited picture gets the time of its start."""
    held: VideoFrame | None = None
    awaits = segment.awaits
    for frame in _decoded(draft, segment):
        made.decoded += 1
        if frame.pts is None:
            continue
        if awaits:
            awaits = False
            frame.pts = segment.start
            yield frame
            continue
        if frame.pts >= segment.end:
            continue
        if frame.pts < segment.start:
            held = frame
            continue
        if held is not None and segment.holds and frame.pts > segment.start:
            held.pts = segment.start
            yield held
        held = None
        yield frame
    if held is not None and segment.holds:
        held.pts = segment.start
        yield held


def _decoded(draft: Draft, segment: Encode) -> Iterator[VideoFrame]:
    video = _video(draft)
    if not video.codec_context.is_open:
        video.thread_type = "AUTO"
    try:
        for piece in _needed(draft, segment):
            yield from video.decode(piece.packet)
        yield from video.decode(None)
    except av.error.EOFError:
        return
    except AV_ERRORS as exc:
        raise as_media_error(exc, DECODE_FAILED, stream=video.index) from exc


def _needed(draft: Draft, segment: Encode) -> Iterator[Piece]:
    """Yield the packets that decoding a segment needs."""
    video = _video(draft)
    last = _last_needed(draft.survey.pictures, segment)
    number = -1
    for piece in draft.pieces:
        if piece.stream != video.index:
            continue
        number += 1
        if number >= segment.decode_from:
            yield piece
        if number == last:
            return


def _last_needed(units: list[Unit], segment: Encode) -> int:
    end = max(segment.end, min(unit.pts for unit in units) + 1) if segment.awaits else segment.end
    return max(i for i, unit in enumerate(units) if unit.pts < end)


def _video(draft: Draft) -> VideoStream:
    video = draft.demuxer.selection.video
    assert video is not None  # noqa: S101 - the plan has pictures
    return video
