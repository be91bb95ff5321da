"""Response headers about the rest of an allowance."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.billing.quota import Usage

UNMETERED = "unmetered"
"""`opt` key of routes whose calls are not counted: progress, logout, and operators' routes."""
METERED = "metered"
"""Key of the request state that holds the answer's headers if the call was counted."""
METERED_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def metered_headers(usage: Usage, now: datetime) -> dict[str, str]:
    """Return the headers of a counted call; none where the tier sets no limit."""
    if usage.limit < 0 or usage.period.end is None:
        return {}
    return _headers(usage.limit, usage.remaining, int((usage.period.end - now).total_seconds()) + 1)


def refused_headers(details: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers of a refusal because of a used-up allowance."""
    if "limit" not in details or "retry_after_s" not in details:
        return {}
    return _headers(details["limit"], max(0, details["limit"] - details["used"]), details["retry_after_s"])


def _headers(limit: int, remaining: int, reset_s: int) -> dict[str, str]:
    return dict(zip(METERED_HEADERS, map(str, (limit, remaining, reset_s)), strict=True))
