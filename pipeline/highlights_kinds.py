"""What kind of moment it is, from how it sounds: laughter, applause, cheering, a scream or a raised voice."""

from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.highlights_candidates import MEASURES
from pipeline.highlights_model import KindModel
from pipeline.types import Kind

Kinds = tuple[Kind, float]

KIND_OF_CLASS: Final[dict[str, Kind]] = {
    "laughter": "humor",
    "applause": "celebration",
    "cheering": "celebration",
    "shout": "surprise",
    "voice": "emotional",
}
"""Classes of sound to kinds of highlight. A voice that is raised for longer than a shout is emotion."""


def tell_kinds(model: KindModel, measures: NDArray[np.float64]) -> list[Kinds]:
    """Return for each interval the likeliest kind and its share 0..1 of the certainty over all kinds."""
    if len(measures) == 0:
        return []
    classes = list(model.classes)
    log_odds = np.stack([a.bias + a.parts(measures, MEASURES).sum(axis=1) for a in model.classes.values()], axis=1)
    weights = np.exp(log_odds - log_odds.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    kinds: list[Kind] = list(get_args(Kind))
    shares = np.zeros((len(measures), len(kinds)))
    for i, name in enumerate(classes):
        shares[:, kinds.index(KIND_OF_CLASS[name])] += weights[:, i]
    best = shares.argmax(axis=1)
    return [(kinds[k], float(shares[i, k])) for i, k in enumerate(best)]
