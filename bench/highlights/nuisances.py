"""Generated sounds that are loud and no highlight: weather, machines, traffic, alarms, animals, keyboards, music.

They last as long as reactions do: were they shorter, a model would learn that whatever lasts is a highlight.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from synthetic import RATE, Sound, band, convolve, noise, room, unit, voice

SHORTEST_S, LONGEST_S = 1.0, 9.0


def _seconds(rng: np.random.Generator, shortest: float = SHORTEST_S, longest: float = LONGEST_S) -> float:
    """Return a length, as many between one and two seconds as between two and four."""
    return float(np.exp(rng.uniform(np.log(shortest), np.log(longest))))


def _times(rng: np.random.Generator, seconds: float, rate_hz: float, spread: float) -> NDArray[np.float64]:
    """Return times of a train of `rate_hz` whose intervals vary by `spread` (0 is a clock, 1 is chance)."""
    gaps = np.exp(rng.normal(0, spread, int(seconds * rate_hz) + 2)) / rate_hz
    times = np.cumsum(gaps) - gaps[0] * rng.random()
    return np.asarray(times[(times >= 0) & (times < seconds)])


def _add(out: NDArray[np.float64], at_s: float, part: NDArray[np.floating]) -> None:
    first = int(at_s * RATE)
    part = part[: max(0, len(out) - first)]
    out[first : first + len(part)] += part


def _hit(rng: np.random.Generator, low_hz: float, high_hz: float, decay_s: float) -> NDArray[np.float64]:
    """Return a burst of noise that dies away by a factor of e every `decay_s`."""
    count = max(16, int(6 * decay_s * RATE))
    burst = band(rng.standard_normal(count), low_hz, min(7900.0, high_hz))
    return np.asarray(unit(burst) * np.exp(-np.arange(count) / RATE / decay_s))


def _gusts(rng: np.random.Generator, count: int, knots_a_second: float, swing_db: float) -> NDArray[np.float64]:
    """Return a gain [count] that wanders by `swing_db`."""
    knots = max(2, int(count / RATE * knots_a_second) + 2)
    return np.asarray(
        np.interp(np.linspace(0, knots - 1, count), np.arange(knots), 10 ** (rng.normal(0, swing_db, knots) / 20))
    )


def _rain(rng: np.random.Generator) -> Sound:
    """Return rain: so many drops that the level is constant; a few hundred a second would sound like clapping."""
    count = int(_seconds(rng, 2.5) * RATE)
    drops = (rng.random(count) < 10 ** rng.uniform(-0.7, 0.0)) * rng.exponential(1.0, count)
    low = 10 ** rng.uniform(2.3, 3.3)
    size = int(rng.uniform(60, 500))
    burst = band(rng.standard_normal(size), low, 10 ** rng.uniform(3.5, 3.89)) * np.exp(-np.arange(size) / (size / 8))
    steady = noise(rng, (count + 1) / RATE, rng.uniform(-3, 8))[:count]
    gusts = _gusts(rng, count, 0.5, rng.uniform(0, 1.5))
    return unit((unit(convolve(drops, burst)[:count]) + rng.uniform(0.0, 2.0) * steady) * gusts)


def _engine(rng: np.random.Generator) -> Sound:
    count = int(_seconds(rng) * RATE)
    pitch = np.interp(np.linspace(0, 3, count), np.arange(4), rng.uniform(25, 150) * 2 ** rng.uniform(-0.5, 0.5, 4))
    return unit(
        voice(rng, pitch, rng.uniform(0, 0.5))
        + rng.uniform(0, 1) * noise(rng, (count + 1) / RATE, rng.uniform(2, 8))[:count]
    )


def _hiss(rng: np.random.Generator) -> Sound:
    samples = noise(rng, _seconds(rng), rng.uniform(-4, 9))
    if rng.random() < 0.5:  # noqa: PLR2004 - half of them are narrow
        low = 10 ** rng.uniform(2.3, 3.5)
        samples = band(samples, low, min(7900, low * rng.uniform(1.5, 6)))
    count = len(samples)
    edge = np.minimum(1, np.minimum(np.arange(count), count - np.arange(count)) / (rng.uniform(0.01, 0.5) * RATE))
    return unit(samples * edge)


def _wind(rng: np.random.Generator) -> Sound:
    samples = noise(rng, _seconds(rng, 2.0), rng.uniform(3, 9))
    return unit(samples * _gusts(rng, len(samples), rng.uniform(0.5, 3), rng.uniform(2, 6)))


def _thunder(rng: np.random.Generator) -> Sound:
    samples = noise(rng, rng.uniform(1.5, 6), rng.uniform(5, 10))
    knots = 10 ** (np.concatenate(([0], rng.uniform(-12, 3, 6), [-40])) / 20)
    return unit(samples * np.interp(np.linspace(0, 7, len(samples)), np.arange(8), knots))


def _traffic(rng: np.random.Generator) -> Sound:
    """Return something that drives by: its noise swells and falls, brightest when it is near."""
    count = int(_seconds(rng, 1.5) * RATE)
    near = np.exp(-np.square(np.linspace(-1, 1, count) / rng.uniform(0.3, 0.9)))
    low, high = noise(rng, (count + 1) / RATE, 6)[:count], noise(rng, (count + 1) / RATE, rng.uniform(0, 3))[:count]
    return unit(low * near + rng.uniform(0.1, 1) * high * np.square(near))


def _train(rng: np.random.Generator) -> Sound:
    """Return rumble with the clatter of wheels on joints, two by two."""
    seconds = _seconds(rng, 2.0)
    count = int(seconds * RATE)
    out = band(noise(rng, (count + 1) / RATE, rng.uniform(1, 6))[:count], 50, 10 ** rng.uniform(3, 3.8)).astype(float)
    step, weight = rng.uniform(0.05, 0.2), rng.uniform(0.5, 4)
    for at in _times(rng, seconds, rng.uniform(0.8, 4), 0.05):
        for beat in (at, at + step):
            _add(out, beat, weight * _hit(rng, 80, 10 ** rng.uniform(2.8, 3.7), rng.uniform(0.01, 0.06)))
    return unit(out * _gusts(rng, count, 0.5, 2.0))


def _machine(rng: np.random.Generator) -> Sound:
    """Return a vacuum cleaner, a drill, a fan: noise and the lines of a motor, steady but for its start and stop."""
    count = int(_seconds(rng) * RATE)
    start = np.minimum(1, np.arange(count) / (rng.uniform(0.05, 1.0) * RATE))
    phase = np.cumsum(rng.uniform(60, 900) * (0.5 + 0.5 * start)) / RATE * 2 * np.pi
    lines = sum(np.sin(k * phase + rng.uniform(0, 6)) * rng.uniform(0.1, 1) for k in range(1, rng.integers(3, 9)))
    return unit((unit(np.asarray(lines)) + rng.uniform(0.3, 3) * _hiss_of(rng, count)) * start)


def _hiss_of(rng: np.random.Generator, count: int) -> Sound:
    return noise(rng, (count + 1) / RATE, rng.uniform(-2, 6))[:count]


def _typing(rng: np.random.Generator) -> Sound:
    """Return keys: each a click down and a softer one up, in runs with pauses."""
    seconds = _seconds(rng)
    out = np.zeros(int(seconds * RATE))
    low, ring = 10 ** rng.uniform(2.6, 3.4), rng.uniform(0.001, 0.012)
    keys = [_hit(rng, low * rng.uniform(0.7, 1.4), low * rng.uniform(2, 8), ring) for _ in range(8)]
    for at in _times(rng, seconds, rng.uniform(3, 14), rng.uniform(0.2, 0.8)):
        height = 10 ** (rng.normal(0, 3) / 20)
        _add(out, at, height * keys[rng.integers(8)])
        _add(out, at + rng.uniform(0.04, 0.12), 0.5 * height * keys[rng.integers(8)])
    return unit(out + 1e-3 * rng.standard_normal(len(out)))


def _siren(rng: np.random.Generator) -> Sound:
    """Return a siren or an alarm: a wail, a yelp, two tones in turn or beeps; near, or far, in traffic and echo.

    Vehicles' sirens sweep 500 to 1800 Hz. Their horns overdrive them, and the street takes the harmonics away again.
    """
    count = int(_seconds(rng, 0.4) * RATE)
    form = str(rng.choice(["wail", "yelp", "two tones", "beeps"], p=(0.4, 0.25, 0.15, 0.2)))
    rate_hz = {"wail": (-1.1, -0.2), "yelp": (0.3, 0.8), "two tones": (-0.4, 0.5), "beeps": (-0.2, 0.8)}[form]
    swing = np.sin(2 * np.pi * 10 ** rng.uniform(*rate_hz) * np.arange(count) / RATE + rng.uniform(0, 6))
    centre_hz, reach = 10 ** rng.uniform(2.75, 3.15), rng.uniform(0.15, 0.75)
    if form == "two tones":
        swing, centre_hz, reach = np.sign(swing), 10 ** rng.uniform(2.55, 3.1), rng.uniform(0.1, 0.3)
    elif form == "beeps":
        centre_hz, reach = 10 ** rng.uniform(2.7, 3.5), 0.0
    phase = 2 * np.pi * np.cumsum(centre_hz * 2 ** (reach * swing)) / RATE
    tone = np.asarray(sum(np.sin(k * phase) / k ** rng.uniform(0.3, 2.0) for k in range(1, rng.integers(2, 9))))
    if form == "beeps":
        tone *= swing > rng.uniform(-0.5, 0.5)
    if rng.random() < 0.5:  # noqa: PLR2004 - overdriven
        tone = np.tanh(tone * rng.uniform(1, 5))
    tone = unit(tone)
    if rng.random() < 0.6:  # noqa: PLR2004 - a street or two away
        tone = unit(band(room(rng, tone, rng.uniform(0.3, 3.0)), 200, 10 ** rng.uniform(3.2, 3.85)))
    traffic = noise(rng, (count + 1) / RATE, rng.uniform(-2, 6))[:count]
    return unit(tone * _gusts(rng, count, 0.5, rng.uniform(0, 3)) + 10 ** rng.uniform(-1.7, -0.1) * traffic)


def _horn(rng: np.random.Generator) -> Sound:
    count = int(_seconds(rng, 0.2, 3.0) * RATE)
    t = np.arange(count) / RATE
    base = rng.uniform(200, 700) * np.array([1.0, rng.choice([1.0, 1.26, 1.19])])
    tone = sum(np.sin(2 * np.pi * f * k * t) / k**0.7 for f in base for k in range(1, 12) if f * k < RATE / 2)
    return unit(np.asarray(tone) * np.minimum(1, np.minimum(t, t[-1] - t) / rng.uniform(0.01, 0.06)))


def _whistle(rng: np.random.Generator) -> Sound:
    """Return a referee's whistle, with or without its pea, or somebody whistling."""
    count = int(_seconds(rng, 0.3, 3.0) * RATE)
    t = np.arange(count) / RATE
    trill = 1 + rng.choice([0.0, rng.uniform(0.2, 0.9)]) * np.sin(2 * np.pi * rng.uniform(15, 60) * t)
    hz = 10 ** rng.uniform(3.0, 3.6) * _gusts(rng, count, 4, rng.uniform(0.05, 1.0))
    tone = np.sin(2 * np.pi * np.cumsum(hz) / RATE) * trill + rng.uniform(0, 0.5) * rng.standard_normal(count)
    return unit(tone * np.minimum(1, np.minimum(t, t[-1] - t) / 0.03))


