"""Deliveries of events to an owner's webhooks: signed, in order, and retried until they succeed.

A delivery is a row, inserted in the transaction of its event. Deliveries of one webhook about one clip form a lane:
only the first has a job for its next attempt, and the others wait until it has ended. Each attempt is a separate job,
so the pause between two is the job's `run_at`, and a worker is busy only during a request.
"""

from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from db import deliveries as rows
from db import events as event_rows
from db import webhooks as webhook_rows
from db.connection import Transaction
from db.deliveries import Delivery, DeliveryError
from db.events import EventRow
from db.webhooks import Rest, Target, Webhook
from services.jobs import service as jobs
from services.jobs.payload import DeliverWebhookPayload, MailWebhookDisabledPayload
from services.jobs.service import Job
from services.outbound.signature import sign
from services.process.logging import REDACTED, redact_text

__all__ = ["Delivery", "DeliveryError"]

DISABLED_EVENT = "webhook.disabled"
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 2 * 3600.0
TRIES_FOR = timedelta(hours=24)
DISABLED_AFTER = timedelta(days=3)
"""Long enough for an owner to find a receiver that was down over a long weekend."""
REST = Rest(patience=10, first_s=15.0, longest_s=300.0)
"""Failures after which a webhook is only tried occasionally. Workers wait ten seconds for a silent receiver, so
thousands of events for one would block the workers for everybody."""
TRY_S = 60.0
"""Longer than an attempt, so that only one runs at a time."""
EXCERPT_BYTES = 1024
GONE = 410
KEPT_DAYS = 30
SWEEP_BATCH = 1000
DISABLED = DeliveryError(code="webhook_disabled", message="The webhook was disabled before this could be delivered.")


class Outgoing(Struct, frozen=True, kw_only=True):
    """One attempt: the message and its address."""

    delivery: Delivery
    attempt: int
    url: str
    secret: str
    body: bytes

    def headers(self, *, now: datetime) -> dict[str, str]:
        """Return the headers of the request, signed for the current time."""
        return {
            "Content-Type": "application/json",
            "Snuggles-Signature": sign(self.secret, self.body, at_s=int(now.timestamp())),
            "Snuggles-Event": self.delivery.event_type,
            "Snuggles-Delivery": str(self.delivery.id),
            "Idempotency-Key": str(self.delivery.id),
            "Snuggles-Attempt": str(self.attempt),
        }


class Outcome(Struct, frozen=True, kw_only=True):
    """The result of an attempt: a status with the beginning of the answer, or an error without one."""

    duration_ms: int
    status: int | None = None
    excerpt: str | None = None
    error: DeliveryError | None = None
    retry_after_s: float | None = None
    """The pause that the receiver asks for."""

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver accepted it."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - the class of HTTP's successes

    @property
    def is_gone(self) -> bool:
        """Whether the receiver answered 410 Gone."""
        return self.status == GONE


def offer(tx: Transaction, event: EventRow) -> None:
    """Queue a delivery of a new event to each of its owner's webhooks that subscribe to it (service transaction)."""
    lane = event.clip_id or event.recording_id or event.id
    for webhook_id in webhook_rows.list_subscribed(tx, user_id=event.user_id, event_type=event.type):
        queue(tx, webhook_id=webhook_id, user_id=event.user_id, event_id=event.id, lane=lane)


def queue(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, webhook_id: UUID, user_id: UUID, event_id: UUID, lane: UUID, replay_of: UUID | None = None
) -> Delivery:
    """Put a delivery at the end of its lane, with a job if it is the only one there (service transaction)."""
    rows.lock_lane(tx, webhook_id=webhook_id, lane=lane)
    is_free = rows.find_first(tx, webhook_id=webhook_id, lane=lane) is None
    delivery_id = rows.insert_delivery(
        tx, webhook_id=webhook_id, user_id=user_id, event_id=event_id, lane=lane, replay_of=replay_of
    )
    delivery = cast("Delivery", rows.find_delivery(tx, delivery_id))
    if is_free:
        schedule(tx, webhook_id=webhook_id, lane=lane, at=delivery.created_at)
    return delivery


