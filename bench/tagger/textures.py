"""Generated textures that teach what is no audience: showers, surf, frying, brooks, machines, breath and lips.

The generators that measure (`bench/highlights/nuisances.py`) are others: what a tagger learns here is not their sound.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1] / "highlights"))
from synthetic import RATE, Sound, band, convolve, unit

Curve = NDArray[np.float64]


def _count(rng: np.random.Generator, shortest_s: float = 1.0, longest_s: float = 12.0) -> int:
    return int(np.exp(rng.uniform(np.log(shortest_s), np.log(longest_s))) * RATE)


def _coloured(rng: np.random.Generator, count: int, top_hz: float, below_db: float, above_db: float) -> Curve:
    """Return noise that is strongest at `top_hz` and falls by so many dB an octave on either side, slightly uneven."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20.0) / top_hz)
    knots = np.linspace(-7, 5, 25)
    uneven = np.interp(octaves, knots, rng.normal(0, rng.uniform(0, 2.5), len(knots)))
    curve = np.where(octaves < 0, below_db * octaves, -above_db * octaves) + uneven
    return np.asarray(unit(np.fft.irfft(spectrum * 10 ** (curve / 20), count)), dtype=np.float64)


def _wander(rng: np.random.Generator, count: int, hz: float, swing_db: float) -> Curve:
    """Return a gain [count] that wanders by `swing_db`, `hz` times a second."""
    knots = max(3, int(count / RATE * hz) + 2)
    gain = 10 ** (rng.normal(0, swing_db, knots) / 20)
    return np.asarray(np.interp(np.linspace(0, knots - 1, count), np.arange(knots), gain))


def _grains(rng: np.random.Generator, count: int, rate_hz: float, burst: Curve, spread_db: float) -> Curve:
    """Return a train of bursts at chance times, each at a height of its own."""
    impulses = np.zeros(count)
    at = rng.integers(0, count, int(rate_hz * count / RATE) + 1)
    np.add.at(impulses, at, rng.choice([-1.0, 1.0], len(at)) * 10 ** (rng.normal(0, spread_db, len(at)) / 20))
    return convolve(impulses, burst)[:count]


def _burst(rng: np.random.Generator, low_hz: float, high_hz: float, decay_s: float) -> Curve:
    count = max(24, int(6 * decay_s * RATE))
    shape = np.exp(-np.arange(count) / RATE / decay_s)
    return np.asarray(unit(band(rng.standard_normal(count), low_hz, min(7900.0, high_hz)) * shape), dtype=np.float64)


def _shower(rng: np.random.Generator) -> Sound:
    """Return rain on leaves, a roof, a street or an umbrella: a wash, and drops that are too many to be hands."""
    count = _count(rng, 2.0, 20.0)
    out = _coloured(rng, count, 10 ** rng.uniform(2.5, 3.75), rng.uniform(0, 7), rng.uniform(0, 7))
    if rng.random() < 0.6:  # noqa: PLR2004 - drops that can be told apart
        low = 10 ** rng.uniform(2.6, 3.6)
        burst = _burst(rng, low, low * rng.uniform(2, 8), 10 ** rng.uniform(-3.3, -2.2))
        drops = _grains(rng, count, 10 ** rng.uniform(1.0, 4.0), burst, rng.uniform(2, 6))
        out = out + 10 ** (rng.uniform(-15, 3) / 20) * unit(drops)
    return unit(out * _wander(rng, count, rng.uniform(0.1, 1.0), rng.uniform(0, 2.5)))


def _wash(rng: np.random.Generator) -> Sound:
    """Return a steady noise of any colour: a tap, a shower, an air conditioner, a hall, a tape, a waterfall."""
    count = _count(rng, 1.0, 20.0)
    return unit(_coloured(rng, count, 10 ** rng.uniform(2.0, 3.85), rng.uniform(0, 12), rng.uniform(0, 12)))


