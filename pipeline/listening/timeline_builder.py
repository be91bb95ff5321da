"""Builds a timeline from sound as it arrives; the rows do not depend on the portions, so live equals offline."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.listening.features import (
    CONTEXT_SAMPLES,
    FEATURES,
    ROW_SAMPLES,
    ROWS_PER_S,
    SAMPLE_RATE,
    Samples,
    extract_rows,
)
from pipeline.listening.tagging.tagger import Tagger, TagStream, row_count
from pipeline.listening.timeline_file import MAX_PROBLEMS, MAX_ROWS, PEAK_STEPS, Timeline
from pipeline.types import Problem

ChannelSamples = NDArray[np.float32] | Sequence[NDArray[np.float32]]
"""Float32 samples in -1..1: [channels, n], or [n] for each channel."""
HalfRows = NDArray[np.float16]
BLOCK_ROWS: Final = 320
"""Rows analysed at once (32 s): the arrays of a block (2.6 MB) fit the processor's cache."""
BLOCK_SAMPLES: Final = BLOCK_ROWS * ROW_SAMPLES
TOLERANCE_S: Final = 0.1
"""Timestamps may be off by one row before sound is padded or dropped, because containers round them."""
MAX_SAMPLE: Final = 1000.0
"""Float files may contain anything; values above +60 dBFS are not sound."""
RESAMPLER_TAPS: Final = "16"
"""Half of FFmpeg's default: flat to 6.5 kHz, and a third faster."""
BATCH_S: Final = 8
"""Most seconds mixed and resampled at once: their arrays fit the processor's cache."""
CANCELLED_SHARE: Final = 0.02
"""If the mix has less than 2 % of the channels' power (-17 dB), they are out of phase; only the loudest is used."""
_NO_ROWS: Final[HalfRows] = np.empty((0, len(FEATURES)), dtype=np.float16)


