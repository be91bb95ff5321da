"""When to try again: by kind of failure, with a growing, jittered pause. Pure."""

FIRST_S = 2.0
LONGEST_S = 300.0
"""Storage or a network that is away is back within minutes, or a person has been called by then."""
MAX_SETBACKS = 14
"""With pauses of 2, 4, 8 … 300 s that is about forty minutes of a broken surrounding before a job gives up."""


def backoff_s(failures: int, *, random: float) -> float:
    """Return the pause before the next attempt after so many failures (1 or more), in seconds.

    Doubles from FIRST_S to LONGEST_S; `random` (0 to 1) moves it between half and the whole of that, so that jobs which
    failed together do not come back together ("equal jitter", AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 30))
    return longest * (0.5 + 0.5 * random)