def _surf(rng: np.random.Generator) -> Sound:
    """Return waves on a shore: noise that swells for seconds, breaks brightly and runs out."""
    count = _count(rng, 4.0, 20.0)
    t = np.arange(count) / RATE
    out = np.zeros(count)
    at = -rng.uniform(0, 6)
    while at < t[-1]:
        rise, fall = rng.uniform(0.8, 4), rng.uniform(1, 6)
        swell = np.where(t < at + rise, np.exp(-np.square((t - at - rise) / rise)), np.exp(-(t - at - rise) / fall))
        out += rng.uniform(0.4, 1) * swell * _coloured(rng, count, 10 ** rng.uniform(2.5, 3.4), 3, rng.uniform(1, 5))
        bright = np.clip(swell, 0, 1) ** rng.uniform(2, 5)
        out += rng.uniform(0, 0.7) * bright * _coloured(rng, count, 10 ** rng.uniform(3.3, 3.8), 4, 2)
        at += rise + fall * rng.uniform(0.5, 1.5)
    return unit(out + 0.02 * rng.standard_normal(count))


def _frying(rng: np.random.Generator) -> Sound:
    """Return fat, fire, static or a worn record: short sharp grains over a hiss."""
    count = _count(rng, 1.5, 15.0)
    burst = _burst(rng, 10 ** rng.uniform(2.9, 3.6), 7900, 10 ** rng.uniform(-3.7, -2.8))
    grains = _grains(rng, count, 10 ** rng.uniform(0.7, 3.3), burst, rng.uniform(4, 10))
    hiss = _coloured(rng, count, 10 ** rng.uniform(3.2, 3.85), rng.uniform(2, 8), rng.uniform(0, 4))
    return unit(unit(grains) + 10 ** (rng.uniform(-20, 6) / 20) * hiss * _wander(rng, count, 3, rng.uniform(0, 3)))


def _brook(rng: np.random.Generator) -> Sound:
    """Return bubbles that rise in pitch, over a wash."""
    count = _count(rng, 2.0, 12.0)
    out = np.zeros(count)
    for at in rng.integers(0, count, int(count / RATE * rng.uniform(10, 60))):
        length = int(rng.uniform(0.01, 0.08) * RATE)
        hz = 10 ** rng.uniform(2.5, 3.4) * np.linspace(1, rng.uniform(1.0, 1.8), length)
        blip = np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.exp(-np.arange(length) / length * 5)
        out[at : at + length] += (10 ** (rng.normal(0, 5) / 20) * blip)[: count - at]
    wash = _coloured(rng, count, 10 ** rng.uniform(2.7, 3.5), 3, rng.uniform(1, 5))
    return unit(unit(out) + 10 ** (rng.uniform(-12, 6) / 20) * wash)


def _motor(rng: np.random.Generator) -> Sound:
    """Return noise that a turning thing chops: fans, mixers, saws, helicopters, printers."""
    count = _count(rng, 1.0, 12.0)
    turns = rng.uniform(3, 120) * _wander(rng, count, 1.0, rng.uniform(0, 1.5))
    phase = 2 * np.pi * np.cumsum(turns) / RATE
    chop = (0.5 + 0.5 * np.cos(phase)) ** rng.uniform(0.3, 6)
    noise = _coloured(rng, count, 10 ** rng.uniform(2.3, 3.7), rng.uniform(1, 8), rng.uniform(1, 8))
    hum = sum(np.sin(k * phase * rng.integers(1, 9)) / k ** rng.uniform(0.2, 2) for k in range(1, 12))
    depth = rng.uniform(0.0, 1.0)
    return unit(noise * (1 - depth + depth * chop) + rng.uniform(0, 1) * np.asarray(unit(np.asarray(hum))))


def _tones(rng: np.random.Generator) -> Sound:
    """Return beeps, warbles, whistles and horns: a few steady or gliding tones, with or without edges and echo."""
    count = _count(rng, 0.3, 8.0)
    t = np.arange(count) / RATE
    out = np.zeros(count)
    for _ in range(rng.integers(1, 4)):
        glide = np.interp(
            np.linspace(0, 4, count), np.arange(5), rng.uniform(-0.5, 0.5, 5) * rng.choice([0.0, 0.1, 1.0])
        )
        shake = rng.choice([0.0, rng.uniform(0.01, 0.5)]) * np.sin(2 * np.pi * rng.uniform(0.3, 30) * t)
        hz = np.minimum(10 ** rng.uniform(2.4, 3.6) * 2 ** (glide + shake), 7000)
        phase = 2 * np.pi * np.cumsum(hz) / RATE
        tone = sum(np.sin(k * phase) / k ** rng.uniform(0.5, 3) for k in range(1, rng.integers(2, 6)))
        out += rng.uniform(0.3, 1) * np.asarray(tone)
    if rng.random() < 0.5:  # noqa: PLR2004 - on and off
        out *= (np.sin(2 * np.pi * rng.uniform(0.5, 8) * t) > rng.uniform(-0.6, 0.6)) + 1e-3
    out *= np.minimum(1, np.minimum(t, t[-1] - t) / rng.uniform(0.005, 0.2))
    return unit(out + 10 ** rng.uniform(-3, -0.7) * np.abs(out).max() * rng.standard_normal(count))


