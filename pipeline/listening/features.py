"""Audio features for highlight detection, ten rows a second, from mono sound at 16 kHz.

FEATURES lists them with their reasons. A row depends only on the samples around it, so that sound may arrive in any
portions. No constant here was fitted to data.
"""

import itertools
import math
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Rows = NDArray[np.float32]

SAMPLE_RATE: Final = 16_000
"""Hz. Audiences, speech and screams differ below 8 kHz, and recordings by phones or codecs have nothing above."""
ROWS_PER_S: Final = 10
ROW_SAMPLES: Final = SAMPLE_RATE // ROWS_PER_S
TILE_ROWS: Final = 80
"""Rows whose spectra are computed at once: larger arrays would be freed and allocated again at each step, which can
double the time."""

WINDOW: Final = 1024
"""Samples (64 ms) of a spectrum: resolves the harmonics of a 70 Hz voice."""
HOP: Final = ROW_SAMPLES // 2
"""Two spectra a row: enough for steadiness over seconds, at half the cost of the usual 20 ms."""
ENVELOPE_HOP: Final = 80
"""Samples (5 ms) of an envelope step: modulation up to 100 Hz, where screams and single claps are rough."""
ENVELOPES_PER_ROW: Final = ROW_SAMPLES // ENVELOPE_HOP
MODULATION_WINDOW: Final = 256
"""Envelope steps (1.28 s) of a modulation spectrum: two periods of 2 Hz."""
CONTEXT_SAMPLES: Final = 120 * ENVELOPE_HOP
"""Samples on each side of a block that its rows use: half a modulation window."""

BANDS: Final = 20
BAND_LOW_HZ: Final = 100.0
BAND_HIGH_HZ: Final = 7600.0
"""Below 100 Hz there is hum, rumble and DC; above 7600 Hz the resampler's slope."""
SILENCE_DB: Final = -100.0
"""The level of digital silence (dBFS), below the noise of any converter."""
PRE_EMPHASIS: Final = 0.97
"""The usual first-order filter: removes DC and rumble; consonants and claps then stand out."""
ENVELOPE_FLOOR: Final = 1e-10
"""Energy added to the envelope (-100 dBFS): keeps ratios of silence to silence at one."""
GAP_RATIO: Final = 0.1
"""An envelope step at a tenth of the energy around it (-10 dB) is a gap between syllables or claps."""
WHITENING_ROOTS: Final = 2
"""Square roots of the power spectrum before autocorrelation: P^(1/4), after Tolonen & Karjalainen (2000)."""
PITCH_LAGS: Final = (10, 228)
"""Autocorrelation lags for 1600 to 70 Hz: from a scream down to a low voice."""
SUBHARMONIC_SLOPE: Final = 0.2
"""The discount of the longest lag, so that a period wins over its multiples."""
MODULATION_EDGES_HZ: Final = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0, 100.0)
"""Octaves of modulation: phrases, syllables and laughs (3-6), fast laughs, 12-24 claps of few, above that roughness."""
TONALITY_EDGES_HZ: Final = (200.0, 1000.0, 3000.0, 7000.0)


def _mel(hz: float) -> float:
    return 2595.0 * math.log10(1.0 + hz / 700.0)


def _band_bins() -> NDArray[np.intp]:
    mels = np.linspace(_mel(BAND_LOW_HZ), _mel(BAND_HIGH_HZ), BANDS + 1)
    hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return np.round(hz * WINDOW / SAMPLE_RATE).astype(np.intp)


_BINS: Final = _band_bins()
_WIDTHS: Final = np.diff(_BINS).astype(np.float32)
_CENTRES_HZ: Final = (_BINS[:-1] + _BINS[1:]) * (SAMPLE_RATE / WINDOW / 2)
_WINDOW_SHAPE: Final = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
_POWER_SCALE: Final = np.float32(2.0 / (WINDOW * float(np.sum(_WINDOW_SHAPE**2))))
_MODULATION_SHAPE: Final = np.hanning(MODULATION_WINDOW + 1)[:-1].astype(np.float32)
_MODULATION_BINS: Final = np.round(
    np.array(MODULATION_EDGES_HZ) * MODULATION_WINDOW * ENVELOPE_HOP / SAMPLE_RATE,
).astype(np.intp)
_NOISE_TONALITY: Final = np.float32(0.5772)
"""ln of the mean over the mean of ln, for noise: Euler's constant."""

FEATURES: Final[tuple[str, ...]] = (
    "level_db",  # loudness between 100 and 7600 Hz, dBFS
    *(f"band_{b:02d}_db" for b in range(BANDS)),  # spectral shape, dBFS in each mel band
    "tonality_low",  # 200-1000 Hz: how much single lines stand out of each band, in nats; 0 for noise
    "tonality_mid",  # 1-3 kHz
    "tonality_high",  # 3-7 kHz
    "harmonicity",  # 0..1, height of the best period in the whitened autocorrelation
    "pitch_octave",  # log2 of that period's frequency over 70 Hz
    *(f"modulation_{m}" for m in range(len(MODULATION_EDGES_HZ) - 1)),  # log10 power of the envelope's swing, by octave
    "gaps",  # 0..1, share of the surrounding 1.3 s that is at least 10 dB under its mean
)


