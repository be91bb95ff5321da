"""Webhooks: an owner's addresses that are told, signed and in order, what happened to his things.

A delivery is a row, inserted in the transaction of its event. Deliveries of one webhook about one clip form a lane: the
first of a lane has a job for its next attempt, the others wait until it has ended. Each attempt is a job of its own, so
the pause between two is the job's `run_at`, and a worker is busy only while it talks.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from db import events as event_rows
from db import webhooks as rows
from db.connection import Transaction, as_service
from db.events import EventRow
from db.webhooks import Delivery, Notice, Webhook
from services import jobs
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.jobs import Job
from services.logging import REDACTED, redact_text
from services.paging import Page, TimeCursor, page_of
from services.signature import sign
from services.tracing import current_trace_id

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
DISABLED_EVENT = "webhook.disabled"

MAX_WEBHOOKS = 20  # every event costs a row and a request for each
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret begins with, so that a scanner of leaks knows it
SECRET_BYTES = 32  # the size of HMAC-SHA256's digest (RFC 2104 §3)
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 2 * 3600.0
TRIES_FOR = timedelta(hours=24)
DISABLED_AFTER = timedelta(days=3)
"""A receiver that has been down over a long weekend is found by its owner first, by this after it."""
EXCERPT_BYTES = 1024
KEPT_DAYS = 30
SWEEP_BATCH = 1000


class Outgoing(Struct, frozen=True, kw_only=True):
    """One attempt: what is to be sent, and where."""

    delivery: Delivery
    attempt: int
    url: str
    secret: str
    body: bytes

    def headers(self, *, now: datetime) -> dict[str, str]:
        """Return the headers of a request that is sent now."""
        return {
            "Content-Type": "application/json",
            "Snuggles-Signature": sign(self.secret, self.body, at_s=int(now.timestamp())),
            "Snuggles-Event": self.delivery.event_type,
            "Snuggles-Delivery": str(self.delivery.id),
            "Idempotency-Key": str(self.delivery.id),
            "Snuggles-Attempt": str(self.attempt),
        }


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt: a status with the beginning of the answer, or an error when there was no answer."""

    duration_ms: int
    status: int | None = None
    excerpt: str | None = None
    error: dict[str, str] | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the class of HTTP's successes


def create(tx: Transaction, *, user_id: UUID, url: str, events: list[str]) -> tuple[Webhook, str]:
    """Add a webhook for a URL that was checked before, and return it with its secret, which is never shown again.

    InvalidFieldError for an event that there is none of; ConflictError when there are too many webhooks.
    """
    wanted = _checked_events(events)
    rows.lock_owner(tx, user_id=user_id)
    if rows.count_webhooks(tx, user_id=user_id) >= MAX_WEBHOOKS:
        raise ConflictError(f"There are {MAX_WEBHOOKS} webhooks already; delete one first.")
    secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return rows.insert_webhook(tx, user_id=user_id, url=url, events=wanted, secret=secret), secret


