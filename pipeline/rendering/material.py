"""The material of a clip: a local file, its streams, and the clip's times in it."""

import contextlib
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import median

import av
from msgspec import Struct
from msgspec.structs import replace

from pipeline.cutting.plan import STANDSTILL_S, STANDSTILL_STEPS
from pipeline.cutting.stretch.extract import StretchReport, extract_stretch
from pipeline.cutting.stretch.reference import Reference
from pipeline.errors import ENCODE_FAILED, OUT_OF_RANGE, MediaError
from pipeline.reading.media import AV_ERRORS, open_media
from pipeline.reading.probe import hdr_of, probe_media
from pipeline.reading.streams import zero_s
from pipeline.types import Probe, Problem, Source, StreamInfo

HD_LINES = 720
"""Colours of unmarked video are BT.709 from this height on and BT.601 below, as in players."""
ROUNDING_S = Fraction(1, 1000)
"""Times from people and JSON are rounded to milliseconds, so a frame this little after the start counts as at it."""
HELD_FRAMES = Fraction(3, 2)
"""A last frame that should show for more than this many of its durations is held by repeating it."""
CLOCK = 90_000
"""Ticks a second: whole for 24, 25, 30, 50, 60 and 30000/1001, and 6 µs off at the worst."""
LEAST_CLOCK = 10_000
FALLBACK_FRAME = Fraction(1, 25)


def clock_for(frame_rate: float | None) -> int:
    """Return a tick rate with a whole number of ticks a frame: 90,000 except for rates such as 24/1.001."""
    if not frame_rate:
        return CLOCK
    rate = Fraction(frame_rate).limit_denominator(1001)
    if rate <= 0 or (CLOCK * rate.denominator) % rate.numerator == 0 or rate.numerator < LEAST_CLOCK:
        return CLOCK
    return rate.numerator


class Material(Struct, frozen=True, kw_only=True):
    """The part of a local file that becomes a clip. Times are the file's own timestamps, in seconds, exact.

    `shown_from` is the time of the frame on the screen at `start` (earlier than `start` if the frame rate varies or the
    cut is between two frames); `held` is how long the last frame must be repeated to reach `end`.
    """

    name: str
    """File name inside the scratch folder."""
    start: Fraction
    end: Fraction
    video: StreamInfo | None
    audio: StreamInfo | None
    shown_from: Fraction = Fraction(0)
    held: Fraction = Fraction(0)
    last_shown: Fraction = Fraction(0)
    """The time of the last frame."""
    is_even: bool = True
    """Whether all frames follow each other in even, short steps."""
    unmarked_matrix: str | None = None
    """The colour matrix to assume (`bt709`, `smpte170m`); None if the file states it or colours are RGB."""

    @property
    def clock(self) -> int:
        """Ticks a second of the picture's times."""
        return clock_for(self.video.frame_rate if self.video else None)

    @property
    def duration_s(self) -> float:
        """Length of the clip in seconds."""
        return float(self.end - self.start)


class Segment(Struct, frozen=True, kw_only=True):
    """A stretch of a recording as a local file, from the keyframe before it on.

    `start_s` and `end_s` are the requested times, counted from the file's own start.
    """

    path: Path
    is_faithful: bool
    """Whether the copy states all that the source does about its streams; if not, only `material` has their shape."""
    decoded: Problem | None
    """Why the pictures were decoded while reading; None if the file has the recording's own packets."""
    decoded_sound: str | None
    """The codec of the recording's sound if that was decoded while reading."""
    notes: list[Problem]
    reference: Reference
    moved_s: Fraction
    """The offset of the material's start from the requested one, to begin with a whole picture (negative)."""
    start_s: float
    end_s: float
    probe: Probe
    material: Material
    bytes_read: int


