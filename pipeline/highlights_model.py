"""The additive model behind scores: each cue speaks through a broken line, and what it says adds up.

A sum of named parts explains itself: the parts are the reasons. The lines are in `highlights_model.json`, which
`bench/fit_highlights.py` writes.
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


class Line(Struct, frozen=True):
    """What one cue says: log-odds `values` at `knots`, straight between them, level outside."""

    cue: str
    signal: str
    knots: list[float]
    values: list[float]


class Additive(Struct, frozen=True):
    """Log-odds as a constant and a sum of lines."""

    bias: float
    lines: list[Line]

    def signals(self) -> list[str]:
        """Return the names of the signals, each once, in order."""
        return list(dict.fromkeys(line.signal for line in self.lines))

    def parts(self, cues: NDArray[np.floating], names: tuple[str, ...]) -> Values:
        """Return what each signal adds [n, len(self.signals())] for `cues` [n, len(names)]."""
        order = {signal: i for i, signal in enumerate(self.signals())}
        out = np.zeros((len(cues), len(order)))
        for line in self.lines:
            out[:, order[line.signal]] += np.interp(cues[:, names.index(line.cue)], line.knots, line.values)
        return out


class KindModel(Struct, frozen=True):
    """Log-odds of each class of sound, one additive model a class."""

    classes: dict[str, Additive]


class Model(Struct, frozen=True):
    """All fitted constants: rows (where candidates lie), intervals (their scores), kinds."""

    version: int
    rows: Additive
    intervals: Additive
    kinds: KindModel


@functools.cache
def load_model() -> Model:
    """Return the model that ships with the package."""
    text = importlib.resources.files("pipeline").joinpath(MODEL_FILE).read_bytes()
    return msgspec.json.decode(text, type=Model)


def shares(parts: Values, bias: float) -> tuple[Values, Values]:
    """Return scores [n] = sigmoid(bias + sum of parts), and shares [n, 1 + parts]: what the bias and each part give.

    Each part gets its log-odds times the mean slope of the sigmoid between the bias and the sum; the bias gets the
    score of no evidence at all. So shares sum to the score; what speaks against is negative (Aumann-Shapley).
    """
    total = parts.sum(axis=1)
    score = sigmoid(bias + total)
    base = float(sigmoid(np.array(bias)))
    nearly_none = np.abs(total) < 1e-9  # noqa: PLR2004 - below this the slope is the sigmoid's own
    slope = np.where(nearly_none, base * (1 - base), (score - base) / np.where(nearly_none, 1.0, total))
    given = np.empty((len(parts), parts.shape[1] + 1))
    given[:, 0] = score - (parts * slope[:, None]).sum(axis=1)
    given[:, 1:] = parts * slope[:, None]
    return score, given


def sigmoid(x: Values) -> Values:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
