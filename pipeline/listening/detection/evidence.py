"""Evidence for a highlight at each tenth of a second: the tagger's class groups, and the moment's contrast.

A timeline without a tagger is judged by its measures alone, with a rule for crowds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.measures import measure
from pipeline.listening.features import ROWS_PER_S
from pipeline.listening.tagging.tagger import DISTRACTORS, GROUPS, HIGHLIGHTS, ROW_S
from pipeline.listening.timeline_file import Timeline

Values = NDArray[np.float64]

NOTHING_HEARD: Final = -12.0
"""The logit of a group that is certainly absent; evidence counts from here."""
SMOOTHED_TAGS: Final = 5
"""Tagger rows in an average (2.4 s): a laugh or applause lasts that long, a misheard syllable does not."""
SUPPRESSORS: Final = tuple(group for group in DISTRACTORS if group not in {"speech", "music"})
SUPPRESSION: Final = 0.2
"""The share of its lead by which one of these lowers a group: rain sounds like applause, a siren like a scream, a cough
like a laugh. Speech and music fill recordings, and people laugh over them."""
LOUDNESS: Final = 0.08
LOUDNESS_DB: Final = (-6.0, 9.0)
"""Log-odds for each dB above the usual level of a minute, within these limits."""
NOVELTY: Final = 0.15
NOVELTY_DB: Final = (2.0, 12.0)
NOVELTY_USUAL_DB: Final = 5.0
"""Log-odds for each dB by which the spectrum differs more from the usual one than typical moments do."""
TONE: Final = -2.0
TONE_USUAL: Final = 0.4
"""Log-odds for each unit of harmonicity (0..1) above this: one voice or instrument is more harmonic than a crowd."""
RULE: Final[dict[str, dict[str, float]]] = {
    "loudness": {"level": 0.15},
    "steadiness": {"unsteady": -0.5},
    "tone": {"tonal_low": -2.0, "harmonic": -10.0},
    "pauses": {"pauses": -2.0},
}
"""The rule without a tagger: loud, steady and flat sound without pitch or pauses is a crowd."""
RULE_AT_REST: Final[dict[str, float]] = {
    "loudness": 0.0,
    "steadiness": -2.0,
    "tone": -5.0,
    "pauses": -0.8,
}
"""The rule's value for ordinary speech."""


@dataclass(frozen=True)
class Evidence:
    """The evidence for a highlight in log-odds: `groups` [rows, HIGHLIGHTS] are logits, `others` [rows] by signal.

    `groups` has no columns without a tagger.
    """

    groups: Values
    others: dict[str, Values]

    @property
    def sounds(self) -> Values:
        """Log-odds [rows] that any group is present, above `NOTHING_HEARD`; zeros without a tagger."""
        if self.groups.shape[1] == 0:
            return np.zeros(len(self.groups))
        return np.asarray(np.logaddexp.reduce(self.groups, axis=1) - NOTHING_HEARD)

    @property
    def joint(self) -> Values:
        """All parts together [rows]."""
        return np.asarray(NOTHING_HEARD + self.sounds + np.sum(list(self.others.values()), axis=0))


def gather_evidence(timeline: Timeline, weights: dict[str, float]) -> Evidence:
    """Return the evidence of a timeline, each signal scaled by its weight (1 where none is given)."""
    measures = measure(timeline)
    if not timeline.tagger:
        return Evidence(np.empty((timeline.rows, 0)), _by_rule(measures, weights))
    loudness = LOUDNESS * np.clip(measures["level"], *LOUDNESS_DB)
    novelty = NOVELTY * (np.clip(measures["novelty"], *NOVELTY_DB) - NOVELTY_USUAL_DB)
    others = {
        "loudness": np.asarray(loudness * weights.get("loudness", 1.0), dtype=np.float64),
        "novelty": np.asarray(novelty * weights.get("novelty", 1.0), dtype=np.float64),
    }
    mistaken = np.max([_column(timeline, group) for group in SUPPRESSORS], axis=0)
    tone = TONE * (measures["harmonic"] - TONE_USUAL)
    others["tone"] = np.asarray(tone * weights.get("tone", 1.0), dtype=np.float64)
    columns = [_column(timeline, group) for group in HIGHLIGHTS]
    columns = [column - SUPPRESSION * np.maximum(mistaken - column, 0.0) for column in columns]
    scaled = [
        NOTHING_HEARD + weights.get(group, 1.0) * (column - NOTHING_HEARD)
        for group, column in zip(HIGHLIGHTS, columns, strict=True)
    ]
    return Evidence(np.stack(scaled, axis=1), others)


def _by_rule(measures: dict[str, NDArray[np.float32]], weights: dict[str, float]) -> dict[str, Values]:
    """Return the rule's signals, relative to their values for ordinary speech."""
    others: dict[str, Values] = {}
    for signal, parts in RULE.items():
        told = np.sum([weight * measures[name] for name, weight in parts.items()], axis=0, dtype=np.float64)
        others[signal] = np.asarray(weights.get(signal, 1.0) * (told - RULE_AT_REST[signal]))
    return others


def _column(timeline: Timeline, group: str) -> Values:
    """Return one group's logits [rows], averaged over 2.4 s, interpolated between the middles of the tagger's rows."""
    tags, rows = timeline.tags[:, GROUPS.index(group)], timeline.rows
    if len(tags) == 0:
        return np.full(rows, NOTHING_HEARD)
    half = SMOOTHED_TAGS // 2
    padded = np.pad(tags.astype(np.float64), half, mode="edge")
    mean = np.convolve(padded, np.full(SMOOTHED_TAGS, 1.0 / SMOOTHED_TAGS), mode="valid")
    at = (np.arange(rows) + 0.5) / ROWS_PER_S
    return np.interp(at, (np.arange(len(tags)) + 0.5) * ROW_S, mean)