def get(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook:
    """Return a webhook; NotFoundError when there is none of that id, or it is another's."""
    return _found(rows.find_webhook(tx, user_id=user_id, webhook_id=webhook_id))


def list_webhooks(tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None = None) -> Page[Webhook]:
    """List webhooks, newest first."""
    found = rows.list_webhooks(tx, user_id=user_id, limit=limit + 1, before=cursor)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def delete(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> None:
    """Delete a webhook with its log; what is pending for it is not sent any more."""
    if not rows.delete_webhook(tx, user_id=user_id, webhook_id=webhook_id):
        raise NotFoundError("There is no such webhook")


def enable(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook:
    """Let a disabled webhook be told again. What it missed stays in its log and under /api/events."""
    return rows.enable(tx, user_id=user_id, webhook_id=webhook_id) or get(tx, user_id=user_id, webhook_id=webhook_id)


def list_deliveries(  # noqa: PLR0913 - keyword-only, one a filter
    tx: Transaction,
    *,
    user_id: UUID,
    webhook_id: UUID,
    limit: int,
    cursor: TimeCursor | None = None,
    status: str | None = None,
) -> Page[Delivery]:
    """List what was sent to a webhook, newest first; NotFoundError when there is no such webhook."""
    get(tx, user_id=user_id, webhook_id=webhook_id)
    found = rows.list_deliveries(
        tx, user_id=user_id, webhook_id=webhook_id, limit=limit + 1, before=cursor, status=status
    )
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def replay(tx: Transaction, *, user_id: UUID, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Send an ended delivery's event again, as a delivery of its own with a new id.

    NotFoundError; ConflictError while it is pending, or the webhook is disabled.
    """
    webhook = get(tx, user_id=user_id, webhook_id=webhook_id)
    delivery = rows.find_delivery_of(tx, user_id=user_id, webhook_id=webhook_id, delivery_id=delivery_id)
    if delivery is None:
        raise NotFoundError("There is no such delivery")
    if delivery.status == "pending":
        raise ConflictError("This delivery has not ended yet; it is tried again by itself.")
    _require_enabled(webhook)
    with as_service(tx):
        return _offer(
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
        return _offer(tx, webhook_id=webhook_id, user_id=user_id, event_id=event.id, lane=event.id)


def offer(tx: Transaction, event: EventRow) -> None:
    """Queue a delivery of a new event to each webhook of its owner that wants to be told (service transaction)."""
    lane = event.clip_id or event.recording_id or event.id
    for webhook_id in rows.list_subscribed(tx, user_id=event.user_id, event_type=event.type):
        _offer(tx, webhook_id=webhook_id, user_id=event.user_id, event_id=event.id, lane=lane)


def begin(tx: Transaction, *, delivery_id: UUID, now: datetime) -> Outgoing | None:
    """Begin an attempt (service transaction); None when the delivery has ended, or it is not its turn."""
    delivery = rows.find_delivery(tx, delivery_id)
    if delivery is None or delivery.status != "pending":
        return None
    rows.lock_lane(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    first = rows.find_first(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    target = rows.find_target(tx, delivery.webhook_id)
    event = event_rows.find_event(tx, delivery.event_id)
    if first is None or first.id != delivery_id or target is None or event is None:
        return None
    if target.status == "disabled":
        rows.give_up_all(tx, delivery.webhook_id, error=_disabled_error())
        return None
    if not rows.begin_attempt(tx, delivery_id, at=now):
        return None
    return Outgoing(
        delivery=delivery,
        attempt=delivery.attempts + 1,
        url=target.url,
        secret=target.secret,
        body=body_of(event),
    )


def finish(
    tx: Transaction, *, outgoing: Outgoing, outcome: Outcome, now: datetime, random: float
) -> Literal["delivered", "pending", "failed", "ended"]:
    """Write what came of an attempt and let the next one, or the next delivery of the lane, follow.

    Returns the delivery's status, or `ended` when it had one already. `random` (0 to 1) places the next attempt within
    the jitter. A webhook is disabled when a delivery is given up and nothing has got through for DISABLED_AFTER.
    """
    delivery = outgoing.delivery
    rows.lock_lane(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    next_at = None if outcome.is_delivered else _next_attempt(delivery, outgoing.attempt, now=now, random=random)
    status: Literal["delivered", "pending", "failed"] = (
        "delivered" if outcome.is_delivered else "failed" if next_at is None else "pending"
    )
    # The webhook's row before the delivery's, as disabling takes them: the other way round they could block each other.
    disabled = _note(tx, delivery.webhook_id, status=status, now=now)
    is_ours = rows.end_attempt(
        tx,
        delivery.id,
        status=status,
        duration_ms=outcome.duration_ms,
        response_status=outcome.status,
        response_excerpt=_clean_excerpt(outcome.excerpt, outgoing.secret),
        error=None if outcome.is_delivered else _error_of(outcome),
    )
    if disabled is not None:
        rows.give_up_all(tx, disabled.id, error=_disabled_error())
        _tell_owner(tx, disabled)
    elif is_ours:
        schedule(tx, webhook_id=delivery.webhook_id, lane=delivery.lane, at=next_at or now)
    return status if is_ours else "ended"


def schedule(tx: Transaction, *, webhook_id: UUID, lane: UUID, at: datetime) -> Job | None:
    """Queue the next attempt of the first delivery in a lane that the caller has locked; None when there is none."""
    first = rows.find_first(tx, webhook_id=webhook_id, lane=lane)
    if first is None:
        return None
    job = jobs.enqueue(
        tx,
        kind="deliver_webhook",
        user_id=first.user_id,
        payload={"delivery_id": str(first.id)},
        run_at=at,
        trace_id=first.trace_id,
    )
    rows.set_next(tx, first.id, job_id=job.id, at=at)
    return job


def find_secret(tx: Transaction, *, webhook_id: UUID) -> str | None:
    """Return what signs a webhook's messages (service transaction); None when it is gone."""
    target = rows.find_target(tx, webhook_id)
    return None if target is None else target.secret


def find_notice(tx: Transaction, *, webhook_id: UUID) -> Notice | None:
    """Return what to tell the owner of a disabled webhook; None when it is enabled again, or gone."""
    return rows.find_notice(tx, webhook_id)


def sweep(tx: Transaction, *, now: datetime) -> dict[str, int]:
    """Give deliveries that lost their job a new one, and forget what is older than a month (service transaction)."""
    rescued = 0
    for webhook_id, lane in rows.list_stranded(tx, limit=SWEEP_BATCH):
        rows.lock_lane(tx, webhook_id=webhook_id, lane=lane)
        # Looked at once more under the lock: a second job would send it twice, and out of order.
        first = rows.find_first(tx, webhook_id=webhook_id, lane=lane)
        if first is not None and not first.has_job:
            rescued += schedule(tx, webhook_id=webhook_id, lane=lane, at=now) is not None
    return {"rescued": rescued, "deleted": event_rows.delete_old(tx, days=KEPT_DAYS, limit=SWEEP_BATCH)}


def body_of(event: EventRow) -> bytes:
    """Return the message of an event: the same bytes at every attempt."""
    return msgspec.json.encode(
        {"id": event.id, "type": event.type, "created_at": event.created_at, "data": event.data}, order="sorted"
    )


def pause_s(attempt: int, *, random: float) -> float:
    """Return the pause after so many failed attempts (1 or more), in seconds.

    Doubles from FIRST_PAUSE_S to LONGEST_PAUSE_S; `random` (0 to 1) moves it between half and the whole of that, so
    that what failed together does not come back together.
    """
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 30)) * (0.5 + 0.5 * random)


def _next_attempt(delivery: Delivery, attempt: int, *, now: datetime, random: float) -> datetime | None:
    """Return when to try again; the last attempt is made at the end of the day, and none after it."""
    last_at = (delivery.first_attempt_at or now) + TRIES_FOR
    return None if now >= last_at else min(last_at, now + timedelta(seconds=pause_s(attempt, random=random)))


def _note(tx: Transaction, webhook_id: UUID, *, status: str, now: datetime) -> Webhook | None:
    """Write how the webhook is doing; return it when this was the failure that disabled it."""
    if status == "delivered":
        rows.note_success(tx, webhook_id)
        return None
    rows.note_failure(tx, webhook_id, at=now)
    if status == "pending":
        return None
    reason = f"Nothing has got through for {DISABLED_AFTER.days} days. Mend the receiver and enable the webhook again."
    return rows.disable_failing(tx, webhook_id, since=now - DISABLED_AFTER, reason=reason)


def _tell_owner(tx: Transaction, webhook: Webhook) -> None:
    """Leave a notice among the owner's events, and have one mailed."""
    data = {"webhook": {"id": str(webhook.id), "url": webhook.url, "reason": webhook.disabled_reason}}
    event_rows.insert_event(tx, user_id=webhook.user_id, type=DISABLED_EVENT, data=data)
    payload = {"webhook_id": str(webhook.id)}
    jobs.enqueue(tx, kind="mail_webhook_disabled", user_id=webhook.user_id, payload=payload)


def _offer(  # noqa: PLR0913 - keyword-only, one a column
    tx: Transaction, *, webhook_id: UUID, user_id: UUID, event_id: UUID, lane: UUID, replay_of: UUID | None = None
) -> Delivery:
    """Put a delivery at the end of its lane, and queue it when it is the only one there."""
    rows.lock_lane(tx, webhook_id=webhook_id, lane=lane)
    is_free = rows.find_first(tx, webhook_id=webhook_id, lane=lane) is None
    delivery_id = rows.insert_delivery(
        tx, webhook_id=webhook_id, user_id=user_id, event_id=event_id, lane=lane, replay_of=replay_of
    )
    delivery = cast("Delivery", rows.find_delivery(tx, delivery_id))
    if is_free:
        schedule(tx, webhook_id=webhook_id, lane=lane, at=delivery.created_at)
    return delivery


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
        raise NotFoundError("There is no such webhook")
    return webhook


def _error_of(outcome: Outcome) -> dict[str, Any]:
    if outcome.error is not None:
        return dict(outcome.error)
    if outcome.status is not None and 300 <= outcome.status < 400:  # noqa: PLR2004 - the class of HTTP's redirects
        message = f"The receiver answered {outcome.status}; redirects are not followed. Use the URL that it leads to."
        return {"code": "redirected", "message": message}
    return {"code": "refused", "message": f"The receiver answered {outcome.status}; it must answer with a 2xx status."}


def _disabled_error() -> dict[str, Any]:
    return {"code": "webhook_disabled", "message": "The webhook was disabled before this could be delivered."}


def _clean_excerpt(excerpt: str | None, secret: str) -> str | None:
    if excerpt is None:
        return None
    text = redact_text(excerpt.replace("\x00", "").replace(secret, REDACTED))
    return text.encode()[:EXCERPT_BYTES].decode(errors="ignore")
