"""Stripe's signed events, stored once each, and their syncs."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction

EventStatus = Literal["waiting", "processed", "ignored", "failed"]
"""`failed`: it was not processed, and no sync of its user is queued or running."""


class StripeEvent(Struct, frozen=True, kw_only=True):
    """An event without its payload."""

    id: str
    type: str
    customer_id: str | None
    user_id: UUID | None
    email: str | None
    received_at: datetime
    processed_at: datetime | None
    ignored_because: str | None
    status: EventStatus


INSERT_EVENT = """
INSERT INTO stripe_events (id, type, payload, customer_id, ignored_because, processed_at)
VALUES (%(id)s, %(type)s, %(payload)s, %(customer_id)s, %(ignored_because)s,
        CASE WHEN %(ignored_because)s::text IS NOT NULL THEN now() END)
ON CONFLICT (id) DO NOTHING
RETURNING 1
"""
FINISH_EVENTS = """
UPDATE stripe_events SET processed_at = now()
WHERE customer_id = %(customer_id)s AND processed_at IS NULL AND received_at <= %(before)s
"""
# A sync that has not begun fetches after the arrival of this event, so it covers the event.
IS_SYNC_QUEUED = """
SELECT EXISTS (
    SELECT 1 FROM jobs WHERE kind = 'sync_subscription' AND state = 'queued' AND payload ->> 'user_id' = %(user_id)s
) AS is_queued
"""
LIST_EVENTS = """
SELECT id, type, customer_id, user_id, email, received_at, processed_at, ignored_because, status FROM (
    SELECT e.id, e.type, e.customer_id, s.user_id, u.email, e.received_at, e.processed_at, e.ignored_because,
        CASE WHEN e.ignored_because IS NOT NULL THEN 'ignored'
             WHEN e.processed_at IS NOT NULL THEN 'processed'
             WHEN EXISTS (
                 SELECT 1 FROM jobs WHERE jobs.kind = 'sync_subscription' AND jobs.state IN ('queued', 'running')
                     AND jobs.payload ->> 'user_id' = s.user_id::text
             ) THEN 'waiting' ELSE 'failed' END AS status
    FROM stripe_events e
    LEFT JOIN subscriptions s ON s.stripe_customer_id = e.customer_id
    LEFT JOIN users u ON u.id = s.user_id
    WHERE (%(before_at)s::timestamptz IS NULL OR (e.received_at, e.id) < (%(before_at)s, %(before_id)s::text))
      AND (%(event_id)s::text IS NULL OR e.id = %(event_id)s)
      AND (%(type)s::text IS NULL OR e.type = %(type)s)
      AND (%(user_id)s::uuid IS NULL OR s.user_id = %(user_id)s)
      AND (%(is_open)s::boolean IS NULL OR (e.processed_at IS NULL) = %(is_open)s::boolean)
) AS events
WHERE (%(status)s::text IS NULL OR status = %(status)s)
ORDER BY received_at DESC, id DESC LIMIT %(limit)s
"""
FIND_POSITION = "SELECT received_at, id FROM stripe_events WHERE id = %(event_id)s"
PRUNE_EVENTS = """
DELETE FROM stripe_events WHERE id IN (
    SELECT id FROM stripe_events
    WHERE received_at < now() - make_interval(days => %(days)s) AND processed_at IS NOT NULL
    LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def insert_event(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    event_id: str,
    kind: str,
    payload: dict[str, Any],
    customer_id: str | None,
    ignored_because: str | None,
) -> bool:
    """Store an event; False when it was stored before."""
    values = {
        "id": event_id,
        "type": kind,
        "payload": Jsonb(payload),
        "customer_id": customer_id,
        "ignored_because": ignored_because,
    }
    return tx.execute(INSERT_EVENT, values).fetchone() is not None


def finish_events(tx: Transaction, *, customer_id: str, before: datetime) -> None:
    """Mark the events that arrived before a fetch as processed."""
    tx.execute(FINISH_EVENTS, {"customer_id": customer_id, "before": before})


def is_sync_queued(tx: Transaction, *, user_id: UUID) -> bool:
    """Return whether a sync of this user is waiting."""
    row = tx.execute(IS_SYNC_QUEUED, {"user_id": str(user_id)}).fetchone()
    return bool(row and row["is_queued"])


def find_position(tx: Transaction, *, event_id: str) -> tuple[datetime, str] | None:
    """Return the position of an event in the list."""
    row = tx.execute(FIND_POSITION, {"event_id": event_id}).fetchone()
    return (row["received_at"], row["id"]) if row else None


def list_events(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    kind: str | None = None,
    status: EventStatus | None = None,
    user_id: UUID | None = None,
    event_id: str | None = None,
) -> list[StripeEvent]:
    """List events, newest first."""
    before_at, before_id = before or (None, None)
    values = {
        "limit": limit,
        "before_at": before_at,
        "before_id": before_id,
        "type": kind,
        "status": status,
        "user_id": user_id,
        "event_id": event_id,
        # A hint for the planner: few events are open.
        "is_open": None if status is None else status in {"waiting", "failed"},
    }
    with tx.cursor(row_factory=class_row(StripeEvent)) as cursor:
        return cursor.execute(LIST_EVENTS, values).fetchall()


def prune_events(tx: Transaction, *, days: int, limit: int) -> int:
    """Delete old processed events; return how many."""
    return len(tx.execute(PRUNE_EVENTS, {"days": days, "limit": limit}).fetchall())
