"""Pauses between attempts: exponential with jitter. Pure."""

FIRST_S = 2.0
LONGEST_S = 300.0
"""Storage and network are usually back within minutes; otherwise an operator has been alerted by then."""
MAX_SETBACKS = 14
"""With pauses of 2, 4, 8 … 300 s, a job fails after about forty minutes of outage."""


def backoff_s(failures: int, *, random: float) -> float:
    """Return the pause before the next attempt in seconds, after `failures` (1 or more).

    Doubles from FIRST_S to LONGEST_S. `random` (0 to 1) places it between half and the whole of that, so that jobs that
    failed together return at different times ("equal jitter", AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 30))
    return longest * (0.5 + 0.5 * random)
