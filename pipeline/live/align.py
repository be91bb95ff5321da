"""Aligns two tracks of one conversation: roughly by their clocks, exactly by the sound that both contain."""

from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from pipeline.reading.media import AV_ERRORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 8000
HEARD_S = 300.0
"""Five minutes of common sound are plenty; clocks of browsers drift by some milliseconds an hour."""
REACH_S = 2.0
"""The largest error of a client's clock: half a round trip on a slow line, and a busy tab."""
LEAST_LIKENESS = 0.25
"""Least peak of the normalised correlation; unrelated voices stay below 0.1."""
LEAST_COMMON_S = 3.0


def refine(first: Path, second: Path, delay_s: float) -> float:
    """Return the delay of the track `second` after `first`, in seconds.

    `delay_s` is the delay by their clocks. It is corrected by at most REACH_S, and only if the tracks share sound, by
    the peak of the cross-correlation of their whitened envelopes.
    """
    a, b = _samples(first), _samples(second)
    skip = round(max(0.0, delay_s) * RATE)
    other = round(max(0.0, -delay_s) * RATE)
    common = min(len(a) - skip, len(b) - other, round(HEARD_S * RATE))
    if common < LEAST_COMMON_S * RATE:
        return delay_s
    found = _lag(a[skip : skip + common], b[other : other + common])
    return delay_s if found is None else delay_s + found


def _lag(a: "NDArray[np.float32]", b: "NDArray[np.float32]") -> float | None:
    """Return the delay of b's sound in a, in seconds; None if the two have too little in common."""
    norm = float(np.sqrt(np.sum(a * a, dtype=np.float64) * np.sum(b * b, dtype=np.float64)))
    if norm <= 0:
        return None
    size = 1 << (len(a) + len(b) - 1).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)
    reach = round(REACH_S * RATE)
    around = np.concatenate((correlation[-reach:], correlation[: reach + 1]))
    best = int(np.argmax(np.abs(around)))
    if abs(float(around[best])) / norm < LEAST_LIKENESS:
        return None
    return (best - reach) / RATE


def _samples(path: Path) -> "NDArray[np.float32]":
    """Return up to HEARD_S (and the reach) of a file's sound as mono at RATE; empty if it has none."""
    wanted = round((HEARD_S + 2 * REACH_S) * RATE)
    pieces: list[NDArray[np.float32]] = []
    got = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return np.zeros(0, np.float32)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    pieces.append(piece.to_ndarray().reshape(-1).astype(np.float32))
                    got += len(pieces[-1])
                if got >= wanted:
                    break
    except AV_ERRORS:
        pass  # the sound decoded so far can still be compared
    sound = np.concatenate(pieces)[:wanted] if pieces else np.zeros(0, np.float32)
    return sound - sound.mean() if len(sound) else sound
