"""The model behind scores: a listener for each kind of sound, and what each cue says to it, which adds up.

A sum of named parts explains itself: the parts are the reasons. Constants are in `model.json`, which
`bench/highlights/fit.py` writes; docs/highlights.md says how and from what.
"""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]

MODEL_FILE: Final = "model.json"
PATH_STEPS: Final = 12
"""Points between no evidence and all of it at which influence is measured: the sum is then right to 1e-4."""


TABLE_SIZE: Final = 1024
"""Steps of a look-up table: finer than the cues are known."""
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


class Tables:
    """Additive models of the same cues as look-up tables, for scoring every row of a recording at once."""

    def __init__(self, models: Iterable[Additive], names: tuple[str, ...], scale: dict[str, float]) -> None:
        listeners = list(models)
        self._biases = [model.bias for model in listeners]
        self._tables: list[tuple[int, float, float, NDArray[np.float32]]] = []
        for column, name in enumerate(names):
            lines = [(k, line) for k, model in enumerate(listeners) for line in model.lines if line.cue == name]
            if not lines:
                continue
            low = min(line.knots[0] for _, line in lines)
            high = max(line.knots[-1] for _, line in lines)
            table = np.zeros((len(listeners), TABLE_SIZE), dtype=np.float32)
            for k, line in lines:
                at = np.linspace(low, high, TABLE_SIZE)
                table[k] += scale.get(line.signal, 1.0) * np.interp(at, line.knots, line.values)
            self._tables.append((column, low, (TABLE_SIZE - 1) / (high - low), table))

    def log_odds(self, cues: NDArray[np.float32]) -> Values:
        """Return the log-odds [n, models] of `cues` [n, names]."""
        out = np.zeros((len(self._biases), len(cues)), dtype=np.float32)
        said = np.empty(len(cues), dtype=np.float32)
        for column, low, per_unit, table in self._tables:
            places = (cues[:, column] - np.float32(low)) * np.float32(per_unit)
            index = np.minimum(np.maximum(places, 0, out=places), TABLE_SIZE - 1, out=places).astype(np.intp)
            for k, values in enumerate(table):
                out[k] += np.take(values, index, out=said, mode="clip")
        return np.asarray(out.T + np.array(self._biases))


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
    text = Path(__file__).with_name(MODEL_FILE).read_bytes()
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

    def shares(self, chosen: NDArray[np.intp]) -> Values:
        """Return what gave the scores of some moments [m, 1 + signals + 1]: base, each signal, extra. They sum to them.

        Each share is the signal's part times its mean influence on the way from no evidence to all of it (the
        Aumann-Shapley value); the base is the score of no evidence.
        """
        parts, extra = self._parts[chosen], self._extra[chosen]
        given = np.zeros((len(chosen), parts.shape[2] + 2))
        for step in (np.arange(PATH_STEPS) + 0.5) / PATH_STEPS:
            log_odds = self._biases + step * parts.sum(axis=2)
            none = np.logaddexp(0.0, log_odds).sum(axis=1)
            influence = sigmoid(log_odds) / -np.expm1(-none)[:, None]
            score = sigmoid(self._slope * any_of(log_odds) + self._offsets[chosen] + step * extra)
            slope = score * (1.0 - score) / PATH_STEPS
            given[:, 1:-1] += (slope * self._slope)[:, None] * np.einsum("nk,nks->ns", influence, parts)
            given[:, -1] += slope * extra
        given[:, 0] = self.scores[chosen] - given.sum(axis=1)
        return given


def sigmoid(x: NDArray[np.floating]) -> Values:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)
