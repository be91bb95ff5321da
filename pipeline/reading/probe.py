"""Describes a recording: its streams as a decoder will see them, its durations, and its problems."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal

from av.audio.stream import AudioStream
from av.stream import Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.errors import TRUNCATED, MediaError
from pipeline.reading.clock import ClockRepair
from pipeline.reading.container.truncation import SLACK_S, Shortfall, find_shortfall, indexed_end_s
from pipeline.reading.demux import PacketTimer, is_cut_off, may_restart, seems_straight, to_start
from pipeline.reading.format.isobmff import Layout
from pipeline.reading.index import load_index
from pipeline.reading.media import AV_ERRORS, Media, as_media_error, as_source, open_media
from pipeline.reading.selection import choose_streams
from pipeline.reading.streams import codec_name, has_decoder, is_cover, is_usable, zero_s
from pipeline.reading.times import outer_layout, stated_duration
from pipeline.types import Probe, Problem, Source, StreamInfo, StreamKind

TRC_PQ = 16
"""ITU-T H.273 transfer characteristics: SMPTE ST 2084 (HDR10)."""
TRC_HLG = 18
"""ITU-T H.273 transfer characteristics: ARIB STD-B67 (hybrid log-gamma)."""
PROGRESSIVE = 1
"""AV_FIELD_PROGRESSIVE; above it are the interlaced orders, 0 is unknown."""
LOOK_AT_PACKETS = 200
"""Packets read: enough for the first decoded picture of any codec, and for the rhythm of the pictures."""
VFR_TOLERANCE = 0.1
"""A step that differs from the usual one by more than this share is irregular (Matroska rounds to whole ms)."""
VFR_SHARE = 0.01
"""More irregular steps than this make a variable frame rate; a dropped picture now and then does not."""
ROUNDING_S = 0.0015
QUARTER_TURN = 90
LATE_START_S = 1.0


def probe(source: Source | str | Path) -> Probe:
    """Describe a recording.

    Raises MediaError: EMPTY, NOT_MEDIA, FORBIDDEN_FORMAT, TRUNCATED, NO_INDEX, READ_FAILED, NO_STREAMS when there is
    neither sound nor moving image that can be decoded.
    """
    with open_media(source, index=load_index(as_source(source))) as media:
        return probe_media(media)


def probe_media(media: Media) -> Probe:
    """Describe a recording that is already open; moves its read position."""
    container = media.container
    layout = outer_layout(media)
    selection = choose_streams(media)
    problems = list(media.recovery.problems) if media.recovery is not None else []
    zero = zero_s(container)
    look = _Look(media, selection.video)
    streams = [_describe(stream, look if stream is selection.video else None, zero) for stream in container.streams]
    video = selection.video.index if selection.video is not None else None
    audio = selection.audio.index if selection.audio is not None else None
    duration = _duration(media, layout, problems)
    problems += _problems(media, layout, streams, look, duration)
    return Probe(
        container=container.format.name,
        duration_s=float(duration),
        start_s=float(zero),
        size_bytes=media.file_bytes,
        bit_rate=container.bit_rate or (int(media.file_bytes * 8 / duration) if duration > 0 else None),
        streams=streams,
        video=video,
        audio=audio,
        problems=problems,
    )


def find_losses(media: Media) -> list[Problem]:
    """Return the lost or corrected parts of an open recording, worded as by `probe_media`; moves its read position.

    Nothing is decoded, and a remote file is not read in full to find its end.
    """
    problems = list(media.recovery.problems) if media.recovery is not None else []
    layout = outer_layout(media)
    shortfall = find_shortfall(media, layout)
    if shortfall is None:
        if media.index is not None and media.index.jumps:
            problems.append(_restarts(len(media.index.jumps)))
    elif media.reader.is_remote and not _is_indexed(media, layout):
        problems.append(_problem("truncated", "The file ends early; how much is missing is not known."))
    else:
        _shortened(media, layout, shortfall, stated_duration(media, layout), problems)
    return problems


class _Look:
    """Properties of the video stream that only its first pictures show."""

    def __init__(self, media: Media, stream: VideoStream | None) -> None:
        self.frame: VideoFrame | None = None
        self.times: list[float] = []
        self.has_hidden = False
        self.failed = False
        self.stream = stream.index if stream is not None else None
        if stream is not None:
            self._read(media, stream)

    def _read(self, media: Media, stream: VideoStream) -> None:
        tries = 0
        try:
            for packet in media.container.demux(stream):
                if packet.pts is not None:
                    self.times.append(float(packet.pts * packet.time_base))
                self.has_hidden = self.has_hidden or packet.is_discard
                if self.frame is None:
                    self.frame = next(iter(packet.decode()), None)
                tries += 1
                if tries >= LOOK_AT_PACKETS:
                    break
        except AV_ERRORS:
            self.failed = self.frame is None

    @property
    def is_vfr(self) -> bool:
        """Whether the pictures come at uneven intervals."""
        times = sorted(self.times)
        steps = [b - a for a, b in pairwise(times)]
        if len(steps) < 3:  # noqa: PLR2004 - two steps show no rhythm
            return False
        usual = median(steps)
        tolerance = max(ROUNDING_S, usual * VFR_TOLERANCE)
        return sum(abs(step - usual) > tolerance for step in steps) > VFR_SHARE * len(steps)

    @property
    def rotation(self) -> int:
        """Clockwise degrees to turn the picture for display, a multiple of 90."""
        if self.frame is None:
            return 0
        return round(-self.frame.rotation / QUARTER_TURN) * QUARTER_TURN % 360


def _describe(stream: Stream, look: _Look | None, zero: Fraction) -> StreamInfo:
    known = has_decoder(stream)
    base = StreamInfo(
        index=stream.index,
        kind=_kind(stream),
        codec=codec_name(stream),
        profile=stream.profile if known else None,
        time_base=str(stream.time_base) if stream.time_base else "1/1",
        start_s=_seconds(stream, stream.start_time, zero),
        duration_s=_seconds(stream, stream.duration, Fraction(0)),
        bit_rate=getattr(stream.codec_context, "bit_rate", None) or None,
        language=stream.language,
        is_default=bool(stream.disposition & Disposition.default),
        is_cover=is_cover(stream),
    )
    if known and isinstance(stream, VideoStream):
        return _with_video(base, stream, look)
    if known and isinstance(stream, AudioStream):
        context = stream.codec_context
        return _replace(
            base, sample_rate=context.sample_rate or None, channels=context.channels or None, layout=context.layout.name
        )
    return base


def _with_video(base: StreamInfo, stream: VideoStream, look: _Look | None) -> StreamInfo:
    context = stream.codec_context
    rate = stream.average_rate or stream.guessed_rate
    aspect = stream.sample_aspect_ratio
    frame = look.frame if look is not None else None
    return _replace(
        base,
        width=context.width or None,
        height=context.height or None,
        rotation=look.rotation if look is not None else 0,
        sample_aspect=f"{aspect.numerator}/{aspect.denominator}" if aspect else "1/1",
        frame_rate=float(rate) if rate else None,
        is_vfr=look.is_vfr if look is not None else False,
        pix_fmt=context.pix_fmt,
        bit_depth=context.format.components[0].bits if context.format and context.format.components else None,
        hdr=hdr_of(frame.color_trc if frame is not None else context.color_trc),
        is_interlaced=context.field_order > PROGRESSIVE or bool(frame and frame.interlaced_frame),
    )


def _replace(info: StreamInfo, **changes: object) -> StreamInfo:
    values = {name: getattr(info, name) for name in info.__struct_fields__}
    return StreamInfo(**{**values, **changes})


def hdr_of(transfer: int) -> Literal["pq", "hlg"] | None:
    """Return the kind of HDR of a transfer characteristic (ITU-T H.273); None for SDR."""
    if transfer == TRC_PQ:
        return "pq"
    return "hlg" if transfer == TRC_HLG else None


_KINDS: dict[str, StreamKind] = {
    "video": "video",
    "audio": "audio",
    "subtitle": "subtitle",
    "attachment": "attachment",
}


def _kind(stream: Stream) -> StreamKind:
    return _KINDS.get(stream.type, "data")


def _seconds(stream: Stream, ticks: int | None, zero: Fraction) -> float | None:
    if ticks is None or stream.time_base is None:
        return None
    return float(ticks * stream.time_base - zero)


def _duration(media: Media, layout: Layout, problems: list[Problem]) -> Fraction:
    """Return the length of the recording; reads all of it if the header has no length, or a wrong one."""
    stated = stated_duration(media, layout)
    shortfall = find_shortfall(media, layout)
    if shortfall is not None:
        return _shortened(media, layout, shortfall, stated, problems)
    if media.index is not None and media.index.jumps:
        problems.append(_restarts(len(media.index.jumps)))
        return media.index.duration_s
    if stated is not None and not _must_be_read(media):
        return stated
    if stated is None and not media.container.duration:
        text = "The header does not give the length; it was measured by reading the file."
        problems.append(_problem("no_duration", text))
    clock = ClockRepair()
    measured = _measure(media, clock)
    if clock.jumps:
        problems.append(_restarts(len(clock.jumps)))
        return measured
    return max(measured, Fraction(0)) if stated is None else stated


def _restarts(count: int) -> Problem:
    text = f"The clock of the recording restarts {count} times; it is played continuously."
    return _problem("clock_restarts", text)


def _shortened(
    media: Media, layout: Layout, shortfall: Shortfall, stated: Fraction | None, problems: list[Problem]
) -> Fraction:
    """Return the actual length of a truncated file, and record what is missing."""
    clock = ClockRepair()
    there = indexed_end_s(media) if _is_indexed(media, layout) else _measure(media, clock)
    if there is None or there <= 0:
        raise MediaError(TRUNCATED, "its header is here, but none of the recorded media")
    if clock.jumps:
        problems.append(_restarts(len(clock.jumps)))
    if shortfall.is_of_index:
        problems.append(_problem("truncated", "The file ends inside its index (moov): some of its tracks are lost."))
        return there
    if stated is not None and stated > there + SLACK_S:
        whole = f"{float(stated):.1f} s"
    elif shortfall.announced_bytes is not None:
        whole = f"about {float(there) * shortfall.announced_bytes / media.size_bytes:.1f} s"
    else:
        text = f"The file breaks off at {float(there):.1f} s; how much is missing after that is not known."
        problems.append(_problem("truncated", text))
        return there
    problems.append(_problem("truncated", f"The file ends at {float(there):.1f} s of {whole}; the rest is missing."))
    return there


def _is_indexed(media: Media, layout: Layout) -> bool:
    """Return whether the container's own index lists every packet."""
    return "mov" in media.container.format.name.split(",") and not layout.is_fragmented


