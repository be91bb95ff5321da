"""Listening to a recording once: one decode pass from any media into a `Timeline`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from pipeline.errors import DECODE_FAILED, NO_AUDIO, NOT_MEDIA, TOO_LONG, UNSUPPORTED, MediaError
from pipeline.listening.analysis import Analysis, analysing
from pipeline.listening.tagging.tagger import Tagger
from pipeline.listening.timeline_builder import TOLERANCE_S, TimelineBuilder
from pipeline.listening.timeline_file import Timeline, TimelineFormatError
from pipeline.reading.clock import Jump, offset_at
from pipeline.reading.demux import PacketTimer, may_restart, to_start
from pipeline.reading.index import open_indexed
from pipeline.reading.media import ALLOWED_FORMATS, as_media_error
from pipeline.reading.packets import PacketIndex
from pipeline.reading.streams import find_streams, has_decoder, zero_s
from pipeline.types import Problem, Source

__all__ = ["Timeline", "TimelineBuilder", "TimelineFormatError", "build_timeline", "listen"]

CHUNK_S: Final = 4
"""Seconds of sound in one call of the analysis, which runs beside the decoder: few calls, and little memory."""
MAX_GAP_S: Final = 3600.0
"""A timestamp further ahead than this is a broken clock, not a gap, and sound continues where it was."""
OVERRUN_S: Final = 10.0
"""How far sound may exceed the container's duration before its timestamps count as wrong."""


def build_timeline(
    location: Source | str | Path | BinaryIO,
    *,
    stream_index: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    tagger: Tagger | None = None,
    longest_s: float | None = None,
) -> Timeline:
    """Decode one audio stream of a recording (a path, a URL, or a binary file object) once; return its timeline.

    `stream_index` is the container's index of the stream; None selects the one that players use. `on_progress` is
    called with 0..1. With `tagger`, the timeline has its rows. Memory is constant except for the timeline itself (6 MB
    an hour). Damaged places become silence and are listed in `problems`. Raises MediaError: NO_AUDIO, UNSUPPORTED,
    those of `open_media`, DECODE_FAILED if nothing could be decoded, or TOO_LONG as soon as there is sound after
    `longest_s`, whatever the container says.

    If a recording's clock restarts, its packet index has the offsets (see `open_indexed`).
    """
    with _open(location) as (container, index):
        jumps = index.jumps if index is not None else ()
        length_s = float(index.duration_s) if index is not None and index.duration_s > 0 else None
        return listen(
            container,
            stream_index=stream_index,
            on_progress=on_progress,
            jumps=jumps,
            length_s=length_s,
            tagger=tagger,
            longest_s=longest_s,
        )


def listen(  # noqa: PLR0913 - keyword-only
    container: InputContainer,
    *,
    stream_index: int | None = None,
    on_progress: Callable[[float], None] | None = None,
    jumps: Sequence[Jump] = (),
    length_s: float | None = None,
    tagger: Tagger | None = None,
    longest_s: float | None = None,
) -> Timeline:
    """Do the same as `build_timeline` on a container that is already open, from its start. Other streams are discarded.

    `jumps` are the restarts of its clock, `length_s` its length, if known better than from its header.
    """
    stream = _choose_stream(container, stream_index)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    listener = _Listener(container, stream, on_progress, jumps=jumps, length_s=length_s, longest_s=longest_s)
    return listener.run(TimelineBuilder(start_s=listener.origin_s, tagger=tagger))


@contextmanager
def _open(location: Source | str | Path | BinaryIO) -> Iterator[tuple[InputContainer, PacketIndex | None]]:
    if isinstance(location, Source | str | Path):
        with open_indexed(location) as media:
            if media.index is not None and may_restart(media):
                to_start(media)  # it may have been read through for its index
            yield media.container, media.index
        return
    try:
        opened = av.open(
            location,
            mode="r",
            container_options={"format_whitelist": ALLOWED_FORMATS, "protocol_whitelist": ""},
            metadata_errors="replace",
        )
    except (FFmpegError, ValueError) as error:
        raise MediaError(NOT_MEDIA) from error
    with opened:
        yield opened, None


def _choose_stream(container: InputContainer, index: int | None) -> AudioStream:
    if index is None:
        selection = find_streams(container)
        if selection is not None and selection.audio is not None:
            return selection.audio
    for stream in container.streams.audio:
        if index is not None and stream.index != index:
            continue
        if not has_decoder(stream):
            raise MediaError(UNSUPPORTED, stream=stream.index)
        return stream
    raise MediaError(NO_AUDIO, "" if index is None else f"stream {index} is not a sound stream")