def fetch(  # noqa: PLR0913 - keyword-only
    source: Source | str | Path,
    *,
    out: Path,
    start_s: float,
    end_s: float,
    must_decode: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Segment:
    """Bring a stretch of a recording into a local file and return it as material.

    `out` has no suffix: the container is the one that keeps most of the source's properties. Properties of the streams
    (rotation, HDR, rhythm) are read from the copy, so the source is read once; those of decoded pictures were recorded
    during decoding. MediaError `out_of_range` and those of opening a recording.
    """
    made = _extract(source, out, start_s, end_s, must_decode=must_decode, on_progress=on_progress)
    path = Path(made.path)
    with open_media(path) as media:
        zero = zero_s(media.container)
        found = probe_media(media)
    # Not counted from the first packet: decoders drop the delay of AAC and Opus, and NUT may not state its start.
    offset = (made.begin_s - zero).limit_denominator(1_000_000)
    duration = Fraction(made.duration_s).limit_denominator(1_000_000)
    video, audio = _stream(found, found.video), _stream(found, found.audio)
    is_faithful = made.decoded is None and (video is None or video.sample_aspect == made.sample_aspect)
    if video is not None:
        video = _as_recorded(video, made)
    material = look_at(
        path.parent, path.name, start=zero + offset, end=zero + offset + duration, streams=(video, audio)
    )
    if made.shape is not None:
        material = replace(material, unmarked_matrix=made.shape.matrix or material.unmarked_matrix)
    return Segment(
        path=path,
        start_s=float(offset),
        end_s=float(offset + duration),
        probe=found,
        is_faithful=is_faithful,
        decoded=made.decoded,
        decoded_sound=made.decoded_sound,
        notes=made.notes,
        reference=made.reference,
        moved_s=material.start - zero - offset,
        material=material,
        bytes_read=made.bytes_read,
    )


def _as_recorded(video: StreamInfo, made: StretchReport) -> StreamInfo:
    """Return the copy's video stream, corrected by the recording's."""
    video = replace(video, sample_aspect=made.sample_aspect)
    if made.shape is None:
        return video
    return replace(video, rotation=made.shape.rotation, hdr=hdr_of(made.shape.color_trc), is_interlaced=False)


def _extract(  # noqa: PLR0913 - as `fetch`
    source: Source | str | Path,
    out: Path,
    start_s: float,
    end_s: float,
    *,
    must_decode: bool,
    on_progress: Callable[[float], None] | None,
) -> StretchReport:
    """Copy the streams that a container carries without loss; decode the pictures if writing the copy fails."""
    try:
        return extract_stretch(
            source, start_s=start_s, end_s=end_s, out=out, must_decode=must_decode, on_progress=on_progress
        )
    except MediaError as exc:
        if exc.cause is not ENCODE_FAILED or must_decode:
            raise
    return extract_stretch(source, start_s=start_s, end_s=end_s, out=out, must_decode=True, on_progress=on_progress)


def _stream(found: Probe, index: int | None) -> StreamInfo | None:
    return None if index is None else found.stream(index)


def look_at(
    folder: Path, name: str, *, start: Fraction, end: Fraction, streams: tuple[StreamInfo | None, StreamInfo | None]
) -> Material:
    """Read the packet times of a local file and return the material of a clip from `start` to `end`.

    The clip begins with the frame on the screen at `start`, at that frame's own time unless it was shown for long
    before.

    `streams` are the video and audio stream of that file. MediaError `out_of_range` if neither picture nor sound
    reaches into the clip.
    """
    video, audio = streams
    if video is None:
        return Material(name=name, start=start, end=end, video=None, audio=audio)
    with av.open(str(folder / name)) as container:
        stream = container.streams[video.index]
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - the probe said so
        matrix = _assumed_matrix(stream, video)
        times, begins_whole = _frame_times(container, stream)
        place = container.streams.video.index(stream)
    if not begins_whole:  # a broadcast recorded from its middle: pictures before the first keyframe are never shown
        first = _first_shown(folder / name, place)
        times = [] if first is None else [(time, length) for time, length in times if time >= first]
    shown = _shown_at(times, start)
    if shown is not None and abs(start - shown) < min(STANDSTILL_S, Fraction(STANDSTILL_STEPS) * _usual_step(times)):
        # An even rhythm from the first frame on: picture and sound move together, by less than a frame.
        start, end = shown, end - (start - shown)
    inside = [(time, length) for time, length in times if time < end]
    if not inside:  # the picture before the clip stays on the screen if none follows
        if audio is None:
            raise MediaError(OUT_OF_RANGE, "there is no picture between the start and the end", stream=video.index)
        return Material(name=name, start=start, end=end, video=None, audio=audio)
    last, length = inside[-1]
    gap = end - last
    held = gap - length if length and gap > length * HELD_FRAMES else Fraction(0)
    return Material(
        name=name,
        start=start,
        end=end,
        video=video,
        audio=audio,
        shown_from=inside[0][0] if shown is None else shown,
        held=held,
        last_shown=last,
        is_even=not held and shown == start and _is_even([time for time, _ in inside if time >= start]),
        unmarked_matrix=matrix,
    )


def _shown_at(times: list[tuple[Fraction, Fraction]], start: Fraction) -> Fraction | None:
    """Return the time of the frame on the screen at `start`, None before the first one."""
    at = bisect_right(times, start + ROUNDING_S, key=lambda pair: pair[0])
    return times[at - 1][0] if at else None


def _usual_step(times: list[tuple[Fraction, Fraction]]) -> Fraction:
    return median(_steps([time for time, _ in times]) or [FALLBACK_FRAME])


def _is_even(times: list[Fraction]) -> bool:
    steps = _steps(times)
    return not steps or max(steps) < min(STANDSTILL_S, HELD_FRAMES * median(steps))


def _steps(times: list[Fraction]) -> list[Fraction]:
    return [later - time for time, later in pairwise(times) if later > time]


def _frame_times(
    container: av.container.InputContainer, stream: av.VideoStream
) -> tuple[list[tuple[Fraction, Fraction]], bool]:
    """Return (time, nominal duration) of every frame in order of display, and whether they begin with a keyframe.

    Nothing is decoded.
    """
    rate = stream.average_rate or stream.base_rate
    nominal = 1 / Fraction(rate) if rate else FALLBACK_FRAME
    base = Fraction(stream.time_base) if stream.time_base else Fraction(1, 90000)
    found: list[tuple[Fraction, Fraction]] = []
    begins_whole = True
    for packet in container.demux(stream):
        if packet.size == 0 or packet.is_discard:
            continue
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            begins_whole = begins_whole if found else packet.is_keyframe
            found.append((stamp * base, packet.duration * base if packet.duration else nominal))
    return sorted(found), begins_whole


def _first_shown(path: Path, place: int) -> Fraction | None:
    """Return the time of the first frame that a decoder shows at this place, or None."""
    with contextlib.suppress(*AV_ERRORS), av.open(str(path)) as container:
        for frame in container.decode(video=place):
            if frame.pts is not None and frame.time_base is not None:
                return frame.pts * Fraction(frame.time_base)
    return None


def _assumed_matrix(stream: av.VideoStream, info: StreamInfo) -> str | None:
    context = stream.codec_context
    if int(context.colorspace) != _UNSPECIFIED or (info.pix_fmt or "").startswith(("gbr", "rgb", "bgr", "pal", "arg")):
        return None
    return "bt709" if (info.height or 0) >= HD_LINES else "smpte170m"


_UNSPECIFIED = 2
"""AVCOL_SPC_UNSPECIFIED."""
