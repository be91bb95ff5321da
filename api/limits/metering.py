"""The headers that tell a client how much of an allowance is left."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.billing.quota import Usage

UNMETERED = "unmetered"
"""`opt` key of routes whose calls are not counted: asking how far work is, logging out, and the operators' own."""
METERED = "metered"
"""Key of a request's state under which the headers of its answer stand, when it was counted."""
METERED_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def metered_headers(usage: Usage, now: datetime) -> dict[str, str]:
    """Return the headers of a counted call; none where the tier sets no limit."""
    if usage.limit < 0 or usage.period.end is None:
        return {}
    return _headers(usage.limit, usage.remaining, int((usage.period.end - now).total_seconds()) + 1)


def refused_headers(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of an answer that refuses for want of allowance."""
    if "limit" not in details or "retry_after_s" not in details:
        return {}
    return _headers(details["limit"], max(0, details["limit"] - details["used"]), details["retry_after_s"])


def _headers(limit: int, remaining: int, reset_s: int) -> dict[str, str]:
    return dict(zip(METERED_HEADERS, map(str, (limit, remaining, reset_s)), strict=True))
