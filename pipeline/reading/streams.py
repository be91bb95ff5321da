"""Chooses the streams of a recording, and defines its time 0.

In the whole pipeline, time 0 is the container's start: the earliest first picture or sound, as in FFmpeg and players.
For people, a transport stream whose clock starts at 90 s begins at 0.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from pipeline.errors import NO_STREAMS, MediaError

AV_TIME_BASE = Fraction(1, av.time_base)
LONGER = 2
"""Another video track is used instead of FFmpeg's choice only if it is this many times as long."""
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""The tag in which Matroska writers store the length of a track."""
_ROUNDING_S = Fraction(2, av.time_base)
"""The container's start is the streams' own, rounded to microseconds."""


@dataclass(frozen=True)
class Selection:
    """The streams that clips are made from, at least one of the two."""

    video: VideoStream | None
    audio: AudioStream | None

    @property
    def main(self) -> VideoStream | AudioStream:
        """The stream on which cuts are planned: video, if any."""
        return cast("VideoStream | AudioStream", self.video or self.audio)

    @property
    def all(self) -> list[VideoStream | AudioStream]:
        """The existing streams, video first."""
        return [stream for stream in (self.video, self.audio) if stream is not None]


def is_cover(stream: Stream) -> bool:
    """Return whether a stream is an attached picture (cover art, thumbnail), not a moving image."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def has_decoder(stream: Stream) -> bool:
    """Return whether a decoder for this stream is built in."""
    context: object | None = stream.codec_context
    return context is not None


def is_usable(stream: Stream) -> bool:
    """Return whether a stream can be decoded: its codec is known and its parameters were found."""
    if not has_decoder(stream) or is_cover(stream):
        return False
    if isinstance(stream, VideoStream):
        return bool(stream.width and stream.height and stream.pix_fmt)
    return isinstance(stream, AudioStream) and bool(stream.codec_context.sample_rate and stream.codec_context.channels)


def find_streams(container: InputContainer) -> Selection | None:
    """Return the best usable video and audio stream, or None when there is neither."""
    video = [s for s in container.streams.video if is_usable(s)]
    audio = [s for s in container.streams.audio if is_usable(s)]
    if not video and not audio:
        return None
    best_video = next((s for s in video if s is container.streams.best("video")), video[0] if video else None)
    best_audio = next((s for s in audio if s is container.streams.best("audio")), audio[0] if audio else None)
    return Selection(video=_longest(best_video, video), audio=best_audio)


def _longest(best: VideoStream | None, streams: list[VideoStream]) -> VideoStream | None:
    """Return FFmpeg's best stream, or another that is far longer, since a title of two seconds is not the recording."""
    if best is None:
        return None
    longest = max(streams, key=stream_length_s)
    return longest if stream_length_s(longest) > LONGER * stream_length_s(best) > 0 else best


def stream_length_s(stream: Stream) -> Fraction:
    """Return a stream's length by the container, else 0."""
    if stream.duration and stream.time_base:
        return Fraction(stream.duration * stream.time_base)
    found = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if found is None:
        return Fraction(0)
    hours, minutes, seconds = found.groups()
    return Fraction(int(hours) * 3600 + int(minutes) * 60) + Fraction(seconds)


def select_streams(container: InputContainer) -> Selection:
    """Return the best usable video and audio stream; MediaError NO_STREAMS when there is neither."""
    selection = find_streams(container)
    if selection is None:
        raise MediaError(NO_STREAMS)
    return selection


def codec_name(stream: Stream) -> str:
    """Return the name of a stream's codec, or the container's tag if FFmpeg does not know it."""
    if has_decoder(stream):
        return str(stream.codec_context.codec.canonical_name)
    name = getattr(stream, "name", None)
    return str(name) if name else "of an unknown codec"


def zero_s(container: InputContainer) -> Fraction:
    """Return the timestamp, in seconds of the container's own clock, that is time 0 of the recording."""
    stated: int | None = container.start_time
    if stated is None:
        return Fraction(0)
    start = stated * AV_TIME_BASE
    exact = [
        s.start_time * s.time_base
        for s in container.streams
        if s.type in {"video", "audio"} and s.start_time is not None and s.time_base
    ]
    return min((e for e in exact if abs(e - start) <= _ROUNDING_S), key=lambda e: abs(e - start), default=start)
