"""Scores a timeline: the evidence curve, its peaks, their scores and reasons."""

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
"""The reason for the score without any evidence, which is the rarity of highlights."""
UNHEARD_DB: Final = SILENCE_DB + 10.0
"""At this level (-90 dBFS) there is no sound, and only the audience gives evidence."""
DEAF_LOG_ODDS: Final = -2.5
"""Without sound, one stretch in thirteen is assumed to be worth sharing."""
NEAR_ROWS: Final = 3 * ROWS_PER_S
"""A pause with sound this near does not count as missing sound."""
SURE: Final = -3.0
SURE_UNTAGGED: Final = NOTHING_HEARD + 3.0
"""Evidence beyond this is certain anyway: its ups and downs do not split a moment."""
LEAST_PROMINENCE: Final = 1.0
"""How far evidence must fall below `SURE` between two moments."""
DROP: Final = 1.4
"""A moment extends as far as evidence stays this near to its top."""
CONTRAST: Final = 0.3
CONTRAST_LIMIT: Final = 6.0
"""Evidence for each unit of a peak's prominence, up to this prominence."""
LONGEST_ROWS: Final = 30 * ROWS_PER_S
"""The longest moment; of a longer stretch, the best half minute counts."""
SHORTEST_ROWS: Final = 5
AUDIENCE_LEAST: Final = 0.5
AUDIENCE_SHARE: Final = 0.5
"""A stretch of audience activity is a candidate by itself if it has half of the maximum near it, and half a unit of
log-odds."""
AUDIENCE_NEAR_ROWS: Final = 10 * ROWS_PER_S
ENGAGEMENT_SCORE: Final = 0.3
"""A moment below this score by sound alone is credited to the audience."""


class OptionsError(ValueError):
    """An option of detection is invalid; the message names it and lists the valid ones."""


@dataclass(frozen=True)
class Core:
    """A found moment: rows [start, stop), its score, and the reasons, which sum to it."""

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
    """Return the signals that can be weighted; these and `base` are the names in `reasons`."""
    return list(SIGNALS)


class Hearing:
    """The scores of one recording under one set of options. OptionsError for invalid weights."""

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
        """Return the probability of each row to belong to a highlight."""
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
        """Return the peaks of the sound's evidence, and stretches of audience activity."""
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
        """Return each signal's part of the evidence: halfway between its peak and its mean in the moment."""
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
        """Return the groups' shares of the sound at a row; they sum to 1."""
        groups = self._evidence.groups[row]
        if len(groups) == 0:
            return np.empty(0)
        weights = np.exp(groups - groups.max())
        return np.asarray(weights / weights.sum())

    @staticmethod
    def _given(parts: dict[str, float], base_score: float, sound_score: float) -> dict[str, float]:
        """Return each part's contribution to the score, in proportion; they sum to `sound_score`."""
        total = sum(parts.values())
        per_unit = (sound_score - base_score) / total if abs(total) > 1e-9 else 0.0  # noqa: PLR2004 - no evidence
        return {BASE: sound_score - per_unit * total} | {name: per_unit * part for name, part in parts.items()}

    def _is_deaf(self, start: int, stop: int) -> bool:
        """Return whether there is no sound in or near a stretch."""
        return not bool(self._is_heard[max(0, start - NEAR_ROWS) : stop + NEAR_ROWS].any())

    def _reasons(self, given: dict[str, float]) -> list[Reason]:
        """Return the contributions to the score, greatest first, without those of zero."""
        return [
            Reason(signal=name, weight=self._weights.get(name, 1.0), contribution=value)
            for name, value in sorted(given.items(), key=lambda item: -abs(item[1]))
            if value != 0.0
        ]


@functools.lru_cache(maxsize=2)
def _gathered(timeline: Timeline, weights: tuple[tuple[str, float], ...]) -> Evidence:
    """Return the evidence of a timeline, cached for the last ones, which are often scored again with other options."""
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
