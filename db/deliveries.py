"""Deliveries of events to webhooks: their order, attempts and answers."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction
from db.jobs import error_json, row_with_error
from db.webhooks import Cursor


class DeliveryError(Struct, frozen=True, kw_only=True):
    """Why an attempt at a delivery failed."""

    code: str
    message: str


class Delivery(Struct, frozen=True, kw_only=True):
    """A row of `webhook_deliveries`, with the type and subject of its event."""

    id: UUID
    webhook_id: UUID
    user_id: UUID
    event_id: UUID
    event_type: str
    recording_id: UUID | None
    clip_id: UUID | None
    replay_of: UUID | None
    lane: UUID
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    job_id: UUID | None
    next_attempt_at: datetime | None
    first_attempt_at: datetime | None
    last_attempt_at: datetime | None
    duration_ms: int | None
    response_status: int | None
    response_excerpt: str | None
    error: DeliveryError | None
    created_at: datetime
    finished_at: datetime | None


class Waiting(Struct, frozen=True, kw_only=True):
    """The first pending delivery of a lane."""

    id: UUID
    user_id: UUID
    trace_id: str | None
    has_job: bool
    """Whether an open job will send it."""


DELIVERY_COLUMNS = """d.id, d.webhook_id, d.user_id, d.event_id, e.type AS event_type, e.recording_id, e.clip_id,
d.replay_of, d.lane, d.status, d.attempts, d.job_id, d.next_attempt_at, d.first_attempt_at, d.last_attempt_at,
d.duration_ms, d.response_status, d.response_excerpt, d.error, d.created_at, d.finished_at"""

# The lock of a lane: adding to a lane and ending its first delivery must see each other's rows.
LOCK_LANE = "SELECT pg_advisory_xact_lock(hashtextextended(%(webhook_id)s::text || '/' || %(lane)s::text, 0))"
INSERT_DELIVERY = """
INSERT INTO webhook_deliveries (webhook_id, user_id, event_id, lane, replay_of)
VALUES (%(webhook_id)s, %(user_id)s, %(event_id)s, %(lane)s, %(replay_of)s) RETURNING id
"""
FIRST_IN_LANE = """
SELECT d.id, d.user_id, e.trace_id,
    EXISTS (SELECT 1 FROM jobs WHERE jobs.id = d.job_id AND jobs.state IN ('queued', 'running')) AS has_job
