"""Derives the kind of a highlight from the class groups in it."""

from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.features import ROWS_PER_S
from pipeline.listening.tagging.tagger import HIGHLIGHTS
from pipeline.types import Kind

KindGuess = tuple[Kind, float]

KIND_OF_GROUP: Final[dict[str, Kind]] = {
    "laughter": "humor",
    "applause": "celebration",
    "cheering": "celebration",
    "shouting": "surprise",
    "screaming": "surprise",
}
LONG_SHOUT_ROWS: Final = 26
"""A voice raised for longer than 2.6 s counts as emotion, not as surprise."""
assert ROWS_PER_S == 10  # noqa: S101, PLR2004 - LONG_SHOUT_ROWS counts on it
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


def tell_kind(shares: NDArray[np.float64], rows: int) -> KindGuess:
    """Return the likeliest kind and its share 0..1, from the shares [HIGHLIGHTS] of the groups, which sum to 1.

    Without a tagger there are no shares, and the kind is `engagement`.
    """
    if len(shares) == 0:
        return "engagement", 0.0
    totals = dict.fromkeys(_KINDS, 0.0)
    for group, share in zip(HIGHLIGHTS, shares.tolist(), strict=True):
        kind = KIND_OF_GROUP[group]
        totals["emotional" if group == "shouting" and rows > LONG_SHOUT_ROWS else kind] += share
    best = max(_KINDS, key=totals.__getitem__)
    return best, min(1.0, totals[best])
