"""The log-mel spectrogram for the built-in tagger: 64 bands, a frame each 20 ms."""

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.listening.tagging.tagger import SAMPLE_RATE, Samples

FRAME_SAMPLES: Final = 400
"""25 ms, as YAMNet's own frames."""
HOP_SAMPLES: Final = 320
BANDS: Final = 64
LOW_HZ: Final = 125.0
HIGH_HZ: Final = 7500.0
TRANSFORM: Final = 512
LEAST_POWER: Final = 1e-9
"""-90 dB, the value of digital silence, below the noise of any recording."""
BATCH_FRAMES: Final = 128
"""Frames transformed at once: larger arrays are given back to the system at each step, at three times the cost."""


def _bank() -> NDArray[np.float32]:
    """Return triangular filters [bins, BANDS], each with the sum 1, evenly spaced in mel."""

    def mel(hz: float) -> float:
        return 2595.0 * float(np.log10(1.0 + hz / 700.0))

    edges = 700.0 * (10.0 ** (np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2) / 2595.0) - 1.0)
    hz = np.fft.rfftfreq(TRANSFORM, 1.0 / SAMPLE_RATE)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bank = np.maximum(0.0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))
    return np.asarray(bank / bank.sum(axis=0), dtype=np.float32)


_BANK: Final = _bank()
_SHAPE: Final = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
_SHAPE_OF_UNIT_POWER: Final = _SHAPE / np.sqrt(np.square(_SHAPE).sum())


def log_mel(samples: Samples) -> NDArray[np.float32]:
    """Return ln of the power in each band [frames, BANDS]; a frame for each HOP_SAMPLES that has FRAME_SAMPLES."""
    windows = sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES]
    out = np.empty((len(windows), BANDS), dtype=np.float32)
    for first in range(0, len(windows), BATCH_FRAMES):
        part = windows[first : first + BATCH_FRAMES]
        padded = np.zeros((len(part), TRANSFORM), dtype=np.float32)
        np.multiply(part, _SHAPE_OF_UNIT_POWER, out=padded[:, :FRAME_SAMPLES])
        spectra = np.fft.rfft(padded, axis=1)
        power = np.square(spectra.real)
        power += np.square(spectra.imag)
        np.log(power @ _BANK + np.float32(LEAST_POWER), out=out[first : first + len(part)])
    return out