def _must_be_read(media: Media) -> bool:
    """Return whether the length must be found by reading, because the header's may be of the last piece only.

    A remote file is read in full only if a few places of it show several pieces; its packet index, made at ingest, is
    certain.
    """
    if not may_restart(media) or media.index is not None:
        return False
    return not media.reader.is_remote or not seems_straight(media)


def _measure(media: Media, clock: ClockRepair) -> Fraction:
    """Return the time from the container's start to the end of the last packet; read to the end, unless indexed."""
    container = media.container
    zero = last = zero_s(container)
    streams = [s for s in container.streams if is_usable(s)]
    restarts = may_restart(media)
    timer = PacketTimer(media.container)
    to_start(media)
    try:
        for packet in media.container.demux(media.current(streams)):
            piece = timer.piece(packet)
            if piece is None or is_cut_off(packet, media):
                continue
            if restarts:
                piece = piece.moved(clock.note(piece.stream, packet.pos, piece.decoded_s, piece.duration * piece.base))
            last = max(last, (piece.pts + piece.duration) * piece.base)
    except AV_ERRORS as exc:
        if last == zero:
            raise as_media_error(exc) from exc
    return last - zero


def _problem(code: str, message: str, stream: int | None = None) -> Problem:
    return Problem(code=code, message=message, stream=stream)


