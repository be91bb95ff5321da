"""Stripe's webhook: verifies an event, stores it once, and queues a sync. An event's content is never counted."""

import json
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import structlog
from msgspec import Struct

from db import billing as rows
from db import stripe_events as event_rows
from db.connection import Transaction
from services.billing.gateway.signature import check_signature
from services.errors import DomainError
from services.jobs import service as jobs
from services.jobs.payload import EndSubscriptionPayload, SyncSubscriptionPayload
from services.process.stripe_settings import StripeSettings

EVENTS = (
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.payment_action_required",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "charge.refunded",
    "charge.dispute.created",
    "charge.dispute.closed",
)
"""The events that the endpoint subscribes to: each leads to the same sync."""
MAX_BODY_BYTES = 512 * 1024

log = structlog.get_logger(__name__)


class InvalidSignatureError(DomainError):
    """Stripe did not sign this, or too long ago."""

    code = "invalid_signature"


class Received(Struct, frozen=True, kw_only=True):
    """The outcome of a signed event. `kind` is one of EVENTS, or `other`."""

    kind: str
    outcome: Literal["new", "repeated", "ignored"]


def receive(tx: Transaction, settings: StripeSettings, *, body: bytes, header: str | None, now: datetime) -> Received:
    """Store a signed event and queue its sync (service transaction), once for each event.

    InvalidSignatureError, with nothing stored, unless Stripe signed it within the last minutes.
    """
    if not check_signature(body, header, settings.webhook_secret, now=now):
        raise InvalidSignatureError("The signature does not fit the body, or is too old.")
    event = _parsed(body)
    subject = event["data"]["object"]
    customer_id = _customer_of(subject)
    user_id = _user_of(tx, subject, customer_id)
    ignored = _why_ignored(event, settings, user_id)
    is_new = event_rows.insert_event(
        tx,
        event_id=event["id"],
        kind=event["type"],
        payload=event,
        customer_id=customer_id,
        ignored_because=ignored,
    )
    log.info("stripe_event", event_id=event["id"], event_type=event["type"], is_new=is_new, ignored=ignored)
    if is_new and ignored is None and user_id is not None:
        queue_sync(tx, user_id=user_id)
    kind = event["type"] if event["type"] in EVENTS else "other"
    if not is_new:
        return Received(kind=kind, outcome="repeated")
    return Received(kind=kind, outcome="new" if ignored is None else "ignored")


def queue_sync(tx: Transaction, *, user_id: UUID) -> None:
    """Queue a sync of a user, unless one is still waiting, which will see this change too."""
    if not event_rows.is_sync_queued(tx, user_id=user_id):
        payload = SyncSubscriptionPayload(user_id=user_id)
        jobs.enqueue(tx, kind="sync_subscription", user_id=None, payload=payload, max_attempts=10)


def queue_end(tx: Transaction, *, user_id: UUID) -> None:
    """Queue the end of a user's subscriptions at Stripe, before the account is deleted (service transaction)."""
    found = rows.find_subscription(tx, user_id=user_id)
    if found is not None and found.stripe_customer_id is not None and found.stripe_subscription_id is not None:
        payload = EndSubscriptionPayload(customer_id=found.stripe_customer_id)
        jobs.enqueue(tx, kind="end_subscription", user_id=None, payload=payload, max_attempts=20)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
        names_are_text = isinstance(event["id"], str) and isinstance(event["type"], str)
        if names_are_text and isinstance(event["data"]["object"], dict):
            return dict(event)
    except (ValueError, KeyError, TypeError):
        pass
    raise InvalidSignatureError("The body is signed, but it is not an event.")


def _customer_of(subject: dict[str, Any]) -> str | None:
    customer = subject.get("id") if subject.get("object") == "customer" else subject.get("customer")
    if isinstance(customer, dict):
        customer = customer.get("id")
    return customer if isinstance(customer, str) else None


def _user_of(tx: Transaction, subject: dict[str, Any], customer_id: str | None) -> UUID | None:
    if customer_id is not None:
        return rows.find_user_of_customer(tx, customer_id=customer_id)
    intent = subject.get("payment_intent")
    return rows.find_user_of_payment(tx, intent=intent) if isinstance(intent, str) else None


def _why_ignored(event: dict[str, Any], settings: StripeSettings, user_id: UUID | None) -> str | None:
    if bool(event.get("livemode")) == settings.is_test:
        log.error("stripe_event_of_other_mode", event_id=event["id"], is_live=event.get("livemode"))
        return "other_mode"
    if event["type"] not in EVENTS:
        return "no_effect"
    return "unknown_customer" if user_id is None else None