class TimelineBuilder:
    """Turns sound into a `Timeline`, piece by piece.

    Push float32 samples, mono [n] or [channels, n], in -1..1, in order. Sound is resampled in whole seconds and
    analysed in blocks, both counted from time 0, so the timeline is identical for any portions.
    With a tagger, the timeline has its rows too.
    """

    def __init__(self, *, start_s: float = 0.0, tagger: Tagger | None = None) -> None:
        self._start_s = start_s
        self._tagger_name = tagger.name if tagger is not None else ""
        self._tags = TagStream(tagger) if tagger is not None else None
        self._rate = 0
        self._channels = 1
        self._held: list[NDArray[np.float32]] = []
        self._held_samples = 0
        self._resampler: av.AudioResampler | None = None
        self._received_s = Fraction(0)
        self._resampled = 0
        self._pending: list[Samples] = [np.zeros(CONTEXT_SAMPLES, dtype=np.float32)]
        self._pending_samples = CONTEXT_SAMPLES
        self._features: list[HalfRows] = []
        self._peaks: list[NDArray[np.float32]] = []
        self._problems: list[Problem] = []

    @property
    def position_s(self) -> float:
        """The time of the next sample."""
        return float(self._received_s)

    def report(self, problem: Problem) -> None:
        """Record a problem of the source; the first hundred are kept."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)

    def push(self, samples: ChannelSamples, *, rate: int, time_s: float | None = None) -> None:
        """Add sound of `rate` Hz. With `time_s`, gaps before it become silence and overlaps are dropped."""
        channels = np.atleast_2d(np.asarray(samples, dtype=np.float32))
        if (rate, len(channels)) != (self._rate, self._channels):
            self._configure(rate, len(channels))
        if time_s is not None:
            channels = self._align(channels, time_s)
        self._feed(channels)

    def snapshot(self) -> Timeline:
        """Return the timeline so far, up to the last whole second; its end may still change."""
        return self._timeline(Fraction(self._resampled, SAMPLE_RATE))

    def finish(self) -> Timeline:
        """Return the timeline of all pushed sound."""
        self._flush()
        return self._timeline(self._received_s)

    def _configure(self, rate: int, channels: int) -> None:
        self._flush()
        self._rate, self._channels = rate, channels
        if rate != SAMPLE_RATE:
            options = {"filter_size": RESAMPLER_TAPS}
            self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE, options=options)

    def _align(self, channels: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """Fill up to `time_s` with silence, or drop samples before the current position."""
        ahead_s = time_s - float(self._received_s)
        if ahead_s < -TOLERANCE_S:
            return channels[:, min(channels.shape[1], round(-ahead_s * self._rate)) :]
        if ahead_s > TOLERANCE_S:
            missing = round(min(ahead_s, MAX_ROWS / ROWS_PER_S) * self._rate)
            while missing > 0:
                portion = min(missing, self._rate)
                self._feed(np.zeros((self._channels, portion), dtype=np.float32))
                missing -= portion
        return channels

    def _feed(self, channels: NDArray[np.float32]) -> None:
        """Collect sound to whole seconds, and pass them on."""
        self._received_s += Fraction(channels.shape[1], self._rate)
        self._held.append(channels)
        self._held_samples += channels.shape[1]
        if self._held_samples < self._rate:
            return
        gathered = self._take_held()
        whole = gathered.shape[1] // self._rate * self._rate
        for first in range(0, whole, BATCH_S * self._rate):
            self._pass_on(gathered[:, first : min(whole, first + BATCH_S * self._rate)])
        self._held, self._held_samples = [gathered[:, whole:]], gathered.shape[1] - whole

    def _take_held(self) -> NDArray[np.float32]:
        held = self._held[0] if len(self._held) == 1 else np.concatenate(self._held, axis=1)
        self._held, self._held_samples = [], 0
        return held

    def _pass_on(self, channels: NDArray[np.float32]) -> None:
        """Mix, resample and queue whole seconds (or the remainder at the end); analyse when a block is full.

        Each second is mixed by itself, and the resampler's output does not depend on its portions. Many seconds at once
        need fewer calls, and so fewer waits for the decoder's thread.
        """
        mono = _mix(channels, self._rate)
        self._queue(mono if self._resampler is None else _resample(self._resampler, mono, self._rate))

    def _queue(self, samples: Samples) -> None:
        self._resampled += len(samples)
        if self._tags is not None:
            self._tags.push(samples)
        self._pending.append(samples)
        self._pending_samples += len(samples)
        while self._pending_samples >= BLOCK_SAMPLES + 2 * CONTEXT_SAMPLES:
            pending = np.concatenate(self._pending)
            features, peaks = _analyse(pending[: BLOCK_SAMPLES + 2 * CONTEXT_SAMPLES])
            self._features.append(features)
            self._peaks.append(peaks)
            self._pending = [pending[BLOCK_SAMPLES:].copy()]
            self._pending_samples -= BLOCK_SAMPLES

    def _flush(self) -> None:
        """Flush the resampler and compensate its rounding, so that rows keep their time."""
        if self._held_samples:
            self._pass_on(self._take_held())
        self._held = []
        if self._resampler is not None:
            self._queue(_flatten(self._resampler.resample(None)))
            self._resampler = None
        self._rate = 0
        missing = round(self._received_s * SAMPLE_RATE) - self._resampled
        if missing > 0:
            self._queue(np.zeros(missing, dtype=np.float32))

    def _timeline(self, duration_s: Fraction) -> Timeline:
        """Analyse the pending sound with silence after it, and append it to the finished blocks."""
        rows = min(MAX_ROWS, -int(-duration_s * ROWS_PER_S // 1))
        done = sum(map(len, self._features))
        features, peaks = list(self._features), list(self._peaks)
        if rows > done:
            size = (rows - done) * ROW_SAMPLES + 2 * CONTEXT_SAMPLES
            block = np.zeros(size, dtype=np.float32)
            pending = np.concatenate(self._pending)[:size]
            block[: len(pending)] = pending
            last_features, last_peaks = _analyse(block)
            features.append(last_features)
            peaks.append(last_peaks)
        timeline = Timeline(
            features=np.concatenate(features or [_NO_ROWS], dtype=np.float32)[:rows],
            peaks=np.concatenate(peaks)[:rows] if peaks else np.empty(0, dtype=np.float32),
            duration_s=float(duration_s),
            start_s=self._start_s,
            problems=tuple(self._problems),
        )
        if self._tags is None:
            return timeline
        tags = self._tags.rows(row_count(timeline.duration_s)).astype(np.float16).astype(np.float32)
        return replace(timeline, tags=tags, tagger=self._tagger_name)


def _mix(channels: NDArray[np.float32], rate: int) -> Samples:
    """Mix [channels, n] to mono [n], finite and limited; in seconds where the channels cancel out, the loudest one."""
    with np.errstate(over="ignore", invalid="ignore"):
        mono = _mean_of(channels)
        is_sane = _powers(mono, rate) <= MAX_SAMPLE**2
    if not is_sane.all():
        channels, mono = channels.copy(), mono.copy()
    for second in np.flatnonzero(~is_sane):
        part = slice(second * rate, (second + 1) * rate)
        channels[:, part] = np.clip(np.nan_to_num(channels[:, part], nan=0.0), -MAX_SAMPLE, MAX_SAMPLE)
        mono[part] = _mean_of(channels[:, part])
    if len(channels) == 1:
        return mono
    powers = np.stack([_powers(channel, rate) for channel in channels])
    for second in np.flatnonzero(_powers(mono, rate) < CANCELLED_SHARE * powers.max(axis=0)):
        part = slice(second * rate, (second + 1) * rate)
        mono[part] = channels[int(np.argmax(powers[:, second])), part]
    return mono


def _powers(samples: Samples, rate: int) -> NDArray[np.float32]:
    """Return the energy of each second of [n] samples, the last of which may be shorter."""
    seconds = samples.reshape(-1, rate) if len(samples) % rate == 0 else samples[None, :]
    return np.asarray(np.vecdot(seconds, seconds))


def _mean_of(channels: NDArray[np.float32]) -> Samples:
    """Return the mean of the channels; of two, at half the cost of numpy's own."""
    if len(channels) == 1:
        return np.asarray(channels[0])
    if len(channels) > 2:  # noqa: PLR2004 - stereo, the most common layout
        return np.asarray(channels.mean(axis=0, dtype=np.float32))
    mono = np.add(channels[0], channels[1])
    mono *= np.float32(0.5)
    return np.asarray(mono)


