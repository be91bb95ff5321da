"""Generated reactions: audiences and voices of which no free recordings are at hand, every one different."""

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
RATE = 16_000


def noise(rng: np.random.Generator, seconds: float, tilt_db: float = 0.0) -> Sound:
    """Return noise whose spectrum falls by `tilt_db` an octave (3 is pink, 6 brown), at unit power."""
    count = max(2, int(seconds * RATE))
    spectrum = np.fft.rfft(rng.standard_normal(count))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 30.0) / 1000.0)
    return unit(np.fft.irfft(spectrum * 10 ** (-tilt_db * octaves / 20), count))


def unit(samples: NDArray[np.floating]) -> Sound:
    """Scale to unit power."""
    return np.asarray(samples / (np.sqrt(np.mean(np.square(samples))) + 1e-9), dtype=np.float32)


def band(samples: NDArray[np.floating], low_hz: float, high_hz: float) -> Sound:
    """Keep [low_hz, high_hz], with slopes of a third of an octave."""
    spectrum = np.fft.rfft(samples)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), 1.0))
    below = np.clip((octaves - np.log2(max(low_hz, 1.0))) * 3 + 1, 0, 1)
    above = np.clip((np.log2(high_hz) - octaves) * 3 + 1, 0, 1)
    return np.asarray(np.fft.irfft(spectrum * below * above, len(samples)), dtype=np.float32)


def swell(rng: np.random.Generator, samples: Sound) -> Sound:
    """Give a sound the rise and fall of a crowd: up within a second, down more slowly."""
    count = len(samples)
    rise, fall = rng.uniform(0.05, 0.8) * RATE, rng.uniform(0.2, 2.0) * RATE
    t = np.arange(count)
    envelope = np.minimum(1.0, t / rise) * np.minimum(1.0, (count - t) / fall)
    wobble = np.interp(t, np.linspace(0, count, 8), 10 ** (rng.normal(0, 2, 8) / 20))
    return np.asarray(samples * envelope * wobble, dtype=np.float32)


def _nearness(rng: np.random.Generator, depth: float = 1.0) -> float:
    """Return how loud one of an audience is: they fill an area, and a few sit near the microphone.

    With less `depth` (0 to 1), all are about as far away, as they are from a microphone in the ceiling.
    """
    return float((10 ** (rng.normal(0, 3) / 20) / np.sqrt(rng.uniform(0.03, 1.0))) ** depth)


