"""Scoring one timeline: the evidence curve, its peaks, their scores and what speaks for them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.audience import hear_audience
from pipeline.listening.detection.calibration import log_odds, sigmoid
from pipeline.listening.detection.evidence import NOTHING_HEARD, Evidence, gather_evidence
from pipeline.listening.detection.kinds import KindGuess, tell_kind
from pipeline.listening.detection.measures import smoothed_level_db
from pipeline.listening.detection.peaks import find_peaks
from pipeline.listening.features import ROWS_PER_S, SILENCE_DB
from pipeline.listening.tagging.tagger import HIGHLIGHTS
from pipeline.listening.timeline_file import Timeline
from pipeline.types import SIGNALS, ActivityEvent, DetectOptions, Reason

Values = NDArray[np.float64]

AUDIENCE: Final = "audience"
BASE: Final = "base"
"""The reason that stands for no evidence at all: how rare highlights are."""
UNHEARD_DB: Final = SILENCE_DB + 10.0
"""Where there is no sound (-90 dBFS), the sound gives no evidence; only the audience speaks there."""
DEAF_LOG_ODDS: Final = -2.5
"""Where there is no sound, one stretch in thirteen is worth sharing for all we know."""
NEAR_ROWS: Final = 3 * ROWS_PER_S
"""A pause in sound this near is not the lack of sound."""
SURE: Final = -3.0
SURE_UNTAGGED: Final = NOTHING_HEARD + 3.0
"""Evidence beyond this only says the same again: its ups and downs do not split a moment."""
LEAST_PROMINENCE: Final = 1.0
"""How far evidence must fall between two moments, below `SURE`."""
DROP: Final = 1.4
"""A moment reaches as far as evidence stays this near to its top."""
CONTRAST: Final = 0.3
CONTRAST_LIMIT: Final = 6.0
"""What a peak's prominence adds, up to this prominence."""
LONGEST_ROWS: Final = 30 * ROWS_PER_S
"""Half a minute of the same is a place, not a moment: its best half minute is taken."""
SHORTEST_ROWS: Final = 5
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


class _Candidate(NamedTuple):
    start: int
    stop: int
    row: int
    contrast: float


def signal_names() -> list[str]:
    """Return the signals that can be weighted; they are the names in `reasons`, beside `base`."""
    return list(SIGNALS)


