"""Users, Stripe's events and the figures of the business, as operators see them."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from api.schemas.billing import PaymentView, UsageItemView, payment_view
from api.schemas.fields import Id, Time
from db.billing import PaymentRow
from db.stripe_events import EventStatus
from services.billing.tier import CURRENCY
from services.operations.business import Figures, StripeEvent, UserRow, ratio

Share = Annotated[float | None, Meta(description="0 to 1; null if the divisor is zero.", examples=[0.42])]


class GrantRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A tier for a user until a given time; `free` revokes a grant."""

    tier: Annotated[str, Meta(examples=["pro"])]
    until: Annotated[datetime, Meta(tz=True, description="Null: without end.")] | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["Speaker of the conference"])]


class OperatorUserView(Struct, kw_only=True):
    """A user."""

    id: Id
    email: str
    display_name: str
    is_admin: bool
    created_at: Time
    tier: Annotated[str, Meta(description="In force now.", examples=["pro"])]
    subscribed_tier: str
    status: Annotated[str, Meta(description="Of the subscription.", examples=["active"])]
    granted_tier: str | None
    granted_until: datetime | None
    grant_reason: str | None
    current_period_end: datetime | None
    stripe_customer_id: str | None
    open_jobs: int


class StripeEventView(Struct, kw_only=True):
    """An event of Stripe."""

    id: Annotated[str, Meta(examples=["evt_1"])]
    type: Annotated[str, Meta(examples=["invoice.paid"])]
    status: Annotated[
        EventStatus,
        Meta(description="failed: it was not processed, and no sync is under way.", examples=["processed"]),
    ]
    created_at: Time
    customer_id: str | None
    user_id: Id | None
    email: str | None
    processed_at: datetime | None
    ignored_because: str | None


class OperatorUserDetailView(OperatorUserView, kw_only=True):
    """A user with usage, payments and events."""

    usage: list[UsageItemView]
    payments: list[PaymentView]
    events: list[StripeEventView]


class FiguresView(Struct, kw_only=True):
    """Figures of the business; shares are of the last 30 days."""

    paying: Annotated[dict[str, int], Meta(examples=[{"premium": 12, "pro": 3}])]
    trialing: int
    past_due: int
    granted: int
    revenue_monthly_cents: int
    currency: Annotated[str, Meta(description="Of the tiers' prices.", examples=["usd"])]
    conversion: Annotated[Share, Meta(description="Share of the trials begun 7 to 37 days ago that have paid.")]
    churn: Annotated[Share, Meta(description="Share of subscriptions that ended within 30 days.")]
    payment_completion: Annotated[
        Share, Meta(description="Share of the checkouts of 30 days that led to a subscription.")
    ]
    trials_started: int
    trials_converted: int
    ended: int
    failed_payments: int
    failed_payments_day: int
    checkouts: int
    checkouts_completed: int
    events_day: int
    events_waiting: int
    events_failed: Annotated[int, Meta(description="Waiting events whose sync is not under way.")]
    events_oldest_s: float
    drift_month: int


def operator_user_view(row: UserRow) -> OperatorUserView:
    """Show a user."""
    return OperatorUserView(**{name: getattr(row, name) for name in OperatorUserView.__struct_fields__})


def operator_user_detail_view(
    row: UserRow, *, usage: list[UsageItemView], payments: list[PaymentRow], events: list[StripeEvent]
) -> OperatorUserDetailView:
    """Show a user with everything about billing."""
    return OperatorUserDetailView(
        **{name: getattr(row, name) for name in OperatorUserView.__struct_fields__},
        usage=usage,
        payments=[payment_view(each) for each in payments],
        events=[stripe_event_view(each) for each in events],
    )


def stripe_event_view(event: StripeEvent) -> StripeEventView:
    """Show an event."""
    return StripeEventView(
        id=event.id,
        type=event.type,
        status=event.status,
        created_at=event.received_at,
        customer_id=event.customer_id,
        user_id=event.user_id,
        email=event.email,
        processed_at=event.processed_at,
        ignored_because=event.ignored_because,
    )


def figures_view(found: Figures) -> FiguresView:
    """Show the figures."""
    paying = found.paying_premium + found.paying_pro
    same = {name: getattr(found, name) for name in FiguresView.__struct_fields__ if name in Figures.__struct_fields__}
    return FiguresView(
        currency=CURRENCY,
        paying={"premium": found.paying_premium, "pro": found.paying_pro},
        conversion=ratio(found.trials_converted, found.trials_started),
        churn=ratio(found.ended, paying + found.past_due + found.ended),
        payment_completion=ratio(found.checkouts_completed, found.checkouts),
        **same,
    )
