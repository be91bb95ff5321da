"""Limits on guessing and flooding, counted in Redis so that every API process counts together."""

import time

from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis

from services.errors import RateLimitedError

# Per address, high enough for an office behind one address: these stop machines.
SIGNUP = RateLimitItemPerMinute(120, namespace="signup")
LINKS = RateLimitItemPerMinute(60, namespace="links")
# Per account, from any address, and counted before the check, so that concurrent guesses count too. A
# check that succeeds clears the count, so logging in often locks nobody out.
PASSWORD_GUESSES = RateLimitItemPerMinute(10, 5, namespace="password_guesses")
CODE_GUESSES = RateLimitItemPerMinute(5, 5, namespace="code_guesses")
# Per address over all accounts: one password tried on many accounts.
GUESSES_OF_ADDRESS = RateLimitItemPerMinute(300, 5, namespace="guesses_of_address")
# Per mailbox: nobody may fill another's.
MAIL = RateLimitItemPerHour(5, namespace="mail")
# Only wrong codes count. There are 10^9, so these bounds make guessing hopeless and leave room for mistyping.
ROOM_CODE = RateLimitItemPerMinute(10, namespace="room_code")
ROOM_CODE_ADDRESS = RateLimitItemPerMinute(100, namespace="room_code_address")
# Per address: enough for a school class that joins at once, too few for a machine to fill rooms.
GUEST = RateLimitItemPerMinute(120, namespace="guest")


class RateLimits:
    """Counts in sliding windows."""

    def __init__(self, redis: Redis) -> None:
        storage = RedisStorage("redis://", connection_pool=redis.connection_pool, key_prefix="snuggles:limit")
        self._limiter = SlidingWindowCounterRateLimiter(storage)

    def hit(self, limit: RateLimitItem, *who: str) -> None:
        """Count one attempt; RateLimitedError if it is over the limit."""
        if not self._limiter.hit(limit, *who):
            self._refuse(limit, who)

    def check(self, limit: RateLimitItem, *who: str) -> None:
        """Raise RateLimitedError when the limit is reached already; counts nothing."""
        if not self._limiter.test(limit, *who):
            self._refuse(limit, who)

    def clear(self, limit: RateLimitItem, *who: str) -> None:
        """Reset a count."""
        self._limiter.clear(limit, *who)

    def allows(self, limit: RateLimitItem, *who: str) -> bool:
        """Count one attempt and return whether it was within the limit."""
        return self._limiter.hit(limit, *who)

    def _refuse(self, limit: RateLimitItem, who: tuple[str, ...]) -> None:
        reset_at = self._limiter.get_window_stats(limit, *who).reset_time
        wait_s = max(1, int(reset_at - time.time()) + 1)
        raise RateLimitedError(f"Too many tries; wait {wait_s} s before the next one.", retry_after_s=wait_s)