FROM webhook_deliveries d JOIN events e ON e.id = d.event_id
WHERE d.webhook_id = %(webhook_id)s AND d.lane = %(lane)s AND d.status = 'pending' ORDER BY d.seq LIMIT 1
"""
SET_NEXT = """
UPDATE webhook_deliveries SET job_id = %(job_id)s, next_attempt_at = %(at)s
WHERE id = %(delivery_id)s AND status = 'pending'
"""
FIND_DELIVERY = f"""
SELECT {DELIVERY_COLUMNS} FROM webhook_deliveries d JOIN events e ON e.id = d.event_id WHERE d.id = %(delivery_id)s
"""  # noqa: S608 - the columns are a constant
FIND_DELIVERY_OF_WEBHOOK = f"{FIND_DELIVERY} AND d.webhook_id = %(webhook_id)s AND d.user_id = %(user_id)s"
LIST_DELIVERIES = f"""
SELECT {DELIVERY_COLUMNS} FROM webhook_deliveries d JOIN events e ON e.id = d.event_id
WHERE d.webhook_id = %(webhook_id)s AND d.user_id = %(user_id)s
  AND (%(status)s::text IS NULL OR d.status = %(status)s::text)
  AND (%(before_at)s::timestamptz IS NULL OR (d.created_at, d.id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY d.created_at DESC, d.id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
BEGIN_ATTEMPT = """
UPDATE webhook_deliveries SET attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, %(at)s),
    last_attempt_at = %(at)s
WHERE id = %(delivery_id)s AND status = 'pending' RETURNING id
"""
# If the same attempt runs twice, the second finds the delivery ended and changes nothing.
DELIVERED = """
UPDATE webhook_deliveries SET status = 'delivered', finished_at = now(), duration_ms = %(duration_ms)s,
    response_status = %(response_status)s, response_excerpt = %(response_excerpt)s, error = NULL,
    job_id = NULL, next_attempt_at = NULL
WHERE id = %(delivery_id)s AND status = 'pending' RETURNING id
"""
PUT_OFF = """
UPDATE webhook_deliveries SET duration_ms = %(duration_ms)s,
    response_status = %(response_status)s, response_excerpt = %(response_excerpt)s, error = %(error)s,
    job_id = NULL, next_attempt_at = NULL
WHERE id = %(delivery_id)s AND status = 'pending' RETURNING id
"""
GIVE_UP = """
UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), duration_ms = %(duration_ms)s,
    response_status = %(response_status)s, response_excerpt = %(response_excerpt)s, error = %(error)s,
    job_id = NULL, next_attempt_at = NULL
WHERE id = %(delivery_id)s AND status = 'pending' RETURNING id
"""
GIVE_UP_ALL = """
UPDATE webhook_deliveries SET status = 'failed', error = %(error)s, job_id = NULL, next_attempt_at = NULL,
    finished_at = now()
WHERE webhook_id = %(webhook_id)s AND status = 'pending' RETURNING id
"""
# First deliveries of a lane without an open job: it was discarded, or has killed too many workers.
LIST_STRANDED = """
SELECT d.id, d.webhook_id, d.lane FROM webhook_deliveries d
WHERE d.status = 'pending'
  AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS earlier
                  WHERE earlier.webhook_id = d.webhook_id AND earlier.lane = d.lane AND earlier.status = 'pending'
                    AND earlier.seq < d.seq)
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = d.job_id AND jobs.state IN ('queued', 'running'))
LIMIT %(limit)s
"""


def lock_lane(tx: Transaction, *, webhook_id: UUID, lane: UUID) -> None:
    """Lock a lane until the transaction ends."""
    tx.execute(LOCK_LANE, {"webhook_id": webhook_id, "lane": lane})


def insert_delivery(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, webhook_id: UUID, user_id: UUID, event_id: UUID, lane: UUID, replay_of: UUID | None = None
) -> UUID:
    """Put a delivery at the end of its lane, which the caller has locked."""
    parameters = {
        "webhook_id": webhook_id,
        "user_id": user_id,
        "event_id": event_id,
        "lane": lane,
        "replay_of": replay_of,
    }
    row = tx.execute(INSERT_DELIVERY, parameters).fetchone()
    assert row is not None  # noqa: S101 - INSERT … RETURNING returns its row or raises
    delivery_id: UUID = row["id"]
    return delivery_id


def find_first(tx: Transaction, *, webhook_id: UUID, lane: UUID) -> Waiting | None:
    """Return the first pending delivery of a lane."""
    with tx.cursor(row_factory=class_row(Waiting)) as cursor:
        return cursor.execute(FIRST_IN_LANE, {"webhook_id": webhook_id, "lane": lane}).fetchone()


def set_next(tx: Transaction, delivery_id: UUID, *, job_id: UUID, at: datetime) -> None:
    """Set the job and the time of the next attempt."""
    tx.execute(SET_NEXT, {"delivery_id": delivery_id, "job_id": job_id, "at": at})


def find_delivery(tx: Transaction, delivery_id: UUID) -> Delivery | None:
    """Return a delivery of any owner."""
    return _delivery(tx, FIND_DELIVERY, {"delivery_id": delivery_id})


def find_delivery_of(tx: Transaction, *, user_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery | None:
    """Return a delivery of an owner's webhook."""
    parameters = {"user_id": user_id, "webhook_id": webhook_id, "delivery_id": delivery_id}
    return _delivery(tx, FIND_DELIVERY_OF_WEBHOOK, parameters)


def list_deliveries(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction, *, user_id: UUID, webhook_id: UUID, limit: int, before: Cursor | None, status: str | None
) -> list[Delivery]:
    """List a webhook's deliveries, newest first, starting after the cursor."""
    parameters = {
        "user_id": user_id,
        "webhook_id": webhook_id,
        "limit": limit,
        "status": status,
        **_before(before),
    }
    with tx.cursor(row_factory=row_with_error(Delivery, DeliveryError)) as cursor:
        return cursor.execute(LIST_DELIVERIES, parameters).fetchall()


def begin_attempt(tx: Transaction, delivery_id: UUID, *, at: datetime) -> bool:
    """Count an attempt; False when the delivery has ended."""
    return tx.execute(BEGIN_ATTEMPT, {"delivery_id": delivery_id, "at": at}).fetchone() is not None


def end_attempt(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    delivery_id: UUID,
    *,
    status: Literal["pending", "delivered", "failed"],
    duration_ms: int | None,
    response_status: int | None,
    response_excerpt: str | None,
    error: DeliveryError | None,
) -> bool:
    """Write the outcome of an attempt; False when the delivery had ended before."""
    parameters = {
        "delivery_id": delivery_id,
        "duration_ms": duration_ms,
        "response_status": response_status,
        "response_excerpt": response_excerpt,
        "error": None if error is None else error_json(error),
    }
    statement = {"delivered": DELIVERED, "pending": PUT_OFF, "failed": GIVE_UP}[status]
    return tx.execute(statement, parameters).fetchone() is not None


def give_up_all(tx: Transaction, webhook_id: UUID, *, error: DeliveryError) -> int:
    """End all pending deliveries of a webhook as failed; return how many."""
    return len(tx.execute(GIVE_UP_ALL, {"webhook_id": webhook_id, "error": error_json(error)}).fetchall())


def list_stranded(tx: Transaction, *, limit: int) -> list[tuple[UUID, UUID]]:
    """List (webhook, lane) of first pending deliveries without an open job."""
    return [(row["webhook_id"], row["lane"]) for row in tx.execute(LIST_STRANDED, {"limit": limit})]


def _before(cursor: Cursor | None) -> dict[str, Any]:
    before_at, before_id = cursor or (None, None)
    return {"before_at": before_at, "before_id": before_id}


def _delivery(tx: Transaction, statement: str, parameters: dict[str, Any]) -> Delivery | None:
    with tx.cursor(row_factory=row_with_error(Delivery, DeliveryError)) as cursor:
        return cursor.execute(statement, parameters).fetchone()
