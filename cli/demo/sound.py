"""Computed sounds: a voice, reactions of people, and loud noises. Mono, float32, at `RATE`."""

import numpy as np
from numpy.typing import NDArray

RATE = 32_000
Samples = NDArray[np.float32]

# First three formants of five vowels of a man's voice, in Hz (Peterson & Barney 1952, table II, rounded).
VOWELS = np.array(
    [[730, 1090, 2440], [530, 1840, 2480], [270, 2290, 3010], [570, 840, 2410], [300, 870, 2240]], dtype=np.float64
)
FORMANT_WIDTH_HZ = 110.0
VOICE_LEVEL = 0.1
HIGHEST_HARMONIC_HZ = 4_000.0
SECOND_COUGH_S = 0.35


def speech(random: np.random.Generator, duration_s: float) -> Samples:
    """Return speech: phrases of four or five syllables a second, with pauses."""
    talk = np.zeros(int(duration_s * RATE), dtype=np.float32)
    at_s = 0.4
    while at_s < duration_s:
        pitch_hz = random.uniform(100, 135)
        for _ in range(random.integers(6, 16)):
            length_s = random.uniform(0.13, 0.26)
            pitch_hz = float(np.clip(pitch_hz * random.normal(0.995, 0.04), 85, 180))
            syllable = _syllable(random, pitch_hz, length_s) * random.uniform(0.5, 1.2)
            start = int(at_s * RATE)
            talk[start : start + len(syllable)] += syllable[: max(0, len(talk) - start)]
            at_s += length_s * random.uniform(0.9, 1.15)
        at_s += random.uniform(0.25, 1.1)
    return talk * np.float32(VOICE_LEVEL / level(talk[np.abs(talk) > 0]))


def room_tone(random: np.random.Generator, duration_s: float) -> Samples:
    """Return room tone: faint noise, darker than white."""
    return 0.0015 * _coloured(random, int(duration_s * RATE), low_hz=40, high_hz=6_000)


def laughter(random: np.random.Generator, duration_s: float) -> Samples:
    """Return laughter of six people: breathy calls at about five a second that fade out."""
    size = int(duration_s * RATE)
    crowd = np.zeros(size, dtype=np.float32)
    for _ in range(6):
        at_s = random.uniform(0, 0.1 * duration_s)
        pitch_hz = random.uniform(180, 420)
        step_s = random.uniform(0.19, 0.23)
        loudness = random.uniform(0.5, 1.0)
        while at_s < duration_s - 0.3:
            call = _syllable(random, pitch_hz, step_s * 0.6, breath=0.4, vowel=0)
            start = int(at_s * RATE)
            crowd[start : start + len(call)] += loudness * call[: size - start]
            at_s += step_s * random.uniform(0.93, 1.08)
            pitch_hz *= random.uniform(0.97, 1.01)
            loudness *= random.uniform(0.93, 1.0)
    return crowd * _swell(size, rise_s=0.2, fall_s=1.5)


def applause(random: np.random.Generator, duration_s: float) -> Samples:
    """Return applause of about sixty people, who clap three or four times a second with different hands."""
    size = int(duration_s * RATE)
    crowd = np.zeros(size, dtype=np.float32)
    for _ in range(8):
        low_hz, high_hz = random.uniform(500, 900), random.uniform(3_000, 7_000)
        clap = _coloured(random, int(0.02 * RATE), low_hz=low_hz, high_hz=high_hz)
        clap *= np.exp(-np.arange(len(clap)) / (0.004 * RATE)).astype(np.float32)
        hits = np.zeros(size, dtype=np.float32)
        for _ in range(8):
            times = np.cumsum(random.normal(1 / random.uniform(3, 4.2), 0.02, int(duration_s * 5)))
            places = ((times + random.uniform(0, 0.3)) * RATE).astype(int)
            hits[places[(places >= 0) & (places < size)]] += random.uniform(0.4, 1.0)
        crowd += _convolved(hits, clap)
    return crowd * _swell(size, rise_s=0.6, fall_s=2.5)


def slam(random: np.random.Generator, duration_s: float) -> Samples:
    """Return a slammed door: one low, short blow."""
    size = int(duration_s * RATE)
    time_s = np.arange(size) / RATE
    blow = _coloured(random, size, low_hz=30, high_hz=900) * np.exp(-time_s / 0.05)
    return _single(blow + 0.5 * np.sin(2 * np.pi * 70 * time_s) * np.exp(-time_s / 0.12))


