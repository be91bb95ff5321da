"""Users and business figures, for operators."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from db import billing as billing_rows
from db import figures as rows
from db import stripe_events as event_rows
from db.billing import PaymentRow
from db.connection import Transaction
from db.figures import Figures, UserRow
from db.stripe_events import StripeEvent
from services.billing import stripe_event
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.operations import service as operations
from services.operations.service import Operator
from services.paging import Page, TimeCursor, page_of

GRANTABLE = ("premium", "pro")
RECENT = 20


class EventIgnoredError(ConflictError):
    """The event leads to no sync."""

    code = "event_ignored"


__all__ = ["Figures", "PaymentRow", "StripeEvent", "UserRow"]


def search_users(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction,
    *,
    limit: int,
    cursor: TimeCursor | None = None,
    q: str | None = None,
    tier: str | None = None,
    status: str | None = None,
) -> Page[UserRow]:
    """Find users, newest first."""
    found = rows.search_users(tx, limit=limit + 1, before=cursor, q=q, tier=tier, status=status)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def get_user(tx: Transaction, *, user_id: UUID) -> tuple[UserRow, list[PaymentRow], list[StripeEvent]]:
    """Return a user with the latest payments and events. Raises NotFoundError."""
    found = rows.search_users(tx, limit=1, user_id=user_id)
    if not found:
        raise NotFoundError("There is no such user.")
    payments = billing_rows.list_payments(tx, user_id=user_id, limit=RECENT, before=None)
    return found[0], payments, event_rows.list_events(tx, limit=RECENT, user_id=user_id)


def grant(  # noqa: PLR0913 - keyword-only, one per fact
    tx: Transaction,
    operator: Operator,
    *,
    user_id: UUID,
    tier: str,
    until: datetime | None,
    reason: str,
    now: datetime,
) -> UserRow:
    """Grant a user a tier until a given time (None: without end), or revoke it with `free`; this is audited.

    Raises InvalidFieldError or NotFoundError.
    """
    if tier not in (*GRANTABLE, "free"):
        raise InvalidFieldError("tier", f"Choose one of {', '.join(GRANTABLE)}, or free to revoke a grant.")
    if not reason.strip():
        raise InvalidFieldError("reason", "Say why; the audit log keeps it.")
    is_end = tier == "free"
    if not is_end and until is not None and until <= now:
        raise InvalidFieldError("until", "The grant would have ended already; choose a later time.")
    is_done = billing_rows.grant_tier(
        tx, user_id=user_id, tier=None if is_end else tier, until=until, reason=None if is_end else reason.strip()
    )
    if not is_done:
        raise NotFoundError("There is no such user.")
    operations.record(
        tx,
        operator,
        action="user.grant",
        subject=("user", str(user_id)),
        details={"tier": tier, "until": msgspec.to_builtins(until), "reason": reason.strip()},
    )
    return get_user(tx, user_id=user_id)[0]


def replay_event(tx: Transaction, operator: Operator, *, event_id: str) -> StripeEvent:
    """Queue the sync of an event again; this is audited. Raises NotFoundError or EventIgnoredError."""
    found = event_rows.list_events(tx, limit=1, event_id=event_id)
    if not found:
        raise NotFoundError("There is no such event.")
    if found[0].ignored_because is not None or found[0].user_id is None:
        raise EventIgnoredError("This event has no effect here: its kind, mode or customer is not ours.")
    stripe_event.queue_sync(tx, user_id=found[0].user_id)
    operations.record(tx, operator, action="stripe_event.replay", subject=("stripe_event", event_id))
    return event_rows.list_events(tx, limit=1, event_id=event_id)[0]


def figures(tx: Transaction) -> Figures:
    """Return the figures of the business."""
    return rows.get_figures(tx)


def ratio(part: int, whole: int) -> float | None:
    """Return a share, or None if the divisor is zero."""
    return None if whole == 0 else round(part / whole, 4)


def metrics(found: Figures) -> Iterable[Metric]:
    """Return the figures for Prometheus."""
    paying = GaugeMetricFamily("snuggles_subscriptions_paying", "Paid subscriptions", labels=["tier"])
    paying.add_metric(["premium"], found.paying_premium)
    paying.add_metric(["pro"], found.paying_pro)
    in_force = GaugeMetricFamily(
        "snuggles_accounts", "Accounts by the tier in force; the rest is free", labels=["tier"]
    )
    in_force.add_metric(["premium"], found.in_force_premium)
    in_force.add_metric(["pro"], found.in_force_pro)
    states = GaugeMetricFamily(
        "snuggles_subscriptions", "Subscriptions on trial, past due or granted", labels=["state"]
    )
    for state in ("trialing", "past_due", "granted"):
        states.add_metric([state], getattr(found, state))
    checkouts = GaugeMetricFamily("snuggles_checkouts_month", "Checkouts of 30 days", labels=["state"])
    checkouts.add_metric(["opened"], found.checkouts)
    checkouts.add_metric(["completed"], found.checkouts_completed)
    trials = GaugeMetricFamily("snuggles_trials_month", "Trials that ended within 30 days", labels=["state"])
    trials.add_metric(["started"], found.trials_started)
    trials.add_metric(["converted"], found.trials_converted)
    return [
        paying,
        in_force,
        states,
        checkouts,
        trials,
        GaugeMetricFamily(
            "snuggles_revenue_monthly_cents",
            "Sum of the monthly prices of paid subscriptions",
            value=found.revenue_monthly_cents,
        ),
        GaugeMetricFamily(
            "snuggles_subscriptions_ended_month", "Subscriptions that ended in 30 days", value=found.ended
        ),
        GaugeMetricFamily(
            "snuggles_payments_failed_day", "Payments failed in 24 hours", value=found.failed_payments_day
        ),
        GaugeMetricFamily("snuggles_stripe_events_waiting", "Events without their sync", value=found.events_waiting),
        GaugeMetricFamily(
            "snuggles_stripe_events_failed", "Events whose sync failed and is not retried", value=found.events_failed
        ),
        GaugeMetricFamily(
            "snuggles_stripe_events_oldest_waiting_seconds",
            "Age of the oldest event without its sync",
            value=found.events_oldest_s,
        ),
        CounterMetricFamily(
            "snuggles_subscription_drift", "Differences that the nightly comparison repaired", value=found.drift
        ),
    ]