def begin(tx: Transaction, *, delivery_id: UUID, now: datetime, random: float = 0.0) -> Outgoing | None:
    """Begin an attempt (service transaction); None if none is due.

    None is due if the delivery has ended, is not the first of its lane, or its webhook rests. In a rest it gets a later
    job, a little spread by `random` (0 to 1), or is given up once it is a day old.
    """
    delivery = rows.find_delivery(tx, delivery_id)
    if delivery is None or delivery.status != "pending":
        return None
    rows.lock_lane(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    first = rows.find_first(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    target = webhook_rows.find_target(tx, delivery.webhook_id)
    event = event_rows.find_event(tx, delivery.event_id)
    if first is None or first.id != delivery_id or target is None or event is None:
        return None
    if target.status == "disabled":
        rows.give_up_all(tx, delivery.webhook_id, error=DISABLED)
        return None
    if _rests(tx, delivery.webhook_id, target, now):
        _wait_or_give_up(tx, delivery, target, now=now, random=random)
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
    """Store the result of an attempt, and queue the next attempt or the next delivery of the lane.

    Returns the delivery's status, or `ended` if it had ended before. `random` (0 to 1) places the next attempt within
    the jitter. A webhook is disabled if its receiver answers 410, or if a delivery is given up and none has succeeded
    for DISABLED_AFTER.
    """
    delivery = outgoing.delivery
    rows.lock_lane(tx, webhook_id=delivery.webhook_id, lane=delivery.lane)
    is_last = outcome.is_delivered or outcome.is_gone
    next_at = None if is_last else _next_attempt(outgoing, outcome, now=now, random=random)
    status: Literal["delivered", "pending", "failed"] = (
        "delivered" if outcome.is_delivered else "failed" if next_at is None else "pending"
    )
    # Lock the webhook's row before the delivery's, as disabling does; another order could deadlock.
    if outcome.is_delivered:
        webhook_rows.note_success(tx, delivery.webhook_id)
    else:
        webhook_rows.note_failure(tx, delivery.webhook_id, at=now, rest=REST)
    disabled = _disable(tx, delivery.webhook_id, outcome, now=now) if status == "failed" else None
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
        _wind_up(tx, disabled)
    elif is_ours:
        schedule(tx, webhook_id=delivery.webhook_id, lane=delivery.lane, at=next_at or now)
    return status if is_ours else "ended"


def schedule(tx: Transaction, *, webhook_id: UUID, lane: UUID, at: datetime) -> Job | None:
    """Queue the next attempt of the first delivery in a lane that the caller has locked; None for an empty lane."""
    first = rows.find_first(tx, webhook_id=webhook_id, lane=lane)
    if first is None:
        return None
    job = jobs.enqueue(
        tx,
        kind="deliver_webhook",
        user_id=first.user_id,
        payload=DeliverWebhookPayload(delivery_id=first.id),
        run_at=at,
        trace_id=first.trace_id,
    )
    rows.set_next(tx, first.id, job_id=job.id, at=at)
    return job


def sweep(tx: Transaction, *, now: datetime) -> dict[str, int]:
    """Queue deliveries again that have lost their job, and delete old events (service transaction)."""
    rescued = 0
    for webhook_id, lane in rows.list_stranded(tx, limit=SWEEP_BATCH):
        rows.lock_lane(tx, webhook_id=webhook_id, lane=lane)
        # Checked again under the lock: a second job would send it twice, and out of order.
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
    """Return the pause after this many failed attempts (1 or more), in seconds.

    Doubles from FIRST_PAUSE_S to LONGEST_PAUSE_S; `random` (0 to 1) places it between half and the whole of that, so
    that deliveries that failed together return at different times.
    """
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempt - 1, 30)) * (0.5 + 0.5 * random)