def _resample(resampler: av.AudioResampler, mono: Samples, rate: int) -> Samples:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None, :], format="flt", layout="mono")
    frame.sample_rate = rate
    return _flatten(resampler.resample(frame))


def _flatten(frames: list[av.AudioFrame]) -> Samples:
    if not frames:
        return np.empty(0, dtype=np.float32)
    return np.concatenate([np.asarray(frame.to_ndarray()[0], dtype=np.float32) for frame in frames])


def _analyse(samples: Samples) -> tuple[HalfRows, NDArray[np.float32]]:
    """Return features (in half precision, as in a stored timeline) and peaks of one block.

    Silence is analysed once: days of it, in a file of some kilobytes, cost little more than the decoding.
    """
    return _measure(samples) if samples.any() else _measure_silence(len(samples))


@functools.lru_cache(maxsize=2)
def _measure_silence(size: int) -> tuple[HalfRows, NDArray[np.float32]]:
    return _measure(np.zeros(size, dtype=np.float32))


def _measure(samples: Samples) -> tuple[HalfRows, NDArray[np.float32]]:
    features = extract_rows(samples).astype(np.float16)
    inner = np.abs(samples[CONTEXT_SAMPLES : len(samples) - CONTEXT_SAMPLES]).reshape(-1, ROW_SAMPLES)
    peaks = np.round(np.minimum(inner.max(axis=1), 1.0) * PEAK_STEPS) / np.float32(PEAK_STEPS)
    return features, peaks.astype(np.float32)
