"""How much one connection, one person and one address may do."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from services.errors import RateLimitedError


class Rate(Struct, frozen=True):
    """So many a second on average, and so many at once."""

    per_s: float
    burst: int


class Limits(Struct, frozen=True, kw_only=True):
    """The bounds of a realtime process. Tests shorten the times."""

    connect_within_s: float = 10.0
    """A transport that never says who it is holds a socket for nothing."""
    session_check_s: float = 60.0
    """How long a session that was logged out elsewhere can go on listening."""
    max_queued: int = 256
    """Packets; a client that reads more slowly than that is cut off, comes back, and reads on where it was."""
    max_connections: int = 32
    """Of one account in one process: tabs and devices of a person, not a fleet."""
    max_connections_per_address: int = 500
    """A school behind one address; more than that is a machine."""
    presence_grace_s: float = 5.0
    """A page that is loaded again is back before anybody sees it gone."""
    leave_grace_s: float = 20.0
    """How long the place of somebody who is gone is kept."""
    host_grace_s: float = 60.0
    """How long a room waits for its host before the longest-serving co-host takes over."""
    results_every_s: float = 0.1
    """Ten updates a second a poll, however many vote."""


MAX_MESSAGE_BYTES: Final = 100_000
EVERYTHING: Final = Rate(50, 200)
"""Of one connection."""
PATIENCE: Final = Rate(10, 400)
"""Refusals; a client that goes on beyond them does not listen to what it is told, and is cut off."""
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
    """Return the error for somebody who does too much at once."""
    return RateLimitedError("That is too much at once; wait a moment.", retry_after_s=max(1, round(wait_s)))