def cough(random: np.random.Generator, duration_s: float) -> Samples:
    """Return a cough: two bursts of breath."""
    size = int(duration_s * RATE)
    time_s = np.arange(size) / RATE
    bursts = np.exp(-time_s / 0.07) + (time_s > SECOND_COUGH_S) * np.exp(-np.abs(time_s - SECOND_COUGH_S) / 0.09)
    return _single(_coloured(random, size, low_hz=300, high_hz=3_500) * bursts)


def chime(_random: np.random.Generator, duration_s: float) -> Samples:
    """Return a chime: sustained pure tones, like a telephone or a jingle."""
    time_s = np.arange(int(duration_s * RATE)) / RATE
    tune = np.zeros_like(time_s)
    for number, tone_hz in enumerate((880.0, 1108.7, 1318.5, 1760.0)):
        after = np.clip(time_s - 0.35 * number, 0, None)
        tune += np.sin(2 * np.pi * tone_hz * time_s) * np.exp(-after / 0.9) * (time_s >= 0.35 * number)
    return _single(tune)


def shout(random: np.random.Generator, duration_s: float) -> Samples:
    """Return the same voice close to the microphone: loud, but speech."""
    return speech(random, duration_s + 3)[: int(duration_s * RATE)]


def level(samples: Samples) -> float:
    """Return the root mean square; 0 for nothing."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def _syllable(
    random: np.random.Generator, pitch_hz: float, length_s: float, *, breath: float = 0.12, vowel: int | None = None
) -> Samples:
    """Return one vowel: harmonics under three formants (additive), with some breath and a soft start and end."""
    time_s = np.arange(int(length_s * RATE)) / RATE
    formants = VOWELS[random.integers(len(VOWELS)) if vowel is None else vowel] * random.uniform(0.92, 1.1)
    harmonics = np.arange(1, int(HIGHEST_HARMONIC_HZ / pitch_hz) + 1)
    frequencies = harmonics * pitch_hz
    resonance = (FORMANT_WIDTH_HZ**2 / ((frequencies[:, None] - formants) ** 2 + FORMANT_WIDTH_HZ**2)).sum(axis=1)
    amplitudes = (resonance + 0.02) / harmonics**0.6 * np.exp(1j * random.uniform(0, 2 * np.pi, len(harmonics)))
    turns = pitch_hz * (time_s + random.normal(0, 0.06) * time_s**2 / length_s)
    # A polynomial in exp(2πi·turns) whose powers are the harmonics: Horner's rule instead of a sine for each.
    voice = np.polynomial.polynomial.polyval(np.exp(2j * np.pi * turns), np.concatenate(([0], amplitudes))).imag
    air = _coloured(random, len(time_s), low_hz=800, high_hz=6_000) * breath * voice.std()
    return _single((voice + air) * np.sin(np.pi * np.linspace(0, 1, len(time_s))) ** 0.7)


def _coloured(random: np.random.Generator, size: int, *, low_hz: float, high_hz: float) -> Samples:
    """Return noise of unit level between two frequencies, falling by 6 dB an octave outside of them."""
    spectrum = np.fft.rfft(random.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    gain = 1 / np.sqrt(1 + (frequencies / high_hz) ** 4) * (frequencies / np.hypot(frequencies, low_hz))
    noise = np.fft.irfft(spectrum * gain, size)
    return _single(noise / noise.std())


def _convolved(hits: Samples, kernel: Samples) -> Samples:
    size = len(hits) + len(kernel) - 1
    size = 1 << (size - 1).bit_length()  # powers of two transform fastest
    return _single(np.fft.irfft(np.fft.rfft(hits, size) * np.fft.rfft(kernel, size), size)[: len(hits)])


def _swell(size: int, *, rise_s: float, fall_s: float) -> Samples:
    time_s = np.arange(size) / RATE
    return _single(np.clip(np.minimum(time_s / rise_s, (size / RATE - time_s) / fall_s), 0, 1))


def _single(samples: NDArray[np.float64]) -> Samples:
    return samples.astype(np.float32)
