"""Turns the times a person asks for into exact ones on the recording's own clock."""

import math
from fractions import Fraction

from av.container import InputContainer
from av.stream import Stream

from pipeline.errors import OUT_OF_RANGE, MediaError
from pipeline.reading.container.truncation import find_shortfall, indexed_end_s
from pipeline.reading.format.isobmff import Layout, read_layout
from pipeline.reading.media import Media
from pipeline.reading.streams import AV_TIME_BASE, is_usable, stream_length_s, zero_s

END_SLACK_S = Fraction(1, 4)
"""An end this little beyond the recording is rounding (or the last packet's length) and means its end."""
LATE_START_S = 1
"""A clock that starts later than this sets the time of the end clearly apart from the length."""
EARLY_START_S = -END_SLACK_S
"""One that starts before this does so too; what encoders put before the first sound is shorter."""
BARE_FORMATS = frozenset({"aac", "mp3", "ac3", "eac3", "dts", "amr", "h264", "hevc", "m4v", "mpegvideo", "obu"})
"""Bare streams have no header that tells how long they are: FFmpeg guesses from the bit rate."""

COUNTED_FORMATS = frozenset(
    {"h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "cavsvideo", "vc1", "h263", "h261", "dirac"}
    | {"mjpeg", "dnxhd", "av1"}
)
"""Bare pictures: FFmpeg gives them no times, or times that leave out the delay of the decoder. They are counted."""


def outer_layout(media: Media) -> Layout:
    """Read the outer boxes (of MP4 and MOV) without disturbing the demuxer."""
    position = media.reader.tell()
    layout = read_layout(media.reader, media.size_bytes)
    media.reader.seek(position)
    return layout


def stated_duration(media: Media, layout: Layout) -> Fraction | None:
    """Return the length that the header tells, or None where it tells none or only guesses."""
    stated: int | None = media.container.duration
    if not stated or stated < 0 or layout.is_fragmented or is_bare(media) or _may_count_from_zero(media):
        return None
    return min(stated * AV_TIME_BASE, _media_end(media) or stated * AV_TIME_BASE)


def _media_end(media: Media) -> Fraction | None:
    """Return when sound and pictures end by what the header says of each; None where it does not say of all.

    The length of the whole file covers subtitles and data too, which do not make a recording longer.
    """
    usable = [stream for stream in media.container.streams if is_usable(stream)]
    lengths = [stream_length_s(stream) for stream in usable]
    if not usable or len(usable) == len(media.container.streams) or not all(lengths):
        return None
    zero = zero_s(media.container)
    return max(length + _start_s(stream, zero) for stream, length in zip(usable, lengths, strict=True))


def _start_s(stream: Stream, zero: Fraction) -> Fraction:
    """Return when a stream begins; Matroska's note of its length counts from the recording's start already."""
    if not stream.duration or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base - zero


def _may_count_from_zero(media: Media) -> bool:
    """Whether the length may be the time of the end: some programs write that into Matroska.

    It matters where the clock starts late, or below zero.
    """
    is_matroska = "matroska" in media.container.format.name.split(",")
    return is_matroska and not EARLY_START_S <= zero_s(media.container) <= LATE_START_S


def known_duration(media: Media) -> Fraction | None:
    """Return the length of an open recording where its index or its header tells, None where nothing does.

    Of an MP4 or MOV that ends early it is that of what is there: beyond it, its header would promise silence.
    """
    if media.index is not None and media.index.duration_s > 0:
        return media.index.duration_s
    layout = outer_layout(media)
    stated = stated_duration(media, layout)
    if stated is None or "mov" not in media.container.format.name.split(",") or find_shortfall(media, layout) is None:
        return stated
    return indexed_end_s(media)


def is_bare(media: Media) -> bool:
    """Whether the file is a bare stream, whose length FFmpeg can only guess."""
    return bool(BARE_FORMATS & set(media.container.format.name.split(",")))


def is_counted(container: InputContainer) -> bool:
    """Whether the recording has no times of its own: its packets are counted from the start, at an even rate."""
    stands_still = "rm" in container.format.name.split(",") and container.duration == 0 and not container.streams.video
    return stands_still or is_bare_pictures(container)


def is_bare_pictures(container: InputContainer) -> bool:
    """Whether the file is a bare stream of pictures."""
    return bool(COUNTED_FORMATS & set(container.format.name.split(",")))


def check_range(media: Media, start_s: float, end_s: float, duration: Fraction | None) -> tuple[Fraction, Fraction]:
    """Return [start, end) on the container's clock; MediaError OUT_OF_RANGE for times that make no clip.

    `duration` is the recording's length where it is known; an end just beyond it is moved to it.
    """
    if not (math.isfinite(start_s) and math.isfinite(end_s)):
        raise MediaError(OUT_OF_RANGE, "start and end must be numbers")
    if start_s < 0:
        raise MediaError(OUT_OF_RANGE, f"the start, {start_s:g} s, is negative")
    if start_s >= end_s:
        raise MediaError(OUT_OF_RANGE, f"the start, {start_s:g} s, is not before the end, {end_s:g} s")
    start, end = exact(start_s), exact(end_s)
    if duration is not None:
        if start >= duration or end > duration + END_SLACK_S:
            asked = f"{start_s:g} to {end_s:g} s"
            raise MediaError(OUT_OF_RANGE, f"{asked} was asked for, the recording is {float(duration):.3f} s long")
        end = min(end, duration)
    zero = zero_s(media.container)
    return zero + start, zero + end


def exact(seconds: float) -> Fraction:
    """Return a time to the nearest 10 µs: what a person or a JSON number means, without binary dust."""
    return Fraction(round(seconds * 100_000), 100_000)