class Hearing:
    """What is heard in one recording, under one set of options. OptionsError for weights that make no sense."""

    def __init__(self, timeline: Timeline, options: DetectOptions, activity: Sequence[ActivityEvent]) -> None:
        self._weights = _checked_weights(options.weights)
        self._tagger = timeline.tagger
        self._evidence = _gathered(timeline, tuple(sorted(self._weights.items())))
        self._joint = self._evidence.joint
        self.level_db = smoothed_level_db(timeline) if timeline.rows else np.empty(0, dtype=np.float32)
        self._is_heard = self.level_db > UNHEARD_DB
        audience = hear_audience(activity, sigmoid(self._sound_log_odds())).evidence
        self._audience = audience * self._weights.get(AUDIENCE, 1.0)

    def curve(self) -> Values:
        """Return how likely each row belongs to a highlight, 0..1."""
        return sigmoid(self._sound_log_odds() + self._audience)

    def cores(self, least: float) -> list[Core]:
        """Return cores that score at least `least`, best first, none overlapping another."""
        found = [core for core in map(self._judge, self._candidates()) if core.score >= least]
        found.sort(key=lambda core: (-core.score, core.rows))
        taken = bytearray(len(self._joint))
        chosen = []
        for core in found:
            start, stop = core.rows
            if taken.find(1, start, stop) < 0:
                taken[start:stop] = b"\1" * (stop - start)
                chosen.append(core)
        return chosen

    def _sound_log_odds(self) -> Values:
        nothing = log_odds(np.array([NOTHING_HEARD]), self._tagger)[0]
        return np.where(self._is_heard, log_odds(self._joint, self._tagger), nothing)

    def _candidates(self) -> list[_Candidate]:
        """Return the peaks of what is heard, and stretches of audience activity."""
        sure = SURE if self._tagger else SURE_UNTAGGED
        squashed = -np.logaddexp(0.0, sure - self._joint)
        found = [
            _Candidate(*self._bounded(peak.start, peak.stop, peak.row), peak.row, min(peak.prominence, CONTRAST_LIMIT))
            for peak in find_peaks(squashed, least=LEAST_PROMINENCE, drop=DROP)
            if self._is_heard[peak.row]
        ]
        if self._audience.any():
            height = np.maximum(AUDIENCE_LEAST, AUDIENCE_SHARE * _near_maximum(self._audience))
            found += [
                _Candidate(start, stop, start + int(np.argmax(self._audience[start:stop])), 0.0)
                for start, stop in _runs(self._audience > height)
                if stop - start <= LONGEST_ROWS
            ]
        return found

    def _bounded(self, start: int, stop: int, row: int) -> tuple[int, int]:
        """Keep an extent within the lengths of a moment."""
        if stop - start > LONGEST_ROWS:
            start = max(start, min(row - LONGEST_ROWS // 2, stop - LONGEST_ROWS))
            stop = start + LONGEST_ROWS
        missing = SHORTEST_ROWS - (stop - start)
        if missing > 0:
            start = max(0, start - missing // 2)
            stop = min(len(self._joint), start + SHORTEST_ROWS)
        return start, stop

    def _judge(self, candidate: _Candidate) -> Core:
        start, stop, row, _ = candidate
        parts = self._parts(candidate)
        told = float(self._audience[start:stop].max())
        if self._is_deaf(start, stop):
            parts, base, sound = {}, DEAF_LOG_ODDS, DEAF_LOG_ODDS
        else:
            base, sound = log_odds(
                np.array([NOTHING_HEARD, NOTHING_HEARD + sum(parts.values())]), self._tagger
            ).tolist()
        base_score, sound_score, score = sigmoid(np.array([base, sound, sound + told])).tolist()
        given = self._given(parts, base_score, sound_score) | {AUDIENCE: score - sound_score}
        peak_row = start + int(np.argmax(self._joint[start:stop] + self._audience[start:stop]))
        kind = tell_kind(self._shares(row), stop - start)
        if told > 0.0 and sound_score < ENGAGEMENT_SCORE:
            positive = sum(value for name, value in given.items() if name != BASE and value > 0.0)
            kind = "engagement", min(1.0, given[AUDIENCE] / max(positive, 1e-9))
        return Core((start, stop), peak_row, score, kind, self._reasons(given))

    def _parts(self, candidate: _Candidate) -> dict[str, float]:
        """Return what each signal adds to the evidence: halfway between the peak and the mean of the moment."""
        start, stop, row, contrast = candidate

        def level(values: Values) -> float:
            return float(0.5 * values[row] + 0.5 * values[start:stop].mean())

        parts = {name: level(values) for name, values in self._evidence.others.items()}
        sounds = level(self._evidence.sounds)
        shares = self._shares(row)
        parts |= {name: sounds * share for name, share in zip(HIGHLIGHTS, shares.tolist(), strict=False)}
        parts["contrast"] = CONTRAST * contrast * self._weights.get("contrast", 1.0)
        return parts

    def _shares(self, row: int) -> Values:
        """Return how the groups share what is heard at a row; they sum to 1."""
        groups = self._evidence.groups[row]
        if len(groups) == 0:
            return np.empty(0)
        weights = np.exp(groups - groups.max())
        return np.asarray(weights / weights.sum())

    @staticmethod
    def _given(parts: dict[str, float], base_score: float, sound_score: float) -> dict[str, float]:
        """Return what each part gives to the score, in proportion; they sum to `sound_score`."""
        total = sum(parts.values())
        per_unit = (sound_score - base_score) / total if abs(total) > 1e-9 else 0.0  # noqa: PLR2004 - no evidence
        return {BASE: sound_score - per_unit * total} | {name: per_unit * part for name, part in parts.items()}

    def _is_deaf(self, start: int, stop: int) -> bool:
        """Say whether there is no sound at all in or near a stretch."""
        return not bool(self._is_heard[max(0, start - NEAR_ROWS) : stop + NEAR_ROWS].any())

    def _reasons(self, given: dict[str, float]) -> list[Reason]:
        """Return what gave the score, the greatest first; what gave nothing is left out."""
        return [
            Reason(signal=name, weight=self._weights.get(name, 1.0), contribution=value)
            for name, value in sorted(given.items(), key=lambda item: -abs(item[1]))
            if value != 0.0
        ]


@functools.lru_cache(maxsize=2)
def _gathered(timeline: Timeline, weights: tuple[tuple[str, float], ...]) -> Evidence:
    """Return the evidence of a timeline; kept for the last ones, which are often scored again with other options."""
    return gather_evidence(timeline, dict(weights))


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the stretches [start, stop) of True."""
    edges = np.diff(np.concatenate(([False], mask, [False])).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def _near_maximum(values: Values) -> Values:
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