def _birds(rng: np.random.Generator) -> Sound:
    """Return chirps: a few motifs of quick glides, again and again."""
    seconds = _seconds(rng)
    out = np.zeros(int(seconds * RATE))
    motifs = []
    for _ in range(rng.integers(1, 4)):
        count = int(rng.uniform(0.03, 0.25) * RATE)
        hz = np.interp(np.linspace(0, 3, count), np.arange(4), 10 ** rng.uniform(3.2, 3.85, 4))
        motifs.append(np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.hanning(count))
    for at in _times(rng, seconds, rng.uniform(1.5, 12), rng.uniform(0.1, 0.8)):
        _add(out, at, motifs[rng.integers(len(motifs))] * 10 ** (rng.normal(0, 4) / 20))
    return unit(out + 10 ** rng.uniform(-3, -1.5) * rng.standard_normal(len(out)))


def _snore(rng: np.random.Generator) -> Sound:
    """Return breaths that rattle: noise in bursts of a second, broken 20 to 80 times a second."""
    seconds = _seconds(rng, 1.5)
    out = np.zeros(int(seconds * RATE))
    high = 10 ** rng.uniform(2.7, 3.5)
    for at in _times(rng, seconds, rng.uniform(0.25, 0.6), 0.1):
        count = int(rng.uniform(0.5, 1.5) * RATE)
        rattle = 1 + rng.uniform(0.2, 1) * np.sin(2 * np.pi * rng.uniform(20, 80) * np.arange(count) / RATE)
        _add(out, at, band(rng.standard_normal(count), 80, high) * rattle * np.hanning(count))
    return unit(out + 1e-3 * rng.standard_normal(len(out)))