def _next_attempt(outgoing: Outgoing, outcome: Outcome, *, now: datetime, random: float) -> datetime | None:
    """Return when to try again, not earlier than the receiver asks; the last attempt is at the end of the day."""
    last_at = (outgoing.delivery.first_attempt_at or now) + TRIES_FOR
    wait_s = max(pause_s(outgoing.attempt, random=random), outcome.retry_after_s or 0.0)
    return None if now >= last_at else min(last_at, now + timedelta(seconds=min(wait_s, TRIES_FOR.total_seconds())))


def _rests(tx: Transaction, webhook_id: UUID, target: Target, now: datetime) -> bool:
    """Return whether a webhook rests; after its rest, one delivery at a time tries it."""
    if target.resting_until is not None and target.resting_until > now:
        return True
    if target.failures < REST.patience:
        return False
    return not webhook_rows.begin_try(tx, webhook_id, at=now, until=now + timedelta(seconds=TRY_S))


def _wait_or_give_up(tx: Transaction, delivery: Delivery, target: Target, *, now: datetime, random: float) -> None:
    """Postpone a delivery until its webhook has rested, or give it up once it is a day old."""
    if delivery.first_attempt_at is None or now < delivery.first_attempt_at + TRIES_FOR:
        until = max(target.resting_until or now, now + timedelta(seconds=REST.first_s))
        at = until + timedelta(seconds=REST.first_s * random)
        schedule(tx, webhook_id=delivery.webhook_id, lane=delivery.lane, at=at)
        return
    disabled = _disable_failing(tx, delivery.webhook_id, now=now)
    rows.end_attempt(
        tx,
        delivery.id,
        status="failed",
        duration_ms=delivery.duration_ms,
        response_status=delivery.response_status,
        response_excerpt=delivery.response_excerpt,
        error=delivery.error or DISABLED,
    )
    if disabled is not None:
        _wind_up(tx, disabled)
    else:
        schedule(tx, webhook_id=delivery.webhook_id, lane=delivery.lane, at=now)


def _disable(tx: Transaction, webhook_id: UUID, outcome: Outcome, *, now: datetime) -> Webhook | None:
    """Disable a webhook whose receiver is gone, or that had no success for days."""
    if not outcome.is_gone:
        return _disable_failing(tx, webhook_id, now=now)
    reason = "The receiver answered 410 Gone. Enable the webhook again once its address takes events."
    return webhook_rows.disable(tx, webhook_id, reason=reason)


def _disable_failing(tx: Transaction, webhook_id: UUID, *, now: datetime) -> Webhook | None:
    """Disable a webhook that had no success for days; None for others."""
    reason = (
        f"No delivery has succeeded for {DISABLED_AFTER.days} days. Repair the receiver and enable the webhook again."
    )
    return webhook_rows.disable_failing(tx, webhook_id, since=now - DISABLED_AFTER, reason=reason)


def _wind_up(tx: Transaction, webhook: Webhook) -> None:
    """End the pending deliveries of a disabled webhook, and notify its owner by an event and a mail."""
    rows.give_up_all(tx, webhook.id, error=DISABLED)
    data = {"webhook": {"id": str(webhook.id), "url": webhook.url, "reason": webhook.disabled_reason}}
    event_rows.insert_event(tx, user_id=webhook.user_id, type=DISABLED_EVENT, data=data)
    payload = MailWebhookDisabledPayload(webhook_id=webhook.id)
    jobs.enqueue(tx, kind="mail_webhook_disabled", user_id=webhook.user_id, payload=payload)


def _error_of(outcome: Outcome) -> DeliveryError:
    if outcome.error is not None:
        return outcome.error
    if outcome.status is not None and 300 <= outcome.status < 400:  # noqa: PLR2004 - the class of HTTP's redirects
        message = f"The receiver answered {outcome.status}; redirects are not followed. Use the URL that it leads to."
        return DeliveryError(code="redirected", message=message)
    message = f"The receiver answered {outcome.status}; it must answer with a 2xx status."
    return DeliveryError(code="refused", message=message)


def _clean_excerpt(excerpt: str | None, secret: str) -> str | None:
    if excerpt is None:
        return None
    text = redact_text(excerpt.replace("\x00", "").replace(secret, REDACTED))
    return text.encode()[:EXCERPT_BYTES].decode(errors="ignore")
