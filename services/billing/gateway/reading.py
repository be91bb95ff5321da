"""Reads Stripe's objects into this service's own types."""

from datetime import UTC, datetime
from typing import Any, cast

import stripe

from services.billing.gateway.remote import CheckoutSession, RemoteCharge, RemoteInvoice, RemoteSubscription


def subscription_of(source: stripe.Subscription) -> RemoteSubscription:
    """Return a subscription as this service reads it."""
    found: dict[str, Any] = source.to_dict()
    item = found["items"]["data"][0]
    schedule = found.get("schedule")
    return RemoteSubscription(
        id=found["id"],
        customer_id=cast("str", id_of(found["customer"])),
        status=found["status"],
        price_id=item["price"]["id"],
        item_id=item["id"],
        unit_amount=item["price"]["unit_amount"] or 0,
        created=_time(found["created"]),
        period_start=_time(item["current_period_start"]),
        period_end=_time(item["current_period_end"]),
        cancel_at_period_end=found["cancel_at_period_end"] or found["cancel_at"] is not None,
        trial_end=_maybe_time(found["trial_end"]),
        ended_at=_maybe_time(found["ended_at"]),
        schedule_id=id_of(schedule),
        next_price_id=_next_price(schedule, item["current_period_end"]) if isinstance(schedule, dict) else None,
        fingerprint=_fingerprint(found.get("default_payment_method")),
    )


def _next_price(schedule: dict[str, Any], period_end: int) -> str | None:
    for phase in schedule["phases"]:
        if phase["start_date"] >= period_end:
            return id_of(phase["items"][0]["price"])
    return None


def _fingerprint(method: Any) -> str | None:
    """Return the fingerprint of a card or account; wallets and unknown kinds have none."""
    if not isinstance(method, dict):
        return None
    details = method.get(method.get("type") or "") or {}
    found = details.get("fingerprint") if isinstance(details, dict) else None
    return found if isinstance(found, str) else None


def invoice_of(source: stripe.Invoice) -> RemoteInvoice:
    """Return an invoice as this service reads it."""
    found: dict[str, Any] = source.to_dict()
    details = (found.get("parent") or {}).get("subscription_details") or {}
    payments = (found.get("payments") or {}).get("data", [])
    intents = (id_of(each["payment"].get("payment_intent")) for each in payments)
    times = found["status_transitions"]
    return RemoteInvoice(
        id=found["id"],
        status=found["status"],
        amount_due=found["amount_due"],
        amount_paid=found["amount_paid"],
        currency=found["currency"],
        created=_time(found["created"]),
        finalized_at=_maybe_time(times["finalized_at"]),
        paid_at=_maybe_time(times["paid_at"]),
        attempt_count=found["attempt_count"],
        next_attempt_at=_maybe_time(found["next_payment_attempt"]),
        subscription_id=id_of(details.get("subscription")),
        url=found["hosted_invoice_url"],
        payment_intents=tuple(filter(None, intents)),
    )


def charge_of(found: stripe.Charge) -> RemoteCharge:
    """Return a payment as this service reads it."""
    return RemoteCharge(
        id=found.id,
        payment_intent=id_of(found.payment_intent),
        amount=found.amount,
        amount_refunded=found.amount_refunded,
        is_disputed=found.disputed,
    )


def session_of(source: stripe.checkout.Session) -> CheckoutSession:
    """Return a checkout session as this service reads it."""
    return CheckoutSession(
        id=source.id, url=source.url, customer_id=id_of(source.customer), status=source.status or "open"
    )


def id_of(value: Any) -> str | None:
    """Return the id of a field that may be expanded to its object."""
    if value is None or isinstance(value, str):
        return value
    return str(value["id"])


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else _time(seconds)
