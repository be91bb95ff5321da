"""Scoring one timeline: cues, the row curve, candidate cores, their scores and what speaks for them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.audience import hear_audience
from pipeline.listening.detection.candidates import (
    AROUND_ROWS,
    MAX_ROWS,
    MEASURES,
    Intervals,
    measure,
    pick,
    propose,
    runs,
    settle,
)
from pipeline.listening.detection.cues import CUES, extract_cues, smoothed_level_db
from pipeline.listening.detection.kinds import KindGuess, tell_kinds
from pipeline.listening.detection.model import Judgement, Tables, any_of, load_model, sigmoid
from pipeline.listening.features import ROWS_PER_S, SILENCE_DB
from pipeline.listening.timeline_file import Timeline
from pipeline.types import ActivityEvent, DetectOptions, Reason

AUDIENCE: Final = "audience"
BASE: Final = "base"
"""The reason that stands for no evidence at all: how rare highlights are."""
UNHEARD_DB: Final = SILENCE_DB + 10.0
"""Where there is no sound (-90 dBFS), the sound gives no evidence; only the audience speaks there."""
AUDIENCE_LEAST: Final = 0.5
AUDIENCE_SHARE: Final = 0.5
"""A stretch of audience activity is a candidate itself where it has half of the greatest near it, and half a unit of
log-odds."""
AUDIENCE_NEAR_ROWS: Final = 10 * ROWS_PER_S
ENGAGEMENT_SCORE: Final = 0.3
"""A moment that the sound alone would score under this is there because of the audience."""


class OptionsError(ValueError):
    """Detection was asked for something that it does not have: the message says what and lists what there is."""


@dataclass(frozen=True)
class Core:
    """A moment as it was found: rows [start, stop), its score and the reasons, which sum to it."""

    rows: tuple[int, int]
    peak_row: int
    score: float
    kind: KindGuess
    reasons: list[Reason]


def signal_names() -> list[str]:
    """Return the signals that can be weighted; they are the names in `reasons`, beside `base`."""
    return [*load_model().signals(), AUDIENCE]


class Hearing:
    """What is heard in one recording, under one set of options. OptionsError for weights that make no sense."""

    def __init__(self, timeline: Timeline, options: DetectOptions, activity: Sequence[ActivityEvent]) -> None:
        self._weights = _checked_weights(options.weights)
        self._model = load_model()
        self._signals = self._model.signals()
        self._reason_names = [BASE, *self._signals, AUDIENCE]
        self._reason_weights = [self._weights.get(name, 1.0) for name in self._reason_names]
        self._scale = np.array([self._weights.get(signal, 1.0) for signal in self._signals])
        self._cues, self.level_db = _heard(timeline)
        self._log_odds = self._row_log_odds()
        sound = sigmoid(self._log_odds)
        self._audience = hear_audience(activity, sound).evidence * self._weights.get(AUDIENCE, 1.0)

    def curve(self) -> NDArray[np.float64]:
        """Return how likely each row belongs to a highlight, 0..1."""
        return sigmoid(self._log_odds + self._audience)

    def cores(self, least: float) -> list[Core]:
        """Return cores that score at least `least`, best first, none overlapping another."""
        intervals = self._propose()
        if len(intervals) == 0:
            return []
        measures = measure(intervals, self._cues, self._log_odds, self.level_db)
        judgement = self._judge(intervals, measures)
        worthy = np.flatnonzero(judgement.scores >= least)
        intervals, scores = intervals[worthy], judgement.scores[worthy]
        picked = pick(intervals, scores)
        settled = settle(intervals, scores, picked)
        chosen = worthy[picked]
        kinds = tell_kinds(self._model, measures[chosen], judgement.log_odds[chosen])
        shares = judgement.shares(chosen)
        orders = np.argsort(-np.abs(shares), axis=1, kind="stable")
        return [
            Core(
                rows=(int(start), int(stop)),
                peak_row=int(start + np.argmax(self._log_odds[start:stop] + self._audience[start:stop])),
                score=float(judgement.scores[i]),
                kind=_with_audience(kind, judgement.sound_scores[i], given),
                reasons=self._reasons(given[order].tolist(), order.tolist()),
            )
            for i, kind, given, order, (start, stop) in zip(chosen, kinds, shares, orders, settled, strict=True)
        ]

    def _row_log_odds(self) -> NDArray[np.float64]:
        listeners = self._model.rows
        log_odds = any_of(_tables(tuple(sorted(self._weights.items()))).log_odds(self._cues))
        nothing = any_of(np.array([[listener.bias for listener in listeners.values()]]))[0]
        return np.where(self.level_db > UNHEARD_DB, log_odds, nothing)

    def _propose(self) -> Intervals:
        found = [propose(self._log_odds)]
        if self._audience.any():
            height = np.maximum(AUDIENCE_LEAST, AUDIENCE_SHARE * _near_maximum(self._audience))
            found.append(runs(self._audience > height))
        every = np.unique(np.concatenate(found), axis=0)
        return every[every[:, 1] - every[:, 0] <= MAX_ROWS]

    def _judge(self, intervals: Intervals, measures: NDArray[np.float64]) -> Judgement:
        listeners = self._model.intervals.values()
        parts = np.stack([a.parts(measures, MEASURES, self._signals) * self._scale for a in listeners], axis=1)
        return Judgement(self._model, parts, self._audience_parts(intervals), self._unheard(intervals))

    def _unheard(self, intervals: Intervals) -> NDArray[np.bool_]:
        """Return which intervals have no sound at all, in or near them: a pause is not the lack of sound."""
        sums = np.concatenate(([0], np.cumsum(self.level_db > UNHEARD_DB)))
        first = np.maximum(intervals[:, 0] - AROUND_ROWS, 0)
        last = np.minimum(intervals[:, 1] + AROUND_ROWS, len(self.level_db))
        return np.asarray(sums[last] == sums[first])

    def _audience_parts(self, intervals: Intervals) -> NDArray[np.float64]:
        """Return the audience's strongest word within each interval."""
        return np.maximum.reduceat(np.append(self._audience, -np.inf), intervals.ravel())[::2]

    def _reasons(self, given: list[float], order: list[int]) -> list[Reason]:
        """Return what gave the score, the greatest first as in `order`; what gave nothing is left out."""
        return [
            Reason(signal=self._reason_names[i], weight=self._reason_weights[i], contribution=contribution)
            for i, contribution in zip(order, given, strict=True)
            if contribution != 0.0
        ]


