"""Calls with a bearer token, counted by user and day (UTC) in Redis, against what the tier includes.

A count is worth less than an answer: while Redis is away nothing is counted and nobody is refused.
"""

import time
from datetime import date
from uuid import UUID

import structlog
from msgspec import Struct
from redis import Redis
from redis.exceptions import RedisError

logger = structlog.get_logger(__name__)

UNMETERED = "unmetered"
"""`opt` key of routes whose calls are not counted: asking how far work is, logging out, and the operators' own."""
METERED = "metered"
"""Key of a request's state under which its `Metered` stands, when it was counted."""
KEEP_S = 2 * 24 * 3600  # longer than the day that it counts, whatever the clocks say
AWAY_S = 5.0  # a Redis that does not answer costs each call its timeout: ask again only after this
METERED_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


class Metered(Struct, frozen=True, kw_only=True):
    """What a counted call is told of its day; the moment is Unix time in whole seconds."""

    allowance: int
    remaining: int
    resets_at: int

    def headers(self) -> dict[str, str]:
        """Return them as most APIs name them."""
        return dict(zip(METERED_HEADERS, map(str, (self.allowance, self.remaining, self.resets_at)), strict=True))


class CallMeter:
    """Counts for all API processes together."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._away_until = 0.0

    def count(self, user_id: UUID, day: date) -> int | None:
        """Count one call and return how many that makes on this day; None while Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        key = f"snuggles:calls:{day:%Y%m%d}:{user_id}"
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(key)
                pipe.expire(key, KEEP_S)
                made, _ = pipe.execute()
        except RedisError as error:
            self._away_until = time.monotonic() + AWAY_S
            logger.warning("calls_not_counted", error=str(error))
            return None
        return int(made)