def _coughs(rng: np.random.Generator) -> Sound:
    out = np.zeros(int(_seconds(rng, 0.4, 3.0) * RATE))
    low = 10 ** rng.uniform(2.2, 2.8)
    for at in _times(rng, len(out) / RATE, rng.uniform(1, 4), 0.3):
        _add(out, at, _hit(rng, low, low * rng.uniform(6, 20), rng.uniform(0.03, 0.12)))
    return unit(out + 1e-3 * rng.standard_normal(len(out)))


def _clang(rng: np.random.Generator) -> Sound:
    """Return struck metal, glass or a door: a knock and what rings after it, once or a few times."""
    out = np.zeros(int(_seconds(rng, 0.3, 4.0) * RATE))
    partials = 10 ** rng.uniform(2.3, 3.85, rng.integers(3, 12))
    decay = rng.uniform(0.03, 0.6)
    for at in _times(rng, len(out) / RATE, rng.uniform(0.5, 3), 0.5):
        t = np.arange(int(5 * decay * RATE)) / RATE
        ring = sum(np.sin(2 * np.pi * hz * t) * np.exp(-t * (0.5 + hz / 3000) / decay) for hz in partials)
        _add(out, at, np.asarray(ring) * rng.uniform(0, 1) / len(partials))
        _add(out, at, rng.uniform(0.2, 2) * _hit(rng, 100, 7000, rng.uniform(0.005, 0.05)))
    return unit(out + 1e-3 * rng.standard_normal(len(out)))


