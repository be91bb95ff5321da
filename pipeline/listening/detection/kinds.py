"""What kind of moment it is, from how it sounds: laughter, applause and cheering, a shout, or a raised voice."""

from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.candidates import MEASURES
from pipeline.listening.detection.model import Model
from pipeline.types import Kind

KindGuess = tuple[Kind, float]

KIND_OF_LISTENER: Final[dict[str, Kind]] = {"laughter": "humor", "crowd": "celebration", "shout": "surprise"}
LONG_SHOUT_LOG2_S: Final = 1.4
"""A voice raised for longer than 2.6 s is no cry of surprise: somebody is moved."""
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


def tell_kinds(model: Model, measures: NDArray[np.float64], log_odds: NDArray[np.float64]) -> list[KindGuess]:
    """Return the likeliest kind of each moment and its share 0..1 among the kinds.

    `log_odds` [n, k] are the listeners' own: one that hears nothing of its kind cannot win.
    """
    shares = np.zeros((len(measures), len(_KINDS)))
    told = np.stack(
        [
            log_odds[:, k] + comparison.bias + comparison.parts(measures, MEASURES, model.signals()).sum(axis=1)
            for k, comparison in enumerate(model.kinds.values())
        ],
        axis=1,
    )
    weights = np.exp(told - told.max(axis=1, keepdims=True, initial=-np.inf))
    for k, listener in enumerate(model.kinds):
        shares[:, _KINDS.index(KIND_OF_LISTENER[listener])] = weights[:, k]
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    is_long = measures[:, MEASURES.index("duration")] > LONG_SHOUT_LOG2_S
    shares[is_long, _KINDS.index("emotional")] = shares[is_long, _KINDS.index("surprise")]
    shares[is_long, _KINDS.index("surprise")] = 0.0
    return [(_KINDS[k], float(shares[i, k])) for i, k in enumerate(shares.argmax(axis=1))]
