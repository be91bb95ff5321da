"""Limits of one connection, one person and one address."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from services.errors import RateLimitedError


class Rate(Struct, frozen=True):
    """A token bucket's rate: `per_s` on average, and up to `burst` at once."""

    per_s: float
    burst: int


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of a realtime process. Tests shorten the times."""

    connect_within_s: float = 10.0
    """Time for a new transport to authenticate."""
    session_check_s: float = 60.0
    """How long a connection may outlive a session that was logged out elsewhere."""
    max_queued: int = 256
    """Packets; a slower client is cut off, reconnects, and resumes where it was."""
    max_connections: int = 32
    """Of one account in one process: enough for a person's tabs and devices."""
    max_connections_per_address: int = 500
    """Enough for a school behind one address."""
    presence_grace_s: float = 5.0
    """A page that is reloaded is back before the room notices."""
    leave_grace_s: float = 20.0
    """How long a person who is away keeps their place."""
    host_grace_s: float = 60.0
    """How long a room waits for its host before the longest-serving co-host takes over."""
    results_every_s: float = 0.1
    """Ten updates a second a poll, however many vote."""


MAX_MESSAGE_BYTES: Final = 100_000
EVERYTHING: Final = Rate(50, 200)
"""Of one connection."""
PATIENCE: Final = Rate(10, 400)
"""Refusals; a client that ignores more of them is cut off."""
RATES: Final[Mapping[str, Rate]] = {
    "room:message": Rate(10, 50),
    "room:message-edit": Rate(5, 20),
    "room:message-delete": Rate(5, 20),
    "room:reaction": Rate(10, 30),
    "room:typing": Rate(5, 20),
    "room:signal": Rate(50, 200),
    "room:join": Rate(2, 20),
    "room:state-update": Rate(2, 20),
    "poll:create": Rate(1, 10),
    "poll:vote": Rate(5, 30),
}
"""Of one person, by event, over all their connections to this process."""


class Bucket:
    """A token bucket: fills at `rate.per_s` up to `rate.burst`."""

    __slots__ = ("_clock", "_filled_at", "_left", "_rate")

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._left = float(rate.burst)
        self._filled_at = clock()

    def take(self) -> float:
        """Take a token and return 0, or return the seconds until the next one."""
        now = self._clock()
        self._left = min(self._rate.burst, self._left + (now - self._filled_at) * self._rate.per_s)
        self._filled_at = now
        if self._left < 1:
            return (1 - self._left) / self._rate.per_s
        self._left -= 1
        return 0.0


def refuse(wait_s: float) -> RateLimitedError:
    """Return the error for too many actions at once."""
    return RateLimitedError("That is too much at once; wait a moment.", retry_after_s=max(1, round(wait_s)))