class _Listener:
    """One decode pass. Frames are collected for seconds at a time and analysed in another thread."""

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        container: InputContainer,
        stream: AudioStream,
        on_progress: Callable[[float], None] | None,
        *,
        jumps: Sequence[Jump],
        length_s: float | None,
        longest_s: float | None,
    ) -> None:
        self._longest_s = longest_s
        self._container = container
        self._jumps = jumps
        self._place = 0
        self._stream = stream
        self._on_progress = on_progress
        self.origin_s = float(zero_s(container))
        self._tick_s = float(stream.time_base or 1 / av.time_base)
        stated_s = container.duration / av.time_base if container.duration else None
        self._length_s = stated_s if length_s is None else length_s
        self._fifo = AudioFifo()
        self._layout: tuple[str, int, int] | None = None
        self._chunk_start_s = 0.0
        self._chunk_samples = 0
        self._frames = 0
        self._timer = PacketTimer(container)
        self._problems = _ProblemLog(stream.index)

    def run(self, builder: TimelineBuilder) -> Timeline:
        """Decode everything into a builder; return the timeline."""
        with analysing(builder) as analysis:
            for frame in self._frames_of_stream():
                self._gather(frame, analysis)
            self._hand_over(analysis)
            if not self._frames:
                raise MediaError(DECODE_FAILED, "no sound came out of it", stream=self._stream.index)
            return analysis.finish(self._problems.all())

    def _frames_of_stream(self) -> Iterator[AudioFrame]:
        """Yield decodable frames; damage is recorded, and later timestamps show its length."""
        index = self._stream.index
        try:
            for packet in self._container.demux(self._stream):
                if packet.stream_index != index:  # a discarded stream may leak one
                    continue
                self._timer.repair(packet)  # type: ignore[arg-type] # packets of any stream will do
                if self._jumps:
                    self._straighten(packet)
                try:
                    yield from packet.decode()
                except (FFmpegError, ValueError) as error:
                    if not isinstance(error, av.error.EOFError):
                        self._problems.note("audio_damaged", "The sound could not be decoded", self._position_s())
        except av.error.EOFError:
            return
        except (FFmpegError, ValueError) as error:
            failure = as_media_error(error, stream=self._stream.index, time_s=self._position_s())
            if failure.retryable or not self._frames:
                raise failure from error
            self._problems.note("audio_ends_early", "What follows could not be read", self._position_s())

    def _straighten(self, packet: "Packet[AudioStream]") -> None:
        """Shift a packet's times by the clock's jumps before its place in the file."""
        self._place = packet.pos if packet.pos is not None else self._place
        ticks = round(offset_at(self._jumps, self._place) / Fraction(packet.time_base))
        if packet.pts is not None:
            packet.pts += ticks
        if packet.dts is not None:
            packet.dts += ticks

    def _gather(self, frame: AudioFrame, analysis: Analysis) -> None:
        """Append a frame to the collected ones, unless its format or time begins a new run."""
        rate = frame.sample_rate
        layout = (frame.format.name, frame.layout.nb_channels, rate)
        if layout != self._layout:
            self._hand_over(analysis)
            self._layout, self._fifo = layout, AudioFifo()
        pts = frame.pts
        if pts is not None:
            time_s = pts * self._tick_s - self.origin_s
            expected_s = self._chunk_start_s + self._chunk_samples / rate
            if not -TOLERANCE_S <= time_s - expected_s <= TOLERANCE_S:
                self._hand_over(analysis)
                self._chunk_start_s = self._continued_at(time_s, expected_s)
            frame.pts = None  # the FIFO would require sample-exact timestamps
        self._frames += 1
        self._fifo.write(frame)
        self._chunk_samples += frame.samples
        if self._chunk_samples >= CHUNK_S * rate:
            self._hand_over(analysis)

    def _position_s(self) -> float:
        """Return the time of the next sample if nothing is missing."""
        return self._chunk_start_s + (self._chunk_samples / self._layout[2] if self._layout else 0.0)

    def _continued_at(self, time_s: float, expected_s: float) -> float:
        """Return the time at which sound continues if its timestamp is not the expected one."""
        end_s = expected_s + MAX_GAP_S if self._length_s is None else self._length_s + OVERRUN_S
        if expected_s - OVERRUN_S <= time_s <= min(end_s, expected_s + MAX_GAP_S):
            if time_s > expected_s and self._frames:
                self._problems.note("audio_gap", f"{time_s - expected_s:.1f} s of sound are missing", expected_s)
            return time_s
        self._problems.note("audio_clock_jumps", f"The clock jumps by {time_s - expected_s:.1f} s", expected_s)
        self.origin_s += time_s - expected_s
        return expected_s

    def _hand_over(self, analysis: Analysis) -> None:
        """Queue the collected sound for analysis, and wait if analysis is behind."""
        frame = self._fifo.read()
        if frame is None:
            return
        start_s = self._chunk_start_s
        if self._longest_s is not None and start_s > self._longest_s:
            raise MediaError(TOO_LONG, f"it goes on after {self._longest_s / 3600:.1f} h")
        self._chunk_start_s, self._chunk_samples = self._position_s(), 0
        analysis.add(frame, start_s)
        if self._on_progress is not None and self._length_s:
            self._on_progress(min(1.0, max(0.0, start_s / self._length_s)))


class _ProblemLog:
    """Problems by code: the first of each with its time, and the number of repeats."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._first: dict[str, tuple[str, float]] = {}
        self._count: dict[str, int] = {}

    def note(self, code: str, message: str, time_s: float) -> None:
        """Add one occurrence."""
        self._first.setdefault(code, (message, time_s))
        self._count[code] = self._count.get(code, 0) + 1

    def all(self) -> Iterator[Problem]:
        """Yield one problem a code."""
        for code, (message, time_s) in self._first.items():
            again = self._count[code] - 1
            text = f"{message} at {time_s:.1f} s" + (f", and in {again} more places" if again else "")
            yield Problem(code=code, message=text, stream=self._stream, time_s=time_s)
