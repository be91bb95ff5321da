"""Webhooks: an owner's receivers of events, and the log of deliveries."""

import secrets
from typing import Literal
from uuid import UUID

from db import deliveries as delivery_rows
from db import events as event_rows
from db import webhooks as rows
from db.connection import Transaction, as_service
from db.deliveries import Delivery
from db.webhooks import Notice, Webhook
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.paging import Page, TimeCursor, page_of
from services.process.tracing import current_trace_id
from services.webhooks import delivery as deliveries

__all__ = ["Delivery", "Notice", "Webhook"]

EventType = Literal[
    "recording.ready", "recording.failed", "highlights.ready", "clip.completed", "clip.failed", "clip.expired"
]
EVENT_TYPES: tuple[EventType, ...] = (
    "recording.ready",
    "recording.failed",
    "highlights.ready",
    "clip.completed",
    "clip.failed",
    "clip.expired",
)
TEST_EVENT = "webhook.test"

MAX_WEBHOOKS = 20  # every event costs each webhook a row and a request
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix by which secret scanners recognise it
SECRET_BYTES = 32  # the size of HMAC-SHA256's digest (RFC 2104 §3)


def create(tx: Transaction, *, user_id: UUID, url: str, events: list[str]) -> tuple[Webhook, str]:
    """Add a webhook for a checked URL, and return it with its secret, which is never shown again.

    InvalidFieldError for an unknown event; ConflictError for too many webhooks.
    """
    wanted = _checked_events(events)
    rows.lock_owner(tx, user_id=user_id)
    if rows.count_webhooks(tx, user_id=user_id) >= MAX_WEBHOOKS:
        raise ConflictError(f"There are {MAX_WEBHOOKS} webhooks already; delete one first.", reason="too_many")
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return rows.insert_webhook(tx, user_id=user_id, url=url, events=wanted, secret=secret), secret


def get(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook:
    """Return a webhook; NotFoundError when it does not exist or belongs to another user."""
    return _found(rows.find_webhook(tx, user_id=user_id, webhook_id=webhook_id))


def list_webhooks(tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None = None) -> Page[Webhook]:
    """List webhooks, newest first."""
    found = rows.list_webhooks(tx, user_id=user_id, limit=limit + 1, before=cursor)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def delete(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> None:
    """Delete a webhook with its log; pending deliveries are dropped."""
    if not rows.delete_webhook(tx, user_id=user_id, webhook_id=webhook_id):
        raise NotFoundError("There is no such webhook.")


def enable(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook:
    """Enable a disabled webhook. The events that it missed stay in its log and under /api/events."""
    return rows.enable(tx, user_id=user_id, webhook_id=webhook_id) or get(tx, user_id=user_id, webhook_id=webhook_id)


def list_deliveries(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction,
    *,
    user_id: UUID,
    webhook_id: UUID,
    limit: int,
    cursor: TimeCursor | None = None,
    status: str | None = None,
) -> Page[Delivery]:
    """List the deliveries of a webhook, newest first; NotFoundError if there is no such webhook."""
    get(tx, user_id=user_id, webhook_id=webhook_id)
    found = delivery_rows.list_deliveries(
        tx, user_id=user_id, webhook_id=webhook_id, limit=limit + 1, before=cursor, status=status
    )
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def replay(tx: Transaction, *, user_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Send an ended delivery's event again, as a new delivery with a new id.

    NotFoundError; ConflictError while it is pending, or the webhook is disabled.
    """
    webhook = get(tx, user_id=user_id, webhook_id=webhook_id)
    delivery = delivery_rows.find_delivery_of(tx, user_id=user_id, webhook_id=webhook_id, delivery_id=delivery_id)
    if delivery is None:
        raise NotFoundError("There is no such delivery.")
    if delivery.status == "pending":
        raise ConflictError("This delivery has not ended yet; it is tried again by itself.", reason="delivery_open")
    _require_enabled(webhook)
    with as_service(tx):
        return deliveries.queue(
            tx,
            webhook_id=webhook_id,
            user_id=user_id,
            event_id=delivery.event_id,
            lane=delivery.lane,
            replay_of=delivery.id,
        )


def send_test(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Delivery:
    """Send a `webhook.test` event to one webhook; NotFoundError, ConflictError when it is disabled."""
    webhook = get(tx, user_id=user_id, webhook_id=webhook_id)
    _require_enabled(webhook)
    with as_service(tx):
        data = {"webhook": {"id": str(webhook_id)}}
        event = event_rows.insert_event(tx, user_id=user_id, type=TEST_EVENT, data=data, trace_id=current_trace_id())
        return deliveries.queue(tx, webhook_id=webhook_id, user_id=user_id, event_id=event.id, lane=event.id)


def find_notice(tx: Transaction, *, webhook_id: UUID) -> Notice | None:
    """Return the mail for the owner of a disabled webhook; None if it is enabled again or deleted."""
    return rows.find_notice(tx, webhook_id)


def _checked_events(events: list[str]) -> list[str]:
    unknown = [name for name in events if name not in EVENT_TYPES]
    if unknown:
        raise InvalidFieldError("events", f"There is no event {unknown[0]!r}; there are {', '.join(EVENT_TYPES)}.")
    if not events:
        raise InvalidFieldError("events", f"Name at least one event: {', '.join(EVENT_TYPES)}.")
    return [name for name in EVENT_TYPES if name in events]


def _require_enabled(webhook: Webhook) -> None:
    if webhook.status == "disabled":
        raise ConflictError("This webhook is disabled; enable it first.", reason=webhook.disabled_reason)


def _found(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFoundError("There is no such webhook.")
    return webhook
