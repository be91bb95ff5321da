"""The model behind scores: a listener for each kind of sound, and what each cue says to it, which adds up.

A sum of named parts explains itself: the parts are the reasons. Constants are in `highlights_model.json`, which
`bench/fit_highlights.py` writes; docs/highlights.md says how and from what.
"""

import functools
import importlib.resources
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

MODEL_FILE: Final = "highlights_model.json"
PATH_STEPS: Final = 12
"""Points between no evidence and all of it at which influence is measured: the sum is then right to 1e-4."""


class Line(Struct, frozen=True):
    """What one cue says: log-odds `values` at `knots`, straight between them, level outside. Usual moments say 0."""

    cue: str
    signal: str
    knots: list[float]
    values: list[float]


class Additive(Struct, frozen=True):
    """Log-odds as a constant and a sum of lines."""

    bias: float
    lines: list[Line]

    def parts(self, cues: NDArray[np.floating], names: tuple[str, ...], signals: list[str]) -> Values:
        """Return what each of `signals` adds [n, len(signals)] for `cues` [n, len(names)]."""
        out = np.zeros((len(cues), len(signals)))
        for line in self.lines:
            out[:, signals.index(line.signal)] += np.interp(cues[:, names.index(line.cue)], line.knots, line.values)
        return out


class Calibration(Struct, frozen=True):
    """Turns the listeners' joint log-odds into those of a moment that was chosen among its neighbours."""

    slope: float
    offset: float


class Model(Struct, frozen=True):
    """All fitted constants, by listener: where candidates lie, how they score, and which kind they are."""

    version: int
    rows: dict[str, Additive]
    intervals: dict[str, Additive]
    kinds: dict[str, Additive]
    calibration: Calibration

    def signals(self) -> list[str]:
        """Return the names of the signals, each once, in order."""
        listeners = [*self.rows.values(), *self.intervals.values()]
        return list(dict.fromkeys(line.signal for listener in listeners for line in listener.lines))


@functools.cache
def load_model() -> Model:
    """Return the model that ships with the package."""
    text = importlib.resources.files("pipeline").joinpath(MODEL_FILE).read_bytes()
    return msgspec.json.decode(text, type=Model)


def any_of(log_odds: Values) -> Values:
    """Return the log-odds [n] that at least one of the listeners [n, k] is right, if they err independently."""
    none = np.logaddexp(0.0, log_odds).sum(axis=1)
    return np.asarray(none + np.log(-np.expm1(-none)))


class Judgement:
    """Scores of moments and what gave them: `parts` [n, k, s] by listener and signal, `extra` [n] for the whole.

    score = sigmoid(slope * any_of(bias + parts) + offset + extra).
    """

    def __init__(self, parts: Values, extra: Values, biases: Values, calibration: Calibration) -> None:
        self._parts = parts
        self._extra = extra
        self._biases = biases
        self._calibration = calibration
        self.log_odds = biases + parts.sum(axis=2)
        self.scores = self._score(1.0)

    def sound_scores(self) -> Values:
        """Return the scores [n] without the extra."""
        return sigmoid(self._calibration.slope * any_of(self.log_odds) + self._calibration.offset)

    def shares(self, index: int) -> Values:
        """Return what gave the score of one moment: base, each signal, extra. They sum to the score.

        Each share is the signal's part times its mean influence on the way from no evidence to all of it (the
        Aumann-Shapley value); the base is the score of no evidence.
        """
        parts, extra = self._parts[index], float(self._extra[index])
        given = np.zeros(parts.shape[1] + 2)
        for step in (np.arange(PATH_STEPS) + 0.5) / PATH_STEPS:
            log_odds = self._biases + step * parts.sum(axis=1)
            none = np.logaddexp(0.0, log_odds).sum()
            influence = sigmoid(log_odds) / -np.expm1(-none)
            joint = none + np.log(-np.expm1(-none))
            score = sigmoid(self._calibration.slope * joint + self._calibration.offset + step * extra)
            slope = score * (1.0 - score) / PATH_STEPS
            given[1:-1] += slope * self._calibration.slope * influence @ parts
            given[-1] += slope * extra
        given[0] = self.scores[index] - given.sum()
        return given

    def _score(self, share: float) -> Values:
        joint = any_of(self._biases + share * self._parts.sum(axis=2))
        return sigmoid(self._calibration.slope * joint + self._calibration.offset + share * self._extra)


def sigmoid(x: NDArray[np.floating]) -> Values:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)