def _music(rng: np.random.Generator) -> Sound:
    beat = rng.uniform(0.12, 0.5)
    notes = rng.integers(6, 24)
    scale = 110 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12, 16, 19], (notes, 3)) / 12) * 2 ** rng.integers(0, 2)
    out = np.zeros(int((notes + 4) * beat * RATE))
    for i, chord in enumerate(scale):
        t = np.arange(int(beat * rng.uniform(1, 4) * RATE)) / RATE
        tone = sum(np.sin(2 * np.pi * f * k * t) / k**1.5 for f in chord for k in range(1, 8) if f * k < RATE / 2)
        _add(out, i * beat, np.asarray(tone) * np.exp(-t * rng.uniform(1, 8)))
        if rng.random() < 0.6:  # noqa: PLR2004 - drums on most beats
            hit = noise(rng, 0.08, rng.uniform(-3, 6)) * np.exp(-np.arange(int(0.08 * RATE)) / RATE * 40)
            _add(out, i * beat, 3 * hit)
    return unit(out)


def _knocks(rng: np.random.Generator) -> Sound:
    count = int(rng.uniform(0.2, 4) * RATE)
    out = np.zeros(count)
    for _ in range(rng.integers(1, 2 + int(count / RATE * 8))):
        length = int(rng.uniform(0.01, 0.2) * RATE)
        hit = band(rng.standard_normal(length), 60, 10 ** rng.uniform(2.5, 3.9)) * np.exp(
            -np.arange(length) / length * 6
        )
        start = rng.integers(0, count)
        out[start : start + length] += hit[: count - start]
    return unit(out)


NUISANCES: dict[str, Callable[[np.random.Generator], Sound]] = {
    "rain": _rain,
    "engine": _engine,
    "noise": _hiss,
    "wind": _wind,
    "thunder": _thunder,
    "traffic": _traffic,
    "train": _train,
    "machine": _machine,
    "typing": _typing,
    "siren": _siren,
    "horn": _horn,
    "whistle": _whistle,
    "birds": _birds,
    "snore": _snore,
    "coughs": _coughs,
    "clang": _clang,
    "music": _music,
    "knocks": _knocks,
}
