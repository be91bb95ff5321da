"""Calibrates scores: of the moments that score 0.7 or more, 70 % are right.

The constants were measured on the second development set (`docs/highlights.md`), the hardest: where distractors are
fewer, more is right. `bench/highlights/calibrate.py` prints them, and `bench/highlights/bench_highlights.py` what is
right at each. The middle ones are lower than what it prints (-0.2, and -0.7 with YAMNet), at which clear applause would
fall under the usual sensitivity.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

PRECISIONS: Final = (0.5, 0.7, 0.9)
EVIDENCE_AT: Final[dict[str, tuple[float, float, float]]] = {
    "built-in": (-2.9, -1.6, 1.7),
    "yamnet": (-3.5, -1.2, 1.7),
    "": (-6.8, -4.5, -2.0),
}
"""The least evidence at which these shares of moments are right, by kind of tagger; "" means no tagger."""
STEEP: Final = 1.2
"""Log-odds for each unit of evidence below the first knot, where few moments are right."""
_LOG_ODDS: Final = tuple(float(np.log(p / (1.0 - p))) for p in PRECISIONS)


def log_odds(evidence: NDArray[np.floating], tagger: str) -> Values:
    """Return the log-odds of a highlight for evidence [n]: linear between the knots, with the last line extended."""
    knots = EVIDENCE_AT[family(tagger)]
    inside = np.interp(evidence, knots, _LOG_ODDS)
    last = (_LOG_ODDS[2] - _LOG_ODDS[1]) / (knots[2] - knots[1])
    below, above = np.minimum(evidence - knots[0], 0.0), np.maximum(evidence - knots[2], 0.0)
    return np.asarray(inside + STEEP * below + last * above, dtype=np.float64)


def family(tagger: str) -> str:
    """Return the kind of tagger, whose constants hold for all its weights and exports."""
    return next((name for name in EVIDENCE_AT if name and tagger.startswith(name)), "")


def sigmoid(x: NDArray[np.floating]) -> Values:
    """Return 1 / (1 + e^-x) without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)
