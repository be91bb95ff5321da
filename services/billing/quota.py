"""What a tier allows, and counting it: reserved when a job is accepted, used when it ends well, else given back."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct

from db import quotas as rows
from db.connection import Transaction, as_service
from services.errors import NotFoundError, QuotaExceededError, TierRequiredError

CLIPS = "clips_per_month"
API_CALLS = "api_calls_per_day"
UNLIMITED = -1

WORDS = {CLIPS: "clips"}
"""What a person calls the things that are counted."""


class Tier(Struct, frozen=True, kw_only=True):
    """A tier and what it includes: numbers are allowances (-1 without limit), booleans are abilities."""

    name: str
    display_name: str
    features: dict[str, Any]

    def allows(self, ability: str) -> bool:
        """Say whether the tier includes an ability, such as `api_access`."""
        return bool(self.features.get(ability, False))

    def allowance(self, feature: str) -> int:
        """Return how many of something the tier includes a period; -1 means without limit."""
        return int(self.features.get(feature, 0))


class Usage(Struct, frozen=True, kw_only=True):
    """How much of an allowance is gone."""

    feature: str
    used: int
    reserved: int
    allowance: int
    resets_at: datetime


def tier_of(tx: Transaction, *, user_id: UUID) -> Tier:
    """Return the tier in force for a user; NotFoundError when there is no such user."""
    row = rows.find_tier(tx, user_id=user_id)
    if row is None:
        raise NotFoundError("There is no such user.")
    return Tier(name=row.name, display_name=row.display_name, features=row.features)


def require(tier: Tier, ability: str, what: str) -> None:
    """Raise TierRequiredError unless the tier includes an ability; `what` names it in plain words."""
    if not tier.allows(ability):
        raise TierRequiredError(
            f"The {tier.display_name} tier does not include {what}; a higher tier does.",
            feature=ability,
            tier=tier.name,
        )


def reserve(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    tier: Tier,
    feature: str,
    job_id: UUID,
    clip_id: UUID | None = None,
    amount: int = 1,
    now: datetime | None = None,
) -> None:
    """Reserve a part of the allowance for a job, or for one of its clips; QuotaExceededError when it is used up.

    However many requests arrive at once, no more than the allowance get through.
    """
    now = now or datetime.now(UTC)
    allowance = tier.allowance(feature)
    period_start = month_of(now)
    with as_service(tx):
        accepted = rows.reserve(
            tx,
            user_id=user_id,
            feature=feature,
            period_start=period_start,
            amount=amount,
            allowance=allowance,
            job_id=job_id,
            clip_id=clip_id,
        )
        if accepted:
            return
        usage = rows.find_usage(tx, user_id=user_id, feature=feature, period_start=period_start)
    resets_at = end_of_month(now)
    what = WORDS.get(feature, feature.replace("_", " "))
    raise QuotaExceededError(
        f"All {allowance} {what} of this month on the {tier.display_name} tier are used or being made. "
        f"The count starts again on {resets_at:%d %B %Y}; a higher tier includes more.",
        feature=feature,
        tier=tier.name,
        allowance=allowance,
        used=usage.used if usage else 0,
        reserved=usage.reserved if usage else 0,
        resets_at=resets_at.isoformat(),
        retry_after_s=max(1, int((resets_at - now).total_seconds())),
    )


def require_call(tier: Tier, *, made: int, now: datetime) -> None:
    """Raise QuotaExceededError when the tier includes fewer calls a day than were made, this one among them."""
    allowance = tier.allowance(API_CALLS)
    if made <= allowance:
        return
    resets_at = end_of_day(now)
    raise QuotaExceededError(
        f"All {allowance} API calls of today on the {tier.display_name} tier are used. The count starts again at 00:00 "
        "UTC; a higher tier includes more. Asking how far a recording, clip or job is costs nothing.",
        feature=API_CALLS,
        tier=tier.name,
        allowance=allowance,
        used=allowance,
        resets_at=resets_at.isoformat(),
        retry_after_s=max(1, int((resets_at - now).total_seconds()) + 1),
    )


def settle(tx: Transaction, *, job_id: UUID, clip_id: UUID | None = None) -> None:
    """Count what a job holds, for one clip or for all, as used; a second call changes nothing."""
    with as_service(tx):
        rows.settle(tx, job_id=job_id, clip_id=clip_id)


def release(tx: Transaction, *, job_id: UUID, clip_id: UUID | None = None) -> None:
    """Give back what a job holds, for one clip or for all; a second call changes nothing."""
    with as_service(tx):
        rows.release(tx, job_id=job_id, clip_id=clip_id)


def usage(tx: Transaction, *, user_id: UUID, tier: Tier, feature: str, now: datetime) -> Usage:
    """Return how much of an allowance is gone in the present month."""
    row = rows.find_usage(tx, user_id=user_id, feature=feature, period_start=month_of(now))
    return Usage(
        feature=feature,
        used=row.used if row else 0,
        reserved=row.reserved if row else 0,
        allowance=tier.allowance(feature),
        resets_at=end_of_month(now),
    )


def end_of_day(now: datetime) -> datetime:
    """Return the next midnight in UTC."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), tzinfo=UTC)


def month_of(now: datetime) -> date:
    """Return the first day of the month in UTC: the period that allowances are counted in."""
    return now.astimezone(UTC).date().replace(day=1)


def end_of_month(now: datetime) -> datetime:
    """Return the moment at which the next period begins."""
    start = month_of(now)
    first = date(start.year + start.month // 12, start.month % 12 + 1, 1)
    return datetime.combine(first, time(), tzinfo=UTC)
