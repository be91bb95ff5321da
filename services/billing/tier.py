"""Tiers from the rows of `tier_features`: what each includes, and which one is in force for a user."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from db import quotas as rows
from db.connection import Transaction
from db.quotas import TierRow
from services.errors import NotFoundError, TierRequiredError
from services.jobs.fairness import CAP, WEIGHT, default_share

UNLIMITED = -1
UPGRADE_URL = "/pricing"
"""Relative to the web app's address, which may differ from the API's."""
CURRENCY = "usd"
GB = 10**9

ABILITIES = ("room_creation", "priority_support", "analytics", "api_access")
ABILITY_WORDS = {
    "room_creation": "creating rooms",
    "priority_support": "priority support",
    "analytics": "analytics",
    "api_access": "API keys",
}


def _job_limits(tier: str) -> dict[str, int]:
    share = default_share(tier)
    return {CAP: share.cap, WEIGHT: share.weight}


DEFAULT_LIMITS: Mapping[str, Mapping[str, int]] = {
    "free": {
        "clip_length_s": 120,
        "recording_length_s": 4 * 3600,
        "storage_bytes": 100 * GB,
        "retention_days": 30,
        "queue_wait_s": 2 * 3600,
        **_job_limits("free"),
    },
    "premium": {
        "clip_length_s": 300,
        "recording_length_s": 12 * 3600,
        "storage_bytes": 500 * GB,
        "retention_days": 30,
        "queue_wait_s": 6 * 3600,
        **_job_limits("premium"),
    },
    "pro": {
        "clip_length_s": 300,
        "recording_length_s": 12 * 3600,
        "storage_bytes": 2000 * GB,
        "retention_days": 30,
        "queue_wait_s": 12 * 3600,
        **_job_limits("pro"),
    },
}
"""Tier → default limits, unless the row's `limits` has others. The 100 GB of a free user hold the largest
recording that is accepted by default, and its clips."""


class Period(Struct, frozen=True, kw_only=True):
    """The time in which an allowance is counted; both ends are None if it is not counted by time."""

    start: datetime | None
    end: datetime | None


class Tier(Struct, frozen=True, kw_only=True):
    """A tier and what it includes: numbers are allowances (-1: no limit), booleans are abilities."""

    name: str
    display_name: str
    features: dict[str, Any]
    limits: dict[str, Any] = {}
    price_monthly_cents: int = 0
    paid_start: datetime | None = None
    paid_end: datetime | None = None

    def allows(self, ability: str) -> bool:
        """Return whether the tier includes an ability, such as `api_access`."""
        return self.features.get(ability, False) is True

    def allowance(self, feature: str) -> int:
        """Return the allowance of a feature in a period; -1 means no limit, 0 a feature that the row lacks."""
        return _whole(self.features.get(feature, 0))

    def limit(self, name: str) -> int:
        """Return a limit, such as `clip_length_s`: the row's, or our default; -1 means no limit."""
        if name in self.limits:
            return _whole(self.limits[name])
        return DEFAULT_LIMITS.get(self.name, DEFAULT_LIMITS["free"])[name]

    def all_limits(self) -> dict[str, int]:
        """Return every limit."""
        return {name: self.limit(name) for name in DEFAULT_LIMITS["free"]}

    def month(self, now: datetime) -> Period:
        """Return the month that contains `now`: the subscription's own, else the UTC calendar month."""
        if self.paid_start is None or self.paid_end is None or now < self.paid_start:
            return calendar_month(now)
        start, end = self.paid_start, self.paid_end
        # Stripe knows of a renewal before we do: the next period begins where this one ends.
        while end <= now:
            start, end = end, one_month_later(end)
        return Period(start=start, end=end)


def tier_of(tx: Transaction, *, user_id: UUID) -> Tier:
    """Return the tier in force for a user; NotFoundError when there is no such user."""
    row = rows.find_tier(tx, user_id=user_id)
    if row is None:
        raise NotFoundError("There is no such user.")
    return _tier(row)


def list_tiers(tx: Transaction) -> list[Tier]:
    """List the tiers, cheapest first."""
    return [_tier(row) for row in rows.list_tiers(tx)]


def require(tier: Tier, ability: str) -> None:
    """Raise TierRequiredError unless the tier includes an ability."""
    if tier.allows(ability):
        return
    words = ABILITY_WORDS.get(ability, ability.replace("_", " "))
    raise TierRequiredError(
        f"{tier.display_name} does not include {words}. Choose a tier that does at {UPGRADE_URL}.",
        feature=ability,
        tier=tier.name,
        upgrade_url=UPGRADE_URL,
    )


def calendar_month(now: datetime) -> Period:
    """Return the calendar month in UTC."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return Period(start=first, end=one_month_later(first))


def calendar_day(now: datetime) -> Period:
    """Return the day in UTC."""
    midnight = datetime.combine(now.astimezone(UTC).date(), time(), tzinfo=UTC)
    return Period(start=midnight, end=midnight + timedelta(days=1))


def one_month_later(moment: datetime) -> datetime:
    """Return the same day and time of the next month, or that month's last day if it is shorter."""
    year, month = moment.year + moment.month // 12, moment.month % 12 + 1
    last = (datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
    return moment.replace(year=year, month=month, day=min(moment.day, last))


def _tier(row: TierRow) -> Tier:
    return Tier(
        name=row.name,
        display_name=row.display_name,
        features=row.features,
        limits=row.limits,
        price_monthly_cents=row.price_monthly,
        paid_start=row.period_start,
        paid_end=row.period_end,
    )


def _whole(value: Any) -> int:
    """Return a number from a row that operators may edit; anything else counts as 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return max(UNLIMITED, int(value))