@functools.lru_cache(maxsize=16)
def _tables(weights: tuple[tuple[str, float], ...]) -> Tables:
    """Return the look-up tables for some weights; nearly everybody has none of their own."""
    return Tables(load_model().rows.values(), CUES, dict(weights))


@functools.lru_cache(maxsize=1)
def _heard(timeline: Timeline) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cues and level of a timeline; kept for the last one, which is often scored again with other options."""
    return extract_cues(timeline), smoothed_level_db(timeline)


def _with_audience(kind: KindGuess, sound_score: float, given: NDArray[np.float64]) -> KindGuess:
    """Return `engagement` for a moment that only the audience noticed, with its share of what speaks for it."""
    if given[-1] <= 0.0 or sound_score >= ENGAGEMENT_SCORE:
        return kind
    return "engagement", float(given[-1] / given[1:][given[1:] > 0.0].sum())


def _near_maximum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the greatest value within AUDIENCE_NEAR_ROWS of each row."""
    padded = np.pad(values, AUDIENCE_NEAR_ROWS, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * AUDIENCE_NEAR_ROWS + 1).max(axis=-1))


def _checked_weights(weights: dict[str, float]) -> dict[str, float]:
    known = signal_names()
    for name, weight in weights.items():
        if name not in known:
            raise OptionsError(f"There is no signal named {name[:40]!r}. Signals are: {', '.join(known)}.")
        if not isfinite(weight) or weight < 0.0:
            raise OptionsError(f"The weight of {name!r} must be a number from 0 (silent) up, not {weight}.")
    return weights
