"""Mixes sound of any layout to one channel, by the same rule for a recording and its clips."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

SAMPLES_A_SECOND = 8000
"""Enough to compare level and timing of speech and music."""
JOIN_S = Fraction(1, 50)
"""A frame this close to the end of the previous one follows it without a gap."""
GATHERED_SAMPLES = 2048
SURROUND_GAIN = 0.7071
"""ITU-R BS.775: centre and surround channels enter a stereo mix 3 dB lower."""
_CENTRES = frozenset({"FC", "BC", "TC", "TFC", "TBC", "BFC"})
_LOW = frozenset({"LFE", "LFE2"})
_FRONTS = frozenset({"FL", "FR", "DL", "DR"})
_UNNAMED: dict[int, tuple[str, ...]] = {
    1: ("FC",),
    2: ("FL", "FR"),
    3: ("FL", "FR", "LFE"),
    4: ("FL", "FR", "FC", "BC"),
    5: ("FL", "FR", "FC", "BL", "BR"),
    6: ("FL", "FR", "FC", "LFE", "BL", "BR"),
    7: ("FL", "FR", "FC", "LFE", "BC", "SL", "SR"),
    8: ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"),
}
"""FFmpeg's default layout by number of channels, for streams that do not state theirs."""


def stereo_weights(names: list[str]) -> NDArray[np.float32]:
    """Return each channel's gain in a stereo mix [channels, 2], by ITU-R BS.775; LFE is left out."""
    count = len(names)
    if any(name.startswith(("NONE", "UNK", "AMBI", "USR")) for name in names):
        if count not in _UNNAMED:
            weights = np.zeros((count, 2), np.float32)
            weights[0::2, 0] = 1 / max(1, (count + 1) // 2)
            weights[1::2, 1] = 1 / max(1, count // 2)
            return weights
        names = list(_UNNAMED[count])
    if count == 1:
        return np.ones((1, 2), np.float32)
    return np.array([_places(name) for name in names], np.float32)


def _places(name: str) -> tuple[float, float]:
    if name in _LOW:
        return 0.0, 0.0
    if name in _CENTRES:
        return SURROUND_GAIN, SURROUND_GAIN
    gain = 1.0 if name in _FRONTS else SURROUND_GAIN
    return (gain, 0.0) if "L" in name else (0.0, gain)


class Packer:
    """Turns decoded sound into an array [samples, channels] of floats, whatever its format."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None

    def pack(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Return the samples of a frame."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or shape != self._shape:
            # PyAV miscounts the planes of eight and more channels, so the samples are converted to one plane.
            self._resampler, self._shape = AudioResampler(format="flt"), shape
        parts = [
            packed.to_ndarray().reshape(-1, frame.layout.nb_channels) for packed in self._resampler.resample(frame)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, frame.layout.nb_channels), np.float32)


class Gatherer:
    """Joins short frames that follow each other into longer ones: some codecs put a thousand into a second."""

    def __init__(self) -> None:
        self._fifo = AudioFifo()
        self._shape: tuple[str, str, int] | None = None
        self._begin_s = Fraction(0)
        self._due_s: Fraction | None = None

    def push(self, frame: AudioFrame, base: Fraction) -> Iterator[tuple[AudioFrame, Fraction]]:
        """Add a decoded frame, whose time counts in `base` unless it says otherwise, and yield long enough frames.

        A frame without a time follows the one before it; the second of a packet often has none.
        """
        at_s = self._due_s if frame.pts is None else frame.pts * Fraction(frame.time_base or base)
        if at_s is None or not frame.samples:
            return
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._due_s is None or shape != self._shape or abs(at_s - self._due_s) >= JOIN_S:
            yield from self.finish()
            self._fifo, self._shape, self._begin_s, self._due_s = AudioFifo(), shape, at_s, at_s
        frame.pts = None  # the FIFO would require sample-exact times
        self._fifo.write(frame)
        self._due_s += Fraction(frame.samples, frame.sample_rate)
        if self._fifo.samples >= GATHERED_SAMPLES:
            yield from self.finish()
            self._begin_s = self._due_s

    def finish(self) -> Iterator[tuple[AudioFrame, Fraction]]:
        """Yield the remaining samples, with their time."""
        frame = self._fifo.read()
        if frame is not None:
            frame.pts = None
            yield frame, self._begin_s


class MonoTrack:
    """Sound of [start_s, end_s) of some clock in one channel at 8 kHz, silent where there was none."""

    def __init__(self, start_s: Fraction, end_s: Fraction) -> None:
        self.start_s = start_s
        self._samples = np.zeros(max(1, round((end_s - start_s) * SAMPLES_A_SECOND)), np.float32)
        self._gatherer = Gatherer()
        self._packer = Packer()
        self._resampler: AudioResampler | None = None
        self._rate = 0
        self._begin_s = start_s
        self._filled_s: Fraction | None = None
        self._written = 0

    @property
    def samples(self) -> NDArray[np.float32]:
        """Return the sound so far; before `finish`, the last frames may be missing."""
        return self._samples

    def push(self, frame: AudioFrame, base: Fraction) -> None:
        """Add a decoded frame; its time counts in `base` unless it says otherwise."""
        for gathered, at_s in self._gatherer.push(frame, base):
            self._add(gathered, at_s)

    def _add(self, frame: AudioFrame, at_s: Fraction) -> None:
        follows = self._filled_s is not None and abs(at_s - self._filled_s) < JOIN_S and frame.sample_rate == self._rate
        if not follows:
            self._flush()
            self._resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLES_A_SECOND)
            self._rate, self._begin_s, self._filled_s, self._written = frame.sample_rate, at_s, at_s, 0
        weights = stereo_weights([channel.name for channel in frame.layout.channels]).sum(axis=1) / 2
        mixed = np.ascontiguousarray((self._packer.pack(frame) @ weights)[None, :], dtype=np.float32)
        self._filled_s = (self._filled_s or at_s) + Fraction(mixed.shape[1], frame.sample_rate)
        made = AudioFrame.from_ndarray(mixed, format="flt", layout="mono")
        made.sample_rate = frame.sample_rate
        self._write(made)

    def finish(self) -> None:
        """Process the frames that are still buffered."""
        for gathered, at_s in self._gatherer.finish():
            self._add(gathered, at_s)
        self._flush()

    def _flush(self) -> None:
        if self._resampler is not None:
            self._write(None)
            self._resampler = None
            self._filled_s = None

    def _write(self, frame: AudioFrame | None) -> None:
        assert self._resampler is not None  # noqa: S101 - set by every caller
        for part in self._resampler.resample(frame):
            samples = part.to_ndarray().reshape(-1)
            at = round((self._begin_s - self.start_s) * SAMPLES_A_SECOND) + self._written
            self._written += len(samples)
            first, last = max(0, at), min(len(self._samples), at + len(samples))
            if last > first:
                self._samples[first:last] = samples[first - at : last - at]
