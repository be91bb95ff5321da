"""Tiers, usage and subscriptions, as clients see them."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast

from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Id, Time
from db.billing import PaymentRow, Subscription
from services.billing import subscription as subscriptions
from services.billing.checkout import trial_available
from services.billing.quota import Check, Usage
from services.billing.subscription import Banner
from services.billing.tier import CURRENCY, Tier

TierName = Annotated[str, Meta(examples=["premium"])]
Feature = Annotated[str, Meta(min_length=1, max_length=100, examples=["clips_per_month"])]
Url = Annotated[str, Meta(min_length=1, max_length=2000, examples=["https://clips.example.com/subscription/success"])]
UNLIMITED_NOTE = "-1 means no limit."


class CheckQuotaRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A use of a feature that may be limited."""

    feature: Feature
    amount: Annotated[int, Meta(ge=1, le=2**53, examples=[1])] = 1


class CheckQuotaView(Struct, kw_only=True):
    """The answer whether an amount is allowed now. Nothing is reserved."""

    allowed: bool
    feature: Feature
    used: Annotated[int, Meta(description="Used or reserved in this period.", examples=[3])]
    limit: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[5])]
    remaining: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[2])]
    resets_at: datetime | None
    upgrade_url: Annotated[str, Meta(description="Relative to the web app.", examples=["/pricing"])]


class UsageItemView(Struct, kw_only=True):
    """The use of one allowance."""

    feature: Feature
    used: int
    reserved: Annotated[int, Meta(description="Held by work that has not ended.", examples=[0])]
    limit: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[5])]
    remaining: Annotated[int, Meta(description=UNLIMITED_NOTE, examples=[2])]
    period_start: Annotated[datetime | None, Meta(description="Null for features without a period.")]
    resets_at: datetime | None


class UsageView(Struct, kw_only=True):
    """The used and remaining part of each allowance."""

    tier: TierName
    items: list[UsageItemView]
    abilities: Annotated[dict[str, bool], Meta(examples=[{"room_creation": False}])]
    limits: Annotated[dict[str, int], Meta(description=UNLIMITED_NOTE, examples=[{"clip_length_s": 120}])]
    upgrade_url: str


class CheckoutRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The tier to buy, and the address to which Stripe sends the browser afterwards."""

    tier: TierName
    successUrl: Url  # noqa: N815 - the name that clients send
    cancelUrl: Url  # noqa: N815 - the same


class CheckoutView(Struct, kw_only=True):
    """Stripe's page for the payment."""

    sessionId: Annotated[str, Meta(examples=["cs_test_a1b2"])]  # noqa: N815 - the name that clients read
    url: Annotated[str, CREDENTIAL, Meta(examples=["https://checkout.stripe.com/c/pay/cs_test_a1b2"])]


class PortalRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The address to which Stripe's portal sends the browser back."""

    returnUrl: Url  # noqa: N815 - the name that clients send


class PortalView(Struct, kw_only=True):
    """Stripe's portal."""

    url: Annotated[str, CREDENTIAL]


class ChangeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The tier to go to."""

    tier: TierName


class SyncRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The checkout that has just ended."""

    sessionId: Annotated[str, Meta(min_length=1, max_length=200, examples=["cs_test_a1b2"])]  # noqa: N815 - as sent


class BannerView(Struct, kw_only=True):
    """A notice that every page should show."""

    kind: Literal["payment_failed", "trial_ending", "trial_refused", "ending", "limit"]
    message: str
    ends_at: datetime | None
    action: Annotated[str | None, Meta(description="The remedy: portal, pricing, resume or cancel.")]


class CurrentView(Struct, kw_only=True):
    """The user's subscription. `tier` is the one in force, at least the free one."""

    id: Id
    status: Annotated[str, Meta(description="Stripe's own; `active` for free ones.", examples=["trialing"])]
    created_at: Time
    tier: TierName
    display_name: str
    source: Literal["free", "stripe", "grant"]
    subscribed_tier: Annotated[TierName, Meta(description="The tier that is paid for, also while it grants nothing.")]
    price_monthly_cents: int
    currency: str
    trial_ends_at: datetime | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    pending_tier: Annotated[TierName | None, Meta(description="Begins when the period ends.")]
    grace_ends_at: datetime | None
    granted_until: datetime | None
    ended_at: datetime | None
    trial_available: bool
    can_withdraw: bool
    is_configured: Annotated[bool, Meta(description="Whether this service takes payments.")]
    is_test_mode: bool
    banner: BannerView | None


class PaymentView(Struct, kw_only=True):
    """A payment."""

    id: Id
    status: Literal["succeeded", "failed", "refunded", "disputed", "void"]
    created_at: Time
    amount_cents: int
    refunded_cents: int
    currency: str
    payment_date: Time
    invoice_url: str | None


class ReceivedView(Struct, kw_only=True):
    """Stripe need not send it again."""

    received: bool = True


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
    """Show whether a use is allowed."""
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


def tier_view(tier: Tier, *, trial_days: int, current: str | None) -> TierView:
    """Show a tier to a user on the tier `current`, or to a stranger."""
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


def current_view(
    found: Subscription, tier: Tier, *, banner: Banner | None, is_test: bool | None, now: datetime
) -> CurrentView:
    """Show a subscription; `tier` is the one in force, `is_test` is None if nothing is paid."""
    return CurrentView(
        id=found.id,
        status=found.status,
        created_at=found.created_at,
        tier=tier.name,
        display_name=tier.display_name,
        source=cast("Any", subscriptions.source_of(found)),
        subscribed_tier=found.tier,
        price_monthly_cents=tier.price_monthly_cents,
        currency=CURRENCY,
        trial_ends_at=found.trial_ends_at,
        current_period_start=found.current_period_start,
        current_period_end=found.current_period_end,
        cancel_at_period_end=found.cancel_at_period_end,
        pending_tier=found.pending_tier,
        grace_ends_at=found.grace_ends_at,
        granted_until=found.granted_until,
        ended_at=found.ended_at,
        trial_available=trial_available(found),
        can_withdraw=subscriptions.can_withdraw(found, now=now),
        is_configured=is_test is not None,
        is_test_mode=bool(is_test),
        banner=None
        if banner is None
        else BannerView(
            kind=cast("Any", banner.kind), message=banner.message, ends_at=banner.ends_at, action=banner.action
        ),
    )


def payment_view(row: PaymentRow) -> PaymentView:
    """Show a payment."""
    return PaymentView(
        id=row.id,
        status=cast("Any", row.status),
        created_at=row.created_at,
        amount_cents=row.amount_cents,
        refunded_cents=row.refunded_cents,
        currency=row.currency,
        payment_date=row.payment_date,
        invoice_url=row.invoice_url,
    )
