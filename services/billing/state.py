"""The meaning of Stripe's objects for a user: tier, period, grace, payments. Pure: equal objects give equal answers."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from services.billing.gateway.remote import RemoteCharge, RemoteInvoice, RemoteSubscription, Snapshot

GRANTING = ("active", "trialing", "past_due")


class State(Struct, frozen=True, kw_only=True):
    """The columns of a subscription that Stripe decides; those of a free one without a live subscription."""

    tier: str = "free"
    status: str = "active"
    stripe_subscription_id: str | None = None
    current_period_start: datetime | None = None
    current_period_end: datetime | None = None
    cancel_at_period_end: bool = False
    trial_ends_at: datetime | None = None
    pending_tier: str | None = None
    past_due_since: datetime | None = None
    grace_ends_at: datetime | None = None
    ended_at: datetime | None = None


class Payment(Struct, frozen=True, kw_only=True):
    """An invoice as a row of the payment history."""

    stripe_invoice_id: str
    status: str
    amount_cents: int
    currency: str
    payment_date: datetime
    invoice_url: str | None
    refunded_cents: int
    attempt_count: int
    stripe_payment_intent: str | None


TierOfPrice = Callable[[str], str | None]


def live_of(found: Snapshot, tier_of_price: TierOfPrice) -> list[RemoteSubscription]:
    """Return the subscriptions that have not ended and are for a price of ours, the one that counts first."""
    live = [each for each in found.subscriptions if not each.is_over and tier_of_price(each.price_id)]
    return sorted(live, key=lambda each: (each.status not in GRANTING, each.created, each.id))


def state_of(found: Snapshot, tier_of_price: TierOfPrice, *, grace: timedelta) -> State:
    """Return a user's subscription."""
    live = live_of(found, tier_of_price)
    if not live:
        ours = [each.ended_at for each in found.subscriptions if each.is_over and tier_of_price(each.price_id)]
        return State(ended_at=max(filter(None, ours), default=None))
    current = live[0]
    since = _past_due_since(current, found.invoices) if current.status == "past_due" else None
    return State(
        tier=tier_of_price(current.price_id) or "free",
        status=current.status,
        stripe_subscription_id=current.id,
        current_period_start=current.period_start,
        current_period_end=current.period_end,
        cancel_at_period_end=current.cancel_at_period_end,
        trial_ends_at=current.trial_end if current.status == "trialing" else None,
        pending_tier=_pending_tier(current, tier_of_price),
        past_due_since=since,
        grace_ends_at=since + grace if since else None,
    )


def payments_of(found: Snapshot) -> list[Payment]:
    """Return the payment history: invoices that were paid or whose payment failed."""
    by_intent = {each.payment_intent: each for each in found.charges if each.payment_intent}
    rows = (_payment(each, [by_intent[p] for p in each.payment_intents if p in by_intent]) for each in found.invoices)
    return [row for row in rows if row is not None]


def _payment(invoice: RemoteInvoice, charges: Sequence[RemoteCharge]) -> Payment | None:
    amount = invoice.amount_paid or invoice.amount_due
    status = _payment_status(invoice, charges)
    if amount == 0 or status is None:
        return None
    return Payment(
        stripe_invoice_id=invoice.id,
        status=status,
        amount_cents=amount,
        currency=invoice.currency,
        payment_date=invoice.paid_at or invoice.finalized_at or invoice.created,
        invoice_url=invoice.url,
        refunded_cents=sum(each.amount_refunded for each in charges),
        attempt_count=invoice.attempt_count,
        stripe_payment_intent=next(iter(invoice.payment_intents), None),
    )


def _payment_status(invoice: RemoteInvoice, charges: Sequence[RemoteCharge]) -> str | None:
    if invoice.status == "void":
        return "void"
    if invoice.status != "paid":
        return "failed" if invoice.attempt_count else None
    if any(each.is_disputed for each in charges):
        return "disputed"
    refunded = sum(each.amount_refunded for each in charges)
    return "refunded" if charges and refunded >= invoice.amount_paid else "succeeded"


def _past_due_since(current: RemoteSubscription, invoices: Sequence[RemoteInvoice]) -> datetime:
    """Return when the oldest open payment first failed."""
    owed = [
        each.finalized_at or each.created
        for each in invoices
        if each.subscription_id == current.id and each.status == "open" and each.attempt_count
    ]
    return min(owed, default=current.period_start)


def _pending_tier(current: RemoteSubscription, tier_of_price: TierOfPrice) -> str | None:
    if current.cancel_at_period_end or current.next_price_id is None:
        return None
    following = tier_of_price(current.next_price_id)
    return None if following == tier_of_price(current.price_id) else following