def _problems(
    media: Media, layout: Layout, streams: list[StreamInfo], look: _Look, duration: Fraction
) -> list[Problem]:
    usable = {s.index for s in media.container.streams if is_usable(s)}
    problems = _file_problems(layout, duration, zero_s(media.container))
    problems += _content_problems([s for s in streams if s.index in usable])
    if look.has_hidden:
        problems.append(_problem("edit_list", "An edit list hides the first pictures."))
    if look.failed:
        problems.append(_problem("undecodable", "The first pictures cannot be decoded.", look.stream))
    for stream in streams:
        if stream.kind in {"video", "audio"} and stream.index not in usable and not stream.is_cover:
            text = f"The codec {stream.codec} of this stream cannot be decoded."
            problems.append(_problem("unsupported_codec", text, stream.index))
    return problems


def _file_problems(layout: Layout, duration: Fraction, zero: Fraction) -> list[Problem]:
    problems: list[Problem] = []
    if layout.moov_is_last:
        text = "The index is at the end of the file: players must load the whole file before they start."
        problems.append(_problem("moov_at_end", text))
    if duration <= 0:
        problems.append(_problem("unknown_duration", "The length of the recording could not be found."))
    if zero < 0:
        problems.append(_problem("negative_start", "The clock of the recording starts below zero."))
    return problems


def _content_problems(usable: list[StreamInfo]) -> list[Problem]:
    problems: list[Problem] = []
    audio = [s for s in usable if s.kind == "audio"]
    if not audio:
        text = "There is no sound to listen to: highlights come from the audience alone."
        problems.append(_problem("no_audio", text))
    if not any(s.kind == "video" for s in usable):
        problems.append(_problem("no_video", "There are no moving images: clips are sound only."))
    if len(audio) > 1:
        text = f"There are {len(audio)} sound tracks; clips use one of them."
        problems.append(_problem("several_audio", text))
    for stream in usable:
        if stream.start_s is not None and stream.start_s > LATE_START_S:
            text = f"This stream starts {stream.start_s:.3f} s after the recording."
            problems.append(_problem("late_start", text, stream.index))
    return problems