def claps(rng: np.random.Generator, seconds: float) -> Sound:
    """Return applause of one to hundreds of people: each claps at a rate of their own, near or far."""
    count = int(seconds * RATE)
    people, depth = int(10 ** rng.uniform(0.0, 2.8)), rng.uniform(0.0, 1.0) ** 2
    impulses = np.zeros((3, count + RATE), dtype=np.float32)
    for _ in range(people):
        times = np.cumsum(rng.normal(1 / rng.uniform(2.5, 6.0), 0.02, int(seconds * 7) + 1)) + rng.uniform(-1, 0.3)
        times = times[(times > 0) & (times < seconds)]
        heights = 10 ** (rng.normal(0, 3, len(times)) / 20) * _nearness(rng, depth)
        np.add.at(impulses[rng.integers(3)], (times * RATE).astype(int), heights)
    out = np.zeros(count + RATE)
    for row in impulses:
        # Hands have their power around `centre`; above it, skin and air take up to 12 dB an octave.
        centre, decay = 10 ** rng.uniform(2.8, 3.5), rng.uniform(0.003, 0.015)
        burst = band(noise(rng, 0.1, rng.uniform(0, 12)), centre / 2, min(7800, centre * 4))
        out += convolve(row, burst * np.exp(-np.arange(RATE // 10) / RATE / decay))[: len(out)]
    return unit(swell(rng, np.asarray(out[:count], dtype=np.float32)))


def voice(rng: np.random.Generator, pitch_hz: NDArray[np.floating], breath: float) -> Sound:
    """Return a sung or shouted vowel that follows `pitch_hz` [n] (0 is unvoiced), with `breath` of noise in it."""
    count = len(pitch_hz)
    phase = np.cumsum(pitch_hz) / RATE
    ticks = np.concatenate(([0.0], np.diff(np.floor(phase)))) > 0
    source = ticks * 1.0 * np.sqrt(RATE / np.maximum(pitch_hz, 60.0))
    source = source + breath * rng.standard_normal(count)
    spectrum = np.fft.rfft(source)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    stretch = rng.uniform(0.85, 1.25)
    gain = 0.05 / (1 + hz / 500.0)
    for formant, width in zip(rng.uniform([400, 1000, 2300], [900, 1900, 3200]) * stretch, (90, 120, 200), strict=True):
        gain = gain + 1.0 / (1.0 + np.square((hz - formant) / width)) / (1 + formant / 1500)
    return unit(np.fft.irfft(spectrum * gain, count))


def laugh(rng: np.random.Generator) -> Sound:
    """Return one person's laugh: a bout of calls, 3 to 7 a second, falling in pitch and weight."""
    rate = rng.uniform(3.0, 7.0)
    calls = rng.integers(3, 14)
    base = rng.choice([rng.uniform(130, 260), rng.uniform(220, 500)])
    pieces = []
    for i in range(calls):
        length = int(RATE / rate * rng.uniform(0.85, 1.15))
        voiced = int(length * rng.uniform(0.35, 0.75))
        pitch = np.zeros(length)
        top = base * (1.3 - 0.5 * i / calls) * rng.uniform(0.9, 1.15)
        pitch[:voiced] = np.linspace(top, top * rng.uniform(0.7, 1.0), voiced)
        call = voice(rng, pitch, breath=rng.uniform(0.05, 0.8))
        shape = np.concatenate(
            (np.hanning(2 * voiced)[voiced // 2 : voiced // 2 + voiced], 0.15 * np.ones(length - voiced))
        )
        pieces.append(call * shape * 10 ** (-rng.uniform(0, 10) * i / calls / 20))
    return unit(np.concatenate(pieces))


def calls(rng: np.random.Generator) -> Sound:
    """Return one person's cheer: a long vowel that slides, or a whoop."""
    seconds = rng.uniform(0.6, 2.5)
    knots = rng.uniform(180, 700) * 2 ** rng.uniform(-0.5, 0.7, 4)
    pitch = np.interp(np.linspace(0, 3, int(seconds * RATE)), np.arange(4), knots)
    return swell(rng, voice(rng, pitch, breath=rng.uniform(0.02, 1.0)))


def exclamation(rng: np.random.Generator) -> Sound:
    """Return one person's "oh", "wow" or "no": a vowel or two, higher than they speak, that rise and fall."""
    pieces = []
    base = rng.uniform(130, 420)
    for _ in range(rng.integers(1, 3)):
        count = int(rng.uniform(0.3, 1.1) * RATE)
        knots = base * 2 ** np.array([rng.uniform(-0.4, 0.2), rng.uniform(0.1, 0.7), rng.uniform(-0.6, 0.3)])
        pitch = np.interp(np.linspace(0, 2, count), np.arange(3), knots)
        pieces.append(swell(rng, voice(rng, pitch, breath=rng.uniform(0.02, 0.4))))
    return unit(np.concatenate(pieces))


def scream(rng: np.random.Generator) -> Sound:
    """Return a scream: high, harmonic and rough (30-100 Hz)."""
    seconds = rng.uniform(0.6, 2.5)
    count = int(seconds * RATE)
    knots = rng.uniform(500, 1300) * 2 ** rng.uniform(-0.4, 0.4, 4)
    pitch = np.interp(np.linspace(0, 3, count), np.arange(4), knots)
    rough = 1 + rng.uniform(0.1, 0.8) * np.sin(2 * np.pi * rng.uniform(30, 100) * np.arange(count) / RATE)
    return swell(rng, np.asarray(voice(rng, pitch, breath=rng.uniform(0.0, 0.2)) * rough, dtype=np.float32))


def crowd(rng: np.random.Generator, pool: list[Sound], seconds: float) -> Sound:
    """Return a few to hundreds of voices of `pool` at once: each at its own speed, time and distance."""
    count = int(seconds * RATE)
    out = np.zeros(count, dtype=np.float32)
    for _ in range(int(10 ** rng.uniform(0.7, 2.6))):
        one = stretch(pool[rng.integers(len(pool))], rng.uniform(0.8, 1.25))
        start = int(rng.uniform(-0.3, 0.8) * count)
        first, last = max(0, start), min(count, start + len(one))
        if last > first:
            out[first:last] += one[first - start : last - start] * np.float32(_nearness(rng))
    return unit(swell(rng, room(rng, out, rng.uniform(0.2, 1.2))))


def stretch(samples: Sound, speed: float) -> Sound:
    """Play faster or slower, pitch and all."""
    positions = np.arange(0, len(samples) - 1, speed)
    return np.interp(positions, np.arange(len(samples)), samples).astype(np.float32)


def room(rng: np.random.Generator, samples: Sound, seconds: float) -> Sound:
    """Put a sound into a room that rings for `seconds` (to -60 dB)."""
    t = np.arange(int(seconds * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / seconds)
    tail = band(tail, 100, rng.uniform(2500, 7500))
    tail *= 10 ** (rng.uniform(-12, 3) / 20) / np.sqrt(np.sum(np.square(tail)))
    wet = convolve(samples, tail)[: len(samples)]
    return np.asarray(samples + wet, dtype=np.float32)


def convolve(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the whole convolution of two sounds."""
    size = 1 << (len(a) + len(b)).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size), size)[: len(a) + len(b)])
