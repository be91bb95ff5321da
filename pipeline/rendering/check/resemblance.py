"""Compares a finished clip with the recording: its sound by level and time, its pictures by shape and colour.

A clip can decode without an error and still be mute, noisy, slow, grey or green, because something was lost between the
recording and the encoder. Only a comparison with the recording shows that.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.cutting.sound.mono import SAMPLES_A_SECOND, MonoTrack
from pipeline.cutting.stretch.reference import Reference, Sample, Shrinker
from pipeline.errors import VERIFY_FAILED, MediaError
from pipeline.rendering.material import Segment

LEVEL_TOLERANCE_DB = 3.0
LIMITER_TOLERANCE_DB = 12.0
"""The most that a limiter lowers the loudest places: gains reach 30 dB, but whispers that need them have few peaks."""
LOUD_PEAK = 0.5
"""A mean of both sides from which one of them may be full."""
SILENT_DB = -60.0
"""Sound below this level (dBFS) may be missing; room noise and tape hiss are some 20 dB above it."""
AUDIBLE_DB = -45.0
"""Where the recording is silent, the clip must stay below this."""
LAG_S = 0.04
"""The tolerance of broadcasters for sound against picture (EBU R37); larger lags are searched up to `SEARCH_S`."""
SEARCH_S = 0.3
REACH = round(SEARCH_S * SAMPLES_A_SECOND)
WINDOW_S = 1.0
LIKE = 0.3
"""Least correlation of a clip's sound with the recording's; encoders of speech and music reach 0.9."""
BETTER = 0.1
"""How much better a lag must fit than none, because tones fit at many lags."""
PLACES = 2
ROUNDING_S = Fraction(2, 1000)
"""Containers and tasks round times to milliseconds."""
FLAT = 4.0
"""A picture with a smaller standard deviation (of 255) counts as one colour."""
FAR = 20.0
"""A mean difference of the fields of two pictures (of 255) that no encoder causes; usual are 2 to 10."""
ALIKE = 0.85
"""The least correlation of brightness at which two pictures show the same in another range of tones."""
ALIKE_TONED = 0.5
"""The same for HDR, whose tones are mapped."""
TINT = 60.0
"""A difference in the mean of one colour that no encoder causes."""


@dataclass(frozen=True)
class Likeness:
    """The expected resemblance of a clip to its recording.

    `start_s` is the clip's start on the reference's clock, `length_s` its length. `gain_db` was added to its sound;
    with `is_limited` loud places may be lower, with `is_mixed` (from more than two channels) those that would clip.
    Fades are not compared. With `is_whole`, pictures show the recording's whole picture; others (cropped, over a
    background) are not compared. With `is_toned`, tones were mapped.
    """

    reference: Reference
    start_s: Fraction
    length_s: float
    gain_db: float = 0.0
    is_limited: bool = False
    is_mixed: bool = False
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    has_picture: bool = True
    is_whole: bool = True
    is_toned: bool = False
    most_pictures: int | None = None


def original(segment: Segment, *, moved_s: Fraction, length_s: float) -> Likeness:
    """Return the expected resemblance of a clip with whole pictures, from `moved_s` after the requested start on."""
    reference = segment.reference
    return Likeness(
        reference=reference,
        start_s=reference.start_s + moved_s,
        length_s=length_s,
        has_picture=segment.material.video is not None,
    )


class Comparison:
    """Compares the decoded pictures and sound of a clip whose clock starts at `zero_s`."""

    def __init__(self, wanted: Likeness, zero_s: Fraction) -> None:
        self._wanted = wanted
        length_s = Fraction(wanted.length_s).limit_denominator(1000)
        self._track = MonoTrack(zero_s, zero_s + length_s + Fraction(1, 2))
        self._zero_s = zero_s
        self._shrinker = Shrinker()
        self._before: VideoFrame | None = None
        self._due = self._samples() if wanted.has_picture else []
        self._far: list[str] = []
        self._pictures = 0
        self._has_sound = False

    def take_sound(self, frame: AudioFrame) -> None:
        """Add sound."""
        self._has_sound = True
        self._track.push(frame, Fraction(frame.time_base or 1))

    def take_picture(self, frame: VideoFrame, at_s: Fraction) -> None:
        """Add a picture; compares it if the recording's picture of that time is known."""
        self._pictures += 1
        while self._due and self._due[0][0] <= at_s - self._zero_s + ROUNDING_S:
            due_s, sample = self._due.pop(0)
            is_same_time = at_s - self._zero_s <= due_s + ROUNDING_S
            self._compare(sample, [frame] if is_same_time or self._before is None else [frame, self._before])
        self._before = frame

    def finish(self) -> None:
        """Raise MediaError VERIFY_FAILED if the clip differs from the recording."""
        if self._before is not None:
            for _, sample in self._due[:1]:
                self._compare(sample, [self._before])
        if self._far:
            raise MediaError(VERIFY_FAILED, f"the picture is not the recording's: {self._far[0]}")
        most = self._wanted.most_pictures
        if most is not None and self._pictures > most:
            raise MediaError(VERIFY_FAILED, f"{self._pictures} pictures, the recording has {most} at most")
        self._compare_sound()

    def _samples(self) -> list[tuple[Fraction, Sample]]:
        wanted = self._wanted
        first, last = wanted.fade_in_s, wanted.length_s - wanted.fade_out_s
        timed = [(sample.time_s - wanted.start_s, sample) for sample in wanted.reference.pictures]
        return [(at, sample) for at, sample in timed if first <= at < last]

    def _compare(self, sample: Sample, frames: list[VideoFrame]) -> None:
        """Compare the recording's picture with the clip's of that time, or with both around it."""
        turned = (self._wanted.reference.rotation - _rotation(frames[0])) // 90
        original = np.rot90(sample.fields, -turned)
        found = [_difference(original, self._shrinker.fields(frame), self._wanted) for frame in frames]
        if all(found):
            self._far.append(f"{found[0]} at {float(sample.time_s - self._wanted.start_s):.2f} s")

    def _compare_sound(self) -> None:
        wanted, sound = self._wanted, self._wanted.reference.sound
        if sound is None:
            return
        self._track.finish()
        at = round((wanted.start_s - sound.start_s) * SAMPLES_A_SECOND)
        length = round(wanted.length_s * SAMPLES_A_SECOND)
        begin, end = round(wanted.fade_in_s * SAMPLES_A_SECOND), length - round(wanted.fade_out_s * SAMPLES_A_SECOND)
        original = _stretch(sound.samples, at + begin, at + end)
        made = _stretch(self._track.samples, begin, end)
        if _is_constant(original):
            return
        _check_level(original, made, wanted, "")
        if _level_db(original) > SILENT_DB and not self._has_sound:
            raise MediaError(VERIFY_FAILED, "the recording has sound here, the clip has none")
        around = _stretch(sound.samples, at + begin - REACH, at + end + REACH)
        for place in range(PLACES):
            half = len(original) // PLACES
            window = _loudest(original[place * half : (place + 1) * half]) + place * half
            _check_window(around, made, window, wanted)


