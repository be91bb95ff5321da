"""Tiers, usage and subscriptions, as clients see them."""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from services.billing.quota import Check, Usage
from services.billing.tier import CURRENCY, Tier

TierName = Annotated[str, Meta(examples=["premium"])]
Feature = Annotated[str, Meta(min_length=1, max_length=100, examples=["clips_per_month"])]
UNLIMITED_NOTE = "-1 means no limit."


class CheckQuotaRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to do."""

    feature: Feature
    amount: Annotated[int, Meta(ge=1, le=2**53, examples=[1])] = 1


class CheckQuotaView(Struct, kw_only=True):
    """Whether an amount would be allowed now; nothing is reserved by asking."""

    allowed: bool
    feature: Feature
    used: Annotated[int, Meta(description="Used or reserved in this period.", examples=[3])]
    limit: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[5])]
    remaining: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[2])]
    resets_at: datetime | None
    upgrade_url: Annotated[str, Meta(description="Relative to the web app.", examples=["/pricing"])]


class UsageItemView(Struct, kw_only=True):
    """How much of one allowance is gone."""

    feature: Feature
    used: int
    reserved: Annotated[int, Meta(description="Held by work that has not ended.", examples=[0])]
    limit: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[5])]
    remaining: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[2])]
    period_start: Annotated[datetime | None, Meta(description="Null for what is not counted by time.")]
    resets_at: datetime | None


class UsageView(Struct, kw_only=True):
    """What is used and left of everything that the tier includes."""

    tier: TierName
    items: list[UsageItemView]
    abilities: Annotated[dict[str, bool], Meta(examples=[{"room_creation": False}])]
    limits: Annotated[dict[str, int], Meta(description=UNLIMITED_NOTE, examples=[{"clip_length_s": 120}])]
    upgrade_url: str


class TierView(Struct, kw_only=True):
    """A tier that one can be on."""

    tier: TierName
    display_name: Annotated[str, Meta(examples=["Premium"])]
    price_monthly_cents: Annotated[int, Meta(examples=[999])]
    currency: Annotated[str, Meta(examples=["usd"])]
    features: Annotated[dict[str, Any], Meta(description="Allowances (-1: no limit) and abilities.")]
    limits: dict[str, int]
    trial_days: Annotated[int, Meta(description="Days of trial that this account would get now.", examples=[7])]
    is_current: bool


def check_view(check: Check) -> CheckQuotaView:
    """Show whether something is allowed."""
    return CheckQuotaView(
        allowed=check.allowed,
        feature=check.feature,
        used=check.used,
        limit=check.limit,
        remaining=check.remaining,
        resets_at=check.resets_at,
        upgrade_url=check.upgrade_url,
    )


def usage_item_view(usage: Usage) -> UsageItemView:
    """Show one allowance."""
    return UsageItemView(
        feature=usage.feature,
        used=usage.used,
        reserved=usage.reserved,
        limit=usage.limit,
        remaining=usage.remaining,
        period_start=usage.period.start,
        resets_at=usage.period.end,
    )


def tier_view(tier: Tier, *, trial_days: int, current: str) -> TierView:
    """Show a tier to a user on the tier `current`."""
    return TierView(
        tier=tier.name,
        display_name=tier.display_name,
        price_monthly_cents=tier.price_monthly_cents,
        currency=CURRENCY,
        features=tier.features,
        limits=tier.all_limits(),
        trial_days=trial_days if tier.price_monthly_cents > 0 else 0,
        is_current=tier.name == current,
    )