def extract_rows(samples: Samples) -> Rows:
    """Return features [rows, len(FEATURES)] of `samples`, float32 mono 16 kHz in -1..1 (higher values are allowed).

    `samples` holds CONTEXT_SAMPLES before and after the rows themselves, which are ROW_SAMPLES each.
    """
    rows = (len(samples) - 2 * CONTEXT_SAMPLES) // ROW_SAMPLES
    out = np.empty((rows, len(FEATURES)), dtype=np.float32)
    for first in range(0, rows, TILE_ROWS):
        part = out[first : first + TILE_ROWS]
        power = _power_spectra(samples[first * ROW_SAMPLES :], len(part))
        part[:, 0 : BANDS + 1] = _levels_db(power)
        part[:, BANDS + 1 : BANDS + 4] = _tonality(power)
        part[:, BANDS + 4 : BANDS + 6] = _periodicity(power)
    out[:, BANDS + 6 :] = _modulation(samples, rows)
    return out


def _power_spectra(samples: Samples, rows: int) -> NDArray[np.float32]:
    """Return power [2 * rows, WINDOW / 2 + 1]; the two windows of a row are centred at its quarters."""
    first = CONTEXT_SAMPLES + HOP // 2 - WINDOW // 2
    windows = sliding_window_view(samples, WINDOW)[first::HOP][: 2 * rows]
    spectra = np.fft.rfft(windows * _WINDOW_SHAPE, axis=1)
    power = np.square(spectra.real)
    power += np.square(spectra.imag)
    power *= _POWER_SCALE
    return power


def _pairs_mean(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the mean of the two windows of each row."""
    return np.asarray((values[0::2] + values[1::2]) * np.float32(0.5))


def _levels_db(power: NDArray[np.float32]) -> NDArray[np.float32]:
    bands = _pairs_mean(np.add.reduceat(power[:, : _BINS[-1]], _BINS[:-1], axis=1))
    levels = np.concatenate((bands.sum(axis=1, keepdims=True), bands), axis=1)
    floor = np.float32(10.0 ** (SILENCE_DB / 10.0))
    return np.asarray(10.0 * np.log10(np.maximum(levels, floor)))


def _tonality(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ln(mean) - mean(ln) inside each band, minus its value for noise, averaged over three regions."""
    lines = power[:, : _BINS[-1]] + np.float32(1e-14)
    mean = np.asarray(np.add.reduceat(lines, _BINS[:-1], axis=1) / _WIDTHS, dtype=np.float32)
    mean_log = np.add.reduceat(np.log(lines), _BINS[:-1], axis=1) / _WIDTHS
    excess = _pairs_mean(np.log(mean) - mean_log) - _NOISE_TONALITY
    regions = [
        excess[:, (low <= _CENTRES_HZ) & (high > _CENTRES_HZ)].mean(axis=1)
        for low, high in itertools.pairwise(TONALITY_EDGES_HZ)
    ]
    return np.stack(regions, axis=1)


def _periodicity(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return harmonicity and pitch from the autocorrelation of the whitened spectrum, in the stronger window."""
    whitened = power + np.float32(1e-14)
    for _ in range(WHITENING_ROOTS):
        np.sqrt(whitened, out=whitened)
    whitened[:, : _BINS[0]] = 0.0
    whitened[:, _BINS[-1] :] = 0.0
    low, high = PITCH_LAGS
    correlation = np.fft.irfft(whitened, axis=1)
    lags = np.arange(low, high)
    discounted = correlation[:, low:high] * (1.0 - SUBHARMONIC_SLOPE * lags / high).astype(np.float32)
    best = discounted.argmax(axis=1)
    height = np.take_along_axis(correlation, (best + low)[:, None], axis=1)[:, 0] / np.maximum(correlation[:, 0], 1e-12)
    pitch = np.log2(high / (best + low)).astype(np.float32)
    height, pitch = height.reshape(-1, 2), pitch.reshape(-1, 2)
    stronger = height.argmax(axis=1)
    chosen = np.arange(len(stronger))
    return np.stack((height[chosen, stronger], pitch[chosen, stronger]), axis=1)


def _modulation(samples: Samples, rows: int) -> NDArray[np.float32]:
    """Return the envelope's modulation by octave and the share of gaps, both relative to the mean of 1.28 s."""
    emphasised = samples[1:] - np.float32(PRE_EMPHASIS) * samples[:-1]
    usable = len(emphasised) // ENVELOPE_HOP * ENVELOPE_HOP
    # The first sample has no predecessor in the block, so blocks have a little more context than the windows need.
    steps = np.square(emphasised[-usable:]).reshape(-1, ENVELOPE_HOP).mean(axis=1) + np.float32(ENVELOPE_FLOOR)
    first = CONTEXT_SAMPLES // ENVELOPE_HOP - 1 + ENVELOPES_PER_ROW // 2 - MODULATION_WINDOW // 2
    windows = sliding_window_view(steps, MODULATION_WINDOW)[first::ENVELOPES_PER_ROW][:rows]
    mean = windows.mean(axis=1, keepdims=True)
    gaps = (windows < GAP_RATIO * mean).mean(axis=1, dtype=np.float32)
    amplitude = np.sqrt(windows / mean)
    amplitude -= amplitude.mean(axis=1, keepdims=True)
    amplitude *= _MODULATION_SHAPE
    spectra = np.fft.rfft(amplitude, axis=1)
    power = np.square(np.abs(spectra[:, : _MODULATION_BINS[-1]]))
    octaves = np.add.reduceat(power, _MODULATION_BINS[:-1], axis=1) / np.float32(MODULATION_WINDOW)
    return np.concatenate((np.log10(octaves + np.float32(1e-4)), gaps[:, None]), axis=1)