def _rotation(frame: VideoFrame) -> int:
    return round(-frame.rotation / 90) * 90


def _difference(original: NDArray[np.float32], made: NDArray[np.float32], wanted: Likeness) -> str:
    """Return how two pictures differ by more than encoding explains, else ""."""
    if not wanted.is_whole:
        return ""  # a cropped picture may have other colours
    bright, dark = original.mean(axis=2), made.mean(axis=2)
    tint = np.abs((original - bright[..., None]).mean(axis=(0, 1)) - (made - dark[..., None]).mean(axis=(0, 1))).max()
    if tint > TINT:
        return f"its colours are off by {tint:.0f} of 255"
    far = float(np.abs(original - made).mean())
    if far <= FAR and not wanted.is_toned:
        return ""
    if wanted.is_toned and (far <= FAR or bright.std() < FLAT):
        return ""
    alike = _correlation(bright.ravel(), dark.ravel())
    return "" if alike >= (ALIKE_TONED if wanted.is_toned else ALIKE) else f"it differs by {far:.0f} of 255"


def _stretch(samples: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
    """Return samples from `begin` to `end`, with silence outside the sound."""
    inside = samples[max(0, begin) : max(0, end)]
    return np.pad(inside, (max(0, -begin), 0))


def _level_db(samples: NDArray[np.float32]) -> float:
    power = float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0
    return 10 * math.log10(max(power, 1e-12))


def _is_constant(samples: NDArray[np.float32]) -> bool:
    """Return whether sound is only an offset, which nobody hears and encoders leave out."""
    return bool(len(samples)) and _level_db(samples - samples.mean()) <= SILENT_DB < _level_db(samples)


def _check_level(original: NDArray[np.float32], made: NDArray[np.float32], wanted: Likeness, where: str) -> None:
    length = min(len(original), len(made))
    before, after = _level_db(original[:length]), _level_db(made[:length]) - wanted.gain_db
    if before <= SILENT_DB:
        if after > AUDIBLE_DB and not length < SAMPLES_A_SECOND // 10:
            raise MediaError(VERIFY_FAILED, f"the recording is silent{where}, the clip is at {after:.0f} dB")
        return
    change = after - before
    is_limited = wanted.is_limited or (wanted.is_mixed and float(np.abs(original).max()) > LOUD_PEAK)
    lowest = -LIMITER_TOLERANCE_DB if is_limited else -LEVEL_TOLERANCE_DB
    if not lowest <= change <= LEVEL_TOLERANCE_DB:
        raise MediaError(VERIFY_FAILED, f"its sound is {change:+.1f} dB from the recording's{where}")


def _loudest(samples: NDArray[np.float32]) -> int:
    """Return the start of the loudest second, in samples."""
    size = min(len(samples), round(WINDOW_S * SAMPLES_A_SECOND))
    power = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    return int(np.argmax(power[size:] - power[: len(power) - size])) if size else 0


def _check_window(around: NDArray[np.float32], made: NDArray[np.float32], at: int, wanted: Likeness) -> None:
    """Compare level and time of one window of sound; `around` begins `REACH` samples before the clip."""
    size = round(WINDOW_S * SAMPLES_A_SECOND)
    piece = made[at : at + size]
    same = around[at + REACH : at + REACH + len(piece)]
    if len(piece) < SAMPLES_A_SECOND // 10 or _level_db(same) <= AUDIBLE_DB:
        return
    where = f" at {at / SAMPLES_A_SECOND + wanted.fade_in_s:.1f} s"
    _check_level(same, piece, wanted, where)
    fits = _fits(around[at : at + len(piece) + 2 * REACH], piece)
    lags = (np.arange(len(fits)) - REACH) / SAMPLES_A_SECOND
    near = np.abs(lags) <= LAG_S
    best = float(fits[near].max(initial=-1.0))
    if not near.all() and float(fits[~near].max(initial=-1.0)) > best + BETTER and best < 1 - BETTER:
        lag = float(lags[int(np.argmax(fits))])
        raise MediaError(VERIFY_FAILED, f"its sound lags by {-lag * 1000:+.0f} ms{where}")
    if best < LIKE:
        raise MediaError(VERIFY_FAILED, f"its sound is not the recording's{where}")


def _fits(window: NDArray[np.float32], piece: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the correlation of `piece` at each place of `window`."""
    size = 1 << (len(window) + len(piece)).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size))
    raw = np.fft.irfft(spectrum, size)[: max(1, len(window) - len(piece) + 1)]
    power = np.concatenate([[0.0], np.cumsum(window.astype(np.float64) ** 2)])
    own = float(np.sum(piece.astype(np.float64) ** 2))
    energy = power[len(piece) :][: len(raw)] - power[: len(raw)]
    return np.asarray(raw / np.sqrt(np.maximum(energy * own, 1e-9)))


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    one, other = one - one.mean(), other - other.mean()
    scale = math.sqrt(float((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 1e-6 else 0.0  # noqa: PLR2004 - flat pictures have no shape
