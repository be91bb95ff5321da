"""Decodes a whole finished file and compares it with its plan, before it is published."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.errors import LOUDNESS_MISSED, TOO_LARGE, VERIFY_FAILED, MediaError
from pipeline.limits import thread_count
from pipeline.reading.media import AV_ERRORS, open_media
from pipeline.reading.streams import Selection, select_streams, zero_s
from pipeline.rendering.check.ebur128 import Loudness, LoudnessMeter
from pipeline.rendering.check.resemblance import Comparison, Likeness

SOUND_TOLERANCE_S = Fraction(1, 10)
"""Tolerance of a sound file's length: encoders pad to whole packets."""
STEPS = 1.5
"""Tolerance of times, in pictures: one, and half of another because containers round times."""
SHORTEST_STEP_S = Fraction(1, 100)
LOUDNESS_TOLERANCE_LU = 0.5
"""EBU R128's tolerance for a finished programme."""
LARGEST_OVERLAP_S = Fraction(1, 100)
"""Sound may step back by this much if packets overlap or times were rounded; more is an error."""


class Expectation(Struct, frozen=True, kw_only=True):
    """The expected properties of a file; None means any.

    `duration_s` holds within one picture, or `tolerance_s`. `pictures` is the exact number of pictures. `lufs` holds
    within 0.5 LU, and `max_true_peak_db` (dBTP) is the highest peak.
    """

    duration_s: float | None = None
    tolerance_s: float | None = None
    video: bool | None = None
    audio: bool | None = None
    pictures: int | None = None
    width: int | None = None
    height: int | None = None
    max_bytes: int | None = None
    lufs: float | None = None
    max_true_peak_db: float | None = None
    likeness: Likeness | None = None
    """The expected resemblance to the recording."""

    @property
    def is_levelled(self) -> bool:
        """Whether a level of the sound is expected."""
        return self.lufs is not None or self.max_true_peak_db is not None


class LoudnessMissedError(MediaError):
    """A file is correct except for its level; `found` has the properties."""

    def __init__(self, found: Loudness, detail: str) -> None:
        self.found = found
        super().__init__(LOUDNESS_MISSED, detail)


class VerifyReport(Struct, frozen=True, kw_only=True):
    """The properties found by decoding. Offsets are sound minus picture, in seconds; None without both.

    `loudness` is measured only if a level is expected, else None.
    """

    duration_s: float
    pictures: int
    samples: int
    size_bytes: int
    start_offset_s: float | None
    end_offset_s: float | None
    loudness: Loudness | None = None


def verify(path: Path, expected: Expectation, *, watch: Callable[[VideoFrame], None] | None = None) -> VerifyReport:
    """Decode a whole file and compare it with its plan; `watch` gets every picture.

    Raises MediaError: TOO_LARGE, VERIFY_FAILED with the difference, its place and size, or, if nothing else is wrong,
    LOUDNESS_MISSED.
    """
    size_bytes = path.stat().st_size
    if expected.max_bytes is not None and size_bytes > expected.max_bytes:
        raise MediaError(TOO_LARGE, f"{size_bytes} bytes, the limit is {expected.max_bytes}")
    try:
        with open_media(path) as media:
            selection = select_streams(media.container)
            _check_streams(selection, expected)
            meter = LoudnessMeter() if expected.is_levelled and selection.audio is not None else None
            likeness = expected.likeness
            comparison = Comparison(likeness, zero_s(media.container)) if likeness is not None else None
            heard = _decode(media.container, selection, _Audience(watch, meter, comparison))
    except MediaError as exc:
        if exc.cause is VERIFY_FAILED:
            raise
        raise MediaError(VERIFY_FAILED, str(exc), stream=exc.stream, time_s=exc.time_s) from exc
    _check_content(heard, expected, selection)
    if comparison is not None:
        comparison.finish()
    loudness = meter.end() if meter is not None else None
    if loudness is not None:
        _check_loudness(loudness, expected)
    return VerifyReport(
        duration_s=float(heard.end - heard.start),
        pictures=heard.pictures.count,
        samples=heard.sounds.samples,
        size_bytes=size_bytes,
        start_offset_s=_offset(heard.sounds.first, heard.pictures.first),
        end_offset_s=_offset(heard.sounds.end, heard.pictures.end),
        loudness=loudness,
    )


