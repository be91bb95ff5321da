"""Turns requested times into exact ones on the recording's own clock."""

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
"""An end this little beyond the recording is due to rounding (or the last packet's length), and means its end."""
LATE_START_S = 1
"""If the clock starts later than this, the time of the end clearly differs from the length."""
EARLY_START_S = -END_SLACK_S
"""The same holds for a clock that starts before this; encoders' padding before the first sound is shorter."""
BARE_FORMATS = frozenset({"aac", "mp3", "ac3", "eac3", "dts", "amr", "h264", "hevc", "m4v", "mpegvideo", "obu"})
"""Bare streams, whose header has no length; FFmpeg guesses it from the bit rate."""

COUNTED_FORMATS = frozenset(
    {"h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "cavsvideo", "vc1", "h263", "h261", "dirac"}
    | {"mjpeg", "dnxhd", "av1"}
)
"""Bare pictures, for which FFmpeg has no times, or times without the decoder's delay; they are counted instead."""


def outer_layout(media: Media) -> Layout:
    """Read the outer boxes (of MP4 and MOV) without disturbing the demuxer."""
    position = media.reader.tell()
    layout = read_layout(media.reader, media.size_bytes)
    media.reader.seek(position)
    return layout


def stated_duration(media: Media, layout: Layout) -> Fraction | None:
    """Return the length in the header, or None if it has none or only a guess."""
    stated: int | None = media.container.duration
    if not stated or stated < 0 or layout.is_fragmented or is_bare(media) or _may_count_from_zero(media):
        return None
    return min(stated * AV_TIME_BASE, _media_end(media) or stated * AV_TIME_BASE)


def _media_end(media: Media) -> Fraction | None:
    """Return the end of sound and pictures by their headers; None if one of them has none.

    The length of the whole file includes subtitles and data, which do not make a recording longer.
    """
    usable = [stream for stream in media.container.streams if is_usable(stream)]
    lengths = [stream_length_s(stream) for stream in usable]
    if not usable or len(usable) == len(media.container.streams) or not all(lengths):
        return None
    zero = zero_s(media.container)
    return max(length + _start_s(stream, zero) for stream, length in zip(usable, lengths, strict=True))


def _start_s(stream: Stream, zero: Fraction) -> Fraction:
    """Return the start of a stream; 0 in Matroska, whose tag counts the length from the recording's start."""
    if not stream.duration or stream.start_time is None or stream.time_base is None:
        return Fraction(0)
    return stream.start_time * stream.time_base - zero


def _may_count_from_zero(media: Media) -> bool:
    """Return whether the length may be the time of the end, which some programs write into Matroska.

    It matters if the clock starts late or below zero.
    """
    is_matroska = "matroska" in media.container.format.name.split(",")
    return is_matroska and not EARLY_START_S <= zero_s(media.container) <= LATE_START_S


def known_duration(media: Media) -> Fraction | None:
    """Return the length of an open recording by its index or header, or None.

    For a truncated MP4 or MOV it is the length of the existing data: after it, there would be silence.
    """
    if media.index is not None and media.index.duration_s > 0:
        return media.index.duration_s
    layout = outer_layout(media)
    stated = stated_duration(media, layout)
    if stated is None or "mov" not in media.container.format.name.split(",") or find_shortfall(media, layout) is None:
        return stated
    return indexed_end_s(media)


def is_bare(media: Media) -> bool:
    """Return whether the file is a bare stream, whose length FFmpeg can only guess."""
    return bool(BARE_FORMATS & set(media.container.format.name.split(",")))


def is_counted(container: InputContainer) -> bool:
    """Return whether the recording has no times, so that its packets are counted from the start at an even rate."""
    stands_still = "rm" in container.format.name.split(",") and container.duration == 0 and not container.streams.video
    return stands_still or is_bare_pictures(container)


def is_bare_pictures(container: InputContainer) -> bool:
    """Return whether the file is a bare stream of pictures."""
    return bool(COUNTED_FORMATS & set(container.format.name.split(",")))


def check_range(media: Media, start_s: float, end_s: float, duration: Fraction | None) -> tuple[Fraction, Fraction]:
    """Return [start, end) on the container's clock; MediaError OUT_OF_RANGE for impossible times.

    `duration` is the recording's length, if known; an end just beyond it is moved to it.
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
    """Return a time rounded to 10 µs, which removes the binary error of decimal numbers."""
    return Fraction(round(seconds * 100_000), 100_000)
