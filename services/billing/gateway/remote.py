"""Stripe's objects in this service's own types, with only the fields that it needs."""

from datetime import datetime

from msgspec import Struct

FINAL = ("canceled", "incomplete_expired")
"""Statuses that a subscription never leaves."""


class RemoteSubscription(Struct, frozen=True, kw_only=True):
    """A subscription. Its period is that of its item; times are UTC."""

    id: str
    customer_id: str
    status: str
    price_id: str
    item_id: str
    unit_amount: int
    created: datetime
    period_start: datetime
    period_end: datetime
    cancel_at_period_end: bool
    trial_end: datetime | None = None
    ended_at: datetime | None = None
    schedule_id: str | None = None
    next_price_id: str | None = None
    """The price that a schedule changes to when the period ends."""
    fingerprint: str | None = None
    """Of the card or account that pays; None for a wallet."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended and cannot be resumed."""
        return self.status in FINAL


class RemoteInvoice(Struct, frozen=True, kw_only=True):
    """An invoice, with the payment intents that it was paid with."""

    id: str
    status: str
    amount_due: int
    amount_paid: int
    currency: str
    created: datetime
    finalized_at: datetime | None
    paid_at: datetime | None
    attempt_count: int
    next_attempt_at: datetime | None
    subscription_id: str | None
    url: str | None
    payment_intents: tuple[str, ...] = ()


class RemoteCharge(Struct, frozen=True, kw_only=True):
    """A payment and its outcome."""

    id: str
    payment_intent: str | None
    amount: int
    amount_refunded: int
    is_disputed: bool


class Snapshot(Struct, frozen=True, kw_only=True):
    """The state of a customer at Stripe that decides about tier and payments."""

    subscriptions: tuple[RemoteSubscription, ...] = ()
    invoices: tuple[RemoteInvoice, ...] = ()
    charges: tuple[RemoteCharge, ...] = ()


class CheckoutSession(Struct, frozen=True, kw_only=True):
    """A checkout session."""

    id: str
    url: str | None
    customer_id: str | None
    status: str


class RemoteEvent(Struct, frozen=True, kw_only=True):
    """A signed event, which only triggers a sync."""

    id: str
    type: str
    is_live: bool
    customer_id: str | None
