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


DEAF_LOG_ODDS: Final = -2.5
"""Where there is no sound, one stretch in thirteen is worth sharing for all we know."""


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

    score = sigmoid(slope * any_of(bias + parts) + offset + extra), where the listeners know nothing (`deaf` [n]) with
    DEAF_LOG_ODDS in the place of theirs.
    """

    def __init__(self, model: Model, parts: Values, extra: Values, deaf: NDArray[np.bool_]) -> None:
        self._slope = model.calibration.slope
        self._biases = np.array([listener.bias for listener in model.intervals.values()])
        self._parts = np.where(deaf[:, None, None], 0.0, parts)
        self._extra = extra
        silent = self._slope * float(any_of(self._biases[None, :])[0])
        self._offsets = np.where(deaf, DEAF_LOG_ODDS - silent, model.calibration.offset)
        self.log_odds = self._biases + self._parts.sum(axis=2)
        joint = self._slope * any_of(self.log_odds) + self._offsets
        self.sound_scores = sigmoid(joint)
        self.scores = sigmoid(joint + extra)

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
            score = sigmoid(self._slope * joint + self._offsets[index] + step * extra)
            slope = score * (1.0 - score) / PATH_STEPS
            given[1:-1] += slope * self._slope * influence @ parts
            given[-1] += slope * extra
        given[0] = self.scores[index] - given.sum()
        return given


def sigmoid(x: NDArray[np.floating]) -> Values:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)