@dataclass
class _Track:
    """Times found while decoding one stream, in seconds of the file's clock."""

    index: int
    first: Fraction | None = None
    last: Fraction | None = None
    end: Fraction | None = None
    count: int = 0
    samples: int = 0
    longest: Fraction = Fraction(0)
    """The longest frame of sound."""
    steps: list[Fraction] = field(default_factory=list)

    def take_picture(self, frame: VideoFrame) -> None:
        """Add a picture; MediaError unless it comes after the previous one."""
        at = self._time(frame)
        if self.last is not None:
            if at <= self.last:
                raise MediaError(VERIFY_FAILED, "pictures are out of order", stream=self.index, time_s=float(at))
            self.steps.append(at - self.last)
        usual = self.steps[-1] if self.steps else Fraction(0)
        self._note(at, at + (frame.duration * (frame.time_base or 0) if frame.duration else usual))

    def take_sound(self, frame: AudioFrame) -> None:
        """Add sound; MediaError if it steps back."""
        at = self._time(frame)
        if self.end is not None and at < self.end - LARGEST_OVERLAP_S:
            raise MediaError(VERIFY_FAILED, "the sound steps back", stream=self.index, time_s=float(at))
        self.samples += frame.samples
        length = Fraction(frame.samples, frame.sample_rate)
        self.longest = max(self.longest, length)
        self._note(at, at + length)

    def _time(self, frame: VideoFrame | AudioFrame) -> Fraction:
        if frame.pts is None or frame.time_base is None:
            raise MediaError(VERIFY_FAILED, "a frame without a time", stream=self.index)
        return frame.pts * frame.time_base

    def _note(self, at: Fraction, end: Fraction) -> None:
        if self.first is None:
            self.first = at
        self.last = at
        self.end = end
        self.count += 1

    @property
    def step(self) -> Fraction:
        """The usual time from picture to picture."""
        ordered = sorted(self.steps)
        return ordered[len(ordered) // 2] if ordered else SHORTEST_STEP_S


@dataclass(frozen=True)
class _Audience:
    """Other consumers of the decoded pictures and sound."""

    watch: Callable[[VideoFrame], None] | None
    meter: LoudnessMeter | None
    comparison: Comparison | None


@dataclass
class _Found:
    pictures: _Track
    sounds: _Track
    audience: _Audience

    def take(self, frame: object) -> None:
        """Add a frame and pass it on."""
        audience = self.audience
        if isinstance(frame, VideoFrame):
            self.pictures.take_picture(frame)
            if audience.comparison is not None:
                audience.comparison.take_picture(frame, self.pictures.last or Fraction(0))
            if audience.watch is not None:
                audience.watch(frame)
        elif isinstance(frame, AudioFrame):
            self.sounds.take_sound(frame)
            if audience.meter is not None:
                audience.meter.take(frame)
            if audience.comparison is not None:
                audience.comparison.take_sound(frame)

    @property
    def start(self) -> Fraction:
        return min(t for t in (self.pictures.first, self.sounds.first) if t is not None)

    @property
    def end(self) -> Fraction:
        return max(t for t in (self.pictures.end, self.sounds.end) if t is not None)


def _decode(container: InputContainer, selection: Selection, audience: _Audience) -> _Found:
    """Decode everything. Raises the errors of `verify`."""
    found = _Found(
        _Track(selection.video.index if selection.video is not None else -1),
        _Track(selection.audio.index if selection.audio is not None else -1),
        audience,
    )
    for stream in selection.all:
        if isinstance(stream, VideoStream):
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = thread_count()
        stream.codec_context.options = {"err_detect": "explode"}
    stage = selection.main
    try:
        for packet in container.demux(selection.all):
            stage = selection.video if selection.video is not None and packet.stream is selection.video else stage
            for frame in packet.decode():
                found.take(frame)
    except AV_ERRORS as exc:
        reached = max((t.last for t in (found.pictures, found.sounds) if t.last is not None), default=Fraction(0))
        detail = getattr(exc, "strerror", None) or str(exc)
        raise MediaError(VERIFY_FAILED, f"decoding failed: {detail}", time_s=float(reached)) from exc
    if found.pictures.first is None and found.sounds.first is None:
        raise MediaError(VERIFY_FAILED, "nothing in it can be decoded")
    return found


def _check_streams(selection: Selection, expected: Expectation) -> None:
    for name, wanted, stream in (
        ("video", expected.video, selection.video),
        ("audio", expected.audio, selection.audio),
    ):
        if wanted is not None and wanted != (stream is not None):
            raise MediaError(VERIFY_FAILED, f"there is {'no' if wanted else 'a'} {name} stream")
    video = selection.video
    if video is None:
        return
    for name, size, is_size in (("wide", expected.width, video.width), ("high", expected.height, video.height)):
        if size is not None and size != is_size:
            raise MediaError(VERIFY_FAILED, f"the picture is {is_size} pixels {name}, not {size}", stream=video.index)


def _check_content(found: _Found, expected: Expectation, selection: Selection) -> None:
    for name, track, stream in (
        ("picture", found.pictures, selection.video),
        ("sound", found.sounds, selection.audio),
    ):
        if stream is not None and track.first is None:
            raise MediaError(VERIFY_FAILED, f"no {name} decodes", stream=stream.index)
    if expected.pictures is not None and found.pictures.count != expected.pictures:
        raise MediaError(VERIFY_FAILED, f"{found.pictures.count} pictures, {expected.pictures} were planned")
    # A packet cannot be divided, so each stream may be longer by one.
    slack = max(found.pictures.step * Fraction(STEPS), SHORTEST_STEP_S, found.sounds.longest)
    if selection.video is None:
        slack = SOUND_TOLERANCE_S
    _check_offsets(found, slack)
    if expected.duration_s is None:
        return
    allowed = slack if expected.tolerance_s is None else Fraction(expected.tolerance_s)
    duration = found.end - found.start
    if abs(duration - Fraction(expected.duration_s)) > allowed:
        raise MediaError(VERIFY_FAILED, f"{float(duration):.3f} s long, {expected.duration_s:.3f} s were planned")


def _check_loudness(found: Loudness, expected: Expectation) -> None:
    if expected.lufs is not None and not abs(found.lufs - expected.lufs) <= LOUDNESS_TOLERANCE_LU:
        raise LoudnessMissedError(found, f"{found.lufs:.1f} LUFS, {expected.lufs:g} were planned")
    if expected.max_true_peak_db is not None and found.true_peak_db > expected.max_true_peak_db:
        raise LoudnessMissedError(
            found, f"its true peak is {found.true_peak_db:.1f} dBTP, {expected.max_true_peak_db:g} is the most"
        )


def _check_offsets(found: _Found, slack: Fraction) -> None:
    start = _offset(found.sounds.first, found.pictures.first)
    if start is not None and abs(start) > slack:
        raise MediaError(VERIFY_FAILED, f"sound starts {start:+.3f} s from the picture")


def _offset(sound: Fraction | None, picture: Fraction | None) -> float | None:
    return None if sound is None or picture is None else float(sound - picture)