def _rustle(rng: np.random.Generator) -> Sound:
    """Return paper, cloth, bags, steps on gravel: noise in uneven strokes."""
    count = _count(rng, 0.6, 8.0)
    gain = _wander(rng, count, rng.uniform(6, 40), rng.uniform(6, 14))
    return unit(_coloured(rng, count, 10 ** rng.uniform(3.0, 3.8), rng.uniform(2, 8), rng.uniform(1, 5)) * gain)


def _rattle(rng: np.random.Generator) -> Sound:
    """Return hoofs, dishes, coins, doors, hammers: hits of one or a few kinds, fewer than a hall has hands."""
    count = _count(rng, 0.5, 8.0)
    out = np.zeros(count)
    rate = 10 ** rng.uniform(0.0, 1.2)
    for _ in range(rng.integers(1, 4)):
        low = 10 ** rng.uniform(1.9, 3.5)
        burst = _burst(rng, low, low * rng.uniform(1.5, 10), 10 ** rng.uniform(-2.7, -1.0))
        if rng.random() < 0.5:  # noqa: PLR2004 - it rings
            hz = low * rng.uniform(1, 3, (3, 1))
            burst = burst + np.asarray((np.sin(2 * np.pi * hz * np.arange(len(burst)) / RATE)).sum(axis=0)) * np.abs(
                burst
            )
        out += _grains(rng, count, rate, burst, rng.uniform(1, 6))
    return unit(out + 1e-3 * rng.standard_normal(count))


def breath(rng: np.random.Generator) -> Sound:
    """Return one breath near a microphone, in or out."""
    count = int(rng.uniform(0.2, 1.2) * RATE)
    shape = np.hanning(count) ** rng.uniform(0.5, 2)
    return unit(_coloured(rng, count, 10 ** rng.uniform(2.7, 3.6), rng.uniform(2, 9), rng.uniform(1, 6)) * shape)


def plosive(rng: np.random.Generator) -> Sound:
    """Return a puff of air on a microphone: a thump under 200 Hz, up at once and gone within a tenth of a second."""
    count = int(rng.uniform(0.05, 0.25) * RATE)
    shape = np.exp(-np.arange(count) / RATE / rng.uniform(0.01, 0.06))
    return unit(_coloured(rng, count, rng.uniform(30, 150), 3, rng.uniform(6, 15)) * shape)


def lips(rng: np.random.Generator) -> Sound:
    """Return a few clicks of lips and tongue."""
    count = int(rng.uniform(0.05, 0.6) * RATE)
    burst = _burst(rng, 10 ** rng.uniform(2.8, 3.4), 7900, 10 ** rng.uniform(-3.3, -2.4))
    return unit(_grains(rng, count, rng.uniform(4, 25), burst, 5) + 1e-4 * rng.standard_normal(count))


MOUTH: tuple[Callable[[np.random.Generator], Sound], ...] = (breath, breath, plosive, lips)
"""What a near microphone hears of a speaker, besides words."""
TEXTURES: dict[str, Callable[[np.random.Generator], Sound]] = {
    "shower": _shower,
    "wash": _wash,
    "surf": _surf,
    "frying": _frying,
    "brook": _brook,
    "motor": _motor,
    "tones": _tones,
    "rustle": _rustle,
    "rattle": _rattle,
}
SHARES = (0.24, 0.12, 0.08, 0.1, 0.07, 0.12, 0.14, 0.06, 0.07)
"""How often each of them is taken: what is nearest to applause, most."""
