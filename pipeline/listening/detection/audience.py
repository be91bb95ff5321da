"""Evidence from the audience: how much more than usual people write, react and mark, and with what delay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.features import ROWS_PER_S
from pipeline.types import ActivityEvent

Curve = NDArray[np.float64]

EVENT_WEIGHTS: Final = {"message": 1.0, "reaction": 1.0, "vote": 0.5, "join": 0.25, "mark": 4.0, "replay": 2.0}
"""The weight of an event: a mark refers to the moment, a join hardly does."""
SPREAD_S: Final = 2.0
"""Standard deviation of a person's delay around the audience's mean, by which events are smoothed."""
USUAL_S: Final = 120
"""Activity is compared with the mean of the two minutes around it, because rooms fill and empty."""
QUIET_RATE: Final = 0.5
"""The least usual activity in smoothed events: three reactions in a silent room mean little."""
MAX_LAG_S: Final = 20
"""The longest delay of a reaction, including that of a stream."""
USUAL_LAG_S: Final = 4.0
"""Time for hearing, finding the key and typing; used without sound, or without a correlation with it."""
MIN_EVENTS: Final = 8
"""The least number of events for estimating the lag."""
CLEAR_PEAK: Final = 4.0
"""The best lag counts if it is this many standard deviations above the correlations at impossible lags."""
FAR_S: Final = (40, 240)
"""Impossible lags, whose correlations are due to chance."""
USUAL_SIGMA: Final = 1.0
"""Activity up to this many standard deviations above the usual gives no evidence."""
EVIDENCE_PER_SIGMA: Final = 0.8
"""Log-odds for each further standard deviation: four make an even chance without sound."""
MAX_EVIDENCE: Final = 8.0
"""The most log-odds: the whole room at once outweighs the dullest sound."""
SILENCE_EVIDENCE: Final = -0.5
"""Log-odds for a moment to which an otherwise lively audience did not react."""
LIVELY_RATE: Final = 1.0
"""The least usual activity at which silence gives evidence."""


@dataclass(frozen=True)
class Audience:
    """The audience's evidence at each row, in log-odds, shifted back by its lag `lag_s`."""

    evidence: Curve
    lag_s: float
    is_estimated: bool


def hear_audience(activity: Sequence[ActivityEvent], sound: NDArray[np.floating]) -> Audience:
    """Return the audience's evidence [rows] for `sound`, the row scores 0..1 of the recording (zeros if silent).

    Events outside the recording, and events with weights that are not positive and finite, are left out.
    """
    counts = _counts(activity, len(sound))
    if not counts.any():
        return Audience(np.zeros(len(sound)), 0.0, is_estimated=False)
    smeared = _smear(counts)
    lag_rows, is_estimated = _lag(smeared, sound, len(activity))
    usual = _usual(counts)
    surprise = (smeared - usual) / np.sqrt(usual + QUIET_RATE)
    surprise = np.concatenate((surprise[lag_rows:], np.zeros(min(lag_rows, len(sound)))))[: len(sound)]
    usual = np.concatenate((usual[lag_rows:], np.zeros(min(lag_rows, len(sound)))))[: len(sound)]
    silence = SILENCE_EVIDENCE * np.clip(usual / LIVELY_RATE, 0.0, 1.0) * (surprise < USUAL_SIGMA)
    evidence = np.clip(EVIDENCE_PER_SIGMA * (surprise - USUAL_SIGMA), 0.0, MAX_EVIDENCE) + silence
    return Audience(evidence, lag_rows / ROWS_PER_S, is_estimated)


def _counts(activity: Sequence[ActivityEvent], rows: int) -> Curve:
    """Return weighted events by row."""
    counts = np.zeros(rows)
    for event in activity:
        if 0.0 <= event.time_s * ROWS_PER_S < rows and 0.0 < event.weight < np.inf:
            counts[int(event.time_s * ROWS_PER_S)] += event.weight * EVENT_WEIGHTS[event.signal]
    return counts


def _smear(counts: Curve) -> Curve:
    """Return the number of events near each row, weighted by a bell curve of height 1."""
    half = int(3 * SPREAD_S * ROWS_PER_S)
    bell = np.exp(-0.5 * np.square(np.arange(-half, half + 1) / (SPREAD_S * ROWS_PER_S)))
    return np.convolve(counts, bell)[half : half + len(counts)]


def _usual(counts: Curve) -> Curve:
    """Return the number of events near each row if those of two minutes were spread evenly."""
    rows, half = len(counts), USUAL_S * ROWS_PER_S // 2
    sums = np.concatenate(([0.0], np.cumsum(counts)))
    start, stop = np.maximum(np.arange(rows) - half, 0), np.minimum(np.arange(rows) + half, rows)
    bell_rows = SPREAD_S * ROWS_PER_S * np.sqrt(2 * np.pi)
    return np.asarray((sums[stop] - sums[start]) / (stop - start) * bell_rows)


def _lag(smeared: Curve, sound: NDArray[np.floating], events: int) -> tuple[int, bool]:
    """Return the audience's lag in rows, and whether it was estimated from the sound."""
    usual = min(int(USUAL_LAG_S * ROWS_PER_S), max(0, len(sound) - 1))
    if events < MIN_EVENTS or len(sound) < 2 * FAR_S[0] * ROWS_PER_S or np.ptp(sound) < 1e-6:  # noqa: PLR2004 - flat
        return usual, False
    correlation = _correlate(smeared - smeared.mean(), sound - sound.mean())
    near = correlation[: MAX_LAG_S * ROWS_PER_S + 1]
    far_start, far_stop = FAR_S[0] * ROWS_PER_S, min(FAR_S[1] * ROWS_PER_S, len(sound) // 2)
    far = np.concatenate((correlation[far_start:far_stop], correlation[len(correlation) - far_stop : -far_start]))
    best = int(near.argmax())
    if len(far) == 0 or near[best] < far.mean() + CLEAR_PEAK * far.std():
        return usual, False
    return best, True


def _correlate(later: Curve, earlier: NDArray[np.floating]) -> Curve:
    """Return the correlation at lags 0, 1, 2 … rows; negative lags count back from the end."""
    size = 1 << (2 * len(later) - 1).bit_length()
    product = np.fft.rfft(later, size) * np.conj(np.fft.rfft(earlier, size))
    return np.asarray(np.fft.irfft(product, size))
