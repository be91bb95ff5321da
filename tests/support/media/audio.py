"""Sound made in code: a speaking voice, applause, laughter and noise, and files of them in any codec."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]


def speech(seconds: float, *, rate: int = 16_000, seed: int = 0, level: float = 0.08) -> Sound:
    """Return something that speaks: voiced syllables of changing vowels, hissing consonants, pauses."""
    rng = np.random.default_rng(seed)
    out = np.zeros(int(seconds * rate))
    at = 0
    while at < len(out):
        length = int(rng.uniform(0.1, 0.28) * rate)
        t = np.arange(length) / rate
        pitch = rng.uniform(90, 150)
        formants = rng.uniform([300, 900, 2200], [800, 1900, 3000])
        hz = pitch * np.arange(1, 30)
        gains = sum(1 / (1 + ((hz - f) / 120) ** 2) for f in formants)
        vowel = sum(g * np.sin(2 * np.pi * h * t) for g, h in zip(gains, hz, strict=True) if h < 0.45 * rate)
        hiss = np.diff(rng.standard_normal(length // 3 + 1))
        part = np.concatenate((vowel * np.hanning(length), 0.3 * hiss * np.hanning(len(hiss))))
        pause = int(rate * (rng.uniform(0.4, 1.2) if rng.random() < 0.12 else rng.uniform(0.0, 0.08)))
        out[at : at + len(part)] += part[: len(out) - at]
        at += len(part) + pause
    return (out * level / np.sqrt(np.mean(out**2))).astype(np.float32)


def applause(seconds: float, *, rate: int = 16_000, seed: int = 0, level: float = 0.16) -> Sound:
    """Return forty people clapping, who start and stop within a moment.

    A clap rings for some milliseconds between 0.5 and 3.5 kHz, as the hollow of two hands does (Repp 1987); no two
    pairs of hands are alike.
    """
    rng = np.random.default_rng(seed)
    count = int(seconds * rate)
    out = np.zeros(count)
    for _ in range(40):
        times = np.cumsum(rng.normal(1 / rng.uniform(3, 5), 0.02, int(seconds * 6))) + rng.uniform(0, 0.3)
        times = times[(times > 0) & (times < seconds)]
        burst = _clap(rng, rate)
        for start, strength in zip((times * rate).astype(int), rng.uniform(0.3, 1.0, len(times)), strict=True):
            part = out[start : start + len(burst)]
            part += strength * burst[: len(part)]
    out *= np.minimum(1, np.minimum(np.arange(count), count - np.arange(count)) / (0.3 * rate))
    return (out * level / np.sqrt(np.mean(out**2))).astype(np.float32)


def _clap(rng: np.random.Generator, rate: int) -> Sound:
    """Return one pair of hands, with a pitch and a decay of its own."""
    spectrum = np.fft.rfft(rng.standard_normal(rate // 50))
    hz = np.fft.rfftfreq(rate // 50, 1 / rate)
    spectrum *= np.exp(-np.square(np.log2(np.maximum(hz, 1.0) / rng.uniform(800.0, 2200.0)) / rng.uniform(0.8, 1.6)))
    return np.asarray(np.fft.irfft(spectrum) * np.exp(-np.arange(rate // 50) / rate / rng.uniform(0.003, 0.009)))


def rain(seconds: float, *, rate: int = 16_000, seed: int = 0, level: float = 0.16) -> Sound:
    """Return steady rain on a roof: noise that is strongest about 1.4 kHz and never wavers."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(int(seconds * rate)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(int(seconds * rate), 1 / rate), 20.0) / 1400.0)
    out = np.fft.irfft(spectrum * 10 ** (-3.0 * np.abs(octaves) / 20), int(seconds * rate))
    edge = np.arange(len(out)) / (0.3 * rate)
    out *= np.minimum(1, np.minimum(edge, edge[::-1]))
    return (out * level / np.sqrt(np.mean(out**2))).astype(np.float32)


def mixed(base: Sound, *parts: tuple[float, Sound], rate: int = 16_000, kept: float = 0.1) -> Sound:
    """Lay parts over a base, each at its time in seconds; `kept` of the base stays under them."""
    out = base.copy()
    for start_s, part in parts:
        first = int(start_s * rate)
        out[first : first + len(part)] *= kept
        out[first : first + len(part)] += part
    return out


def write_audio(path: Path, sound: Sound, *, rate: int, codec: str, layout: str = "mono") -> Path:
    """Encode mono [n] or [channels, n] sound into a file whose name says the container."""
    channels = np.atleast_2d(sound)
    count = av.AudioLayout(layout).nb_channels
    fmt = (av.Codec(codec, "w").audio_formats or [av.AudioFormat("s16")])[0].name
    if len(channels) != count:
        channels = np.repeat(channels[:1], count, axis=0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.layout = layout
        stream.format = fmt
        resampler = av.AudioResampler(format=fmt, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
        for first in range(0, channels.shape[1], rate):
            part = np.ascontiguousarray(channels[:, first : first + rate].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate, first
            for ready in resampler.resample(frame):
                container.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path
