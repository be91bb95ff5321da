"""Which streams of a recording count, and where its time begins.

Everywhere in the pipeline time 0 is the container's start: the earliest first picture or sound, as FFmpeg and players
count. A transport stream whose clock starts at 90 s still begins at 0 for a person.
"""

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
_ROUNDING_S = Fraction(2, av.time_base)
"""The container's start is the streams' own, rounded to microseconds."""


@dataclass(frozen=True)
class Selection:
    """The streams that clips are made from; at least one of them is there."""

    video: VideoStream | None
    audio: AudioStream | None

    @property
    def main(self) -> VideoStream | AudioStream:
        """The stream that cuts are planned on: video where there is some."""
        return cast("VideoStream | AudioStream", self.video or self.audio)

    @property
    def all(self) -> list[VideoStream | AudioStream]:
        """The streams there are, video first."""
        return [stream for stream in (self.video, self.audio) if stream is not None]


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture that belongs to the file as a whole (cover art, thumbnails), no moving image."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def has_decoder(stream: Stream) -> bool:
    """Whether a decoder for this stream is built in."""
    context: object | None = stream.codec_context
    return context is not None


def is_usable(stream: Stream) -> bool:
    """Whether a stream can be decoded: its codec is known and its parameters were found."""
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
    best_video = container.streams.best("video")
    best_audio = container.streams.best("audio")
    return Selection(
        video=next((s for s in video if s is best_video), video[0] if video else None),
        audio=next((s for s in audio if s is best_audio), audio[0] if audio else None),
    )


def select_streams(container: InputContainer) -> Selection:
    """Return the best usable video and audio stream; MediaError NO_STREAMS when there is neither."""
    selection = find_streams(container)
    if selection is None:
        codecs = sorted({s.type for s in container.streams})
        raise MediaError(NO_STREAMS, f"it holds only: {', '.join(codecs)}" if codecs else "")
    return selection


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
