"""Operators' search for users, and the figures of the business."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class UserRow(Struct, frozen=True, kw_only=True):
    """A user with the subscription."""

    id: UUID
    email: str
    display_name: str
    is_admin: bool
    created_at: datetime
    tier: str
    subscribed_tier: str
    status: str
    granted_tier: str | None
    granted_until: datetime | None
    grant_reason: str | None
    current_period_end: datetime | None
    stripe_customer_id: str | None
    open_jobs: int


class Figures(Struct, frozen=True, kw_only=True):
    """The figures of the business. Shares are of the last 30 days; None if the divisor is zero."""

    paying_premium: int
    paying_pro: int
    trialing: int
    past_due: int
    granted: int
    in_force_premium: int
    in_force_pro: int
    revenue_monthly_cents: int
    trials_started: int
    trials_converted: int
    ended: int
    failed_payments: int
    failed_payments_day: int
    checkouts: int
    checkouts_completed: int
    events_day: int
    events_waiting: int
    events_failed: int
    events_oldest_s: float
    drift: int
    drift_month: int


SEARCH_USERS = """
SELECT u.id, u.email, u.display_name, u.is_admin, u.created_at, tier_in_force(s) AS tier, s.tier AS subscribed_tier,
    s.status, s.granted_tier, nullif(s.granted_until, 'infinity') AS granted_until, s.grant_reason,
    s.current_period_end, s.stripe_customer_id,
    (SELECT count(*) FROM jobs WHERE jobs.user_id = u.id AND state IN ('queued', 'running')) AS open_jobs
FROM users u JOIN subscriptions s ON s.user_id = u.id
WHERE (%(id)s::uuid IS NULL OR u.id = %(id)s)
  AND (%(q)s::text IS NULL OR position(lower(%(q)s) IN u.email) > 0
       OR position(lower(%(q)s) IN lower(u.display_name)) > 0 OR u.id::text = lower(%(q)s)
       OR s.stripe_customer_id = %(q)s)
  AND (%(tier)s::text IS NULL OR tier_in_force(s) = %(tier)s)
  AND (%(status)s::text IS NULL OR s.status = %(status)s)
  AND (%(before_at)s::timestamptz IS NULL OR (u.created_at, u.id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY u.created_at DESC, u.id DESC LIMIT %(limit)s
"""
FIGURES = """
SELECT
    count(*) FILTER (WHERE s.status = 'active' AND s.tier = 'premium')::integer AS paying_premium,
    count(*) FILTER (WHERE s.status = 'active' AND s.tier = 'pro')::integer AS paying_pro,
    count(*) FILTER (WHERE s.status = 'trialing')::integer AS trialing,
    count(*) FILTER (WHERE s.status = 'past_due')::integer AS past_due,
    (SELECT count(*) FROM subscriptions WHERE granted_until > now())::integer AS granted,
    (SELECT count(*) FROM subscriptions AS c WHERE (c.tier <> 'free' OR c.granted_until > now())
        AND tier_in_force(c) = 'premium')::integer AS in_force_premium,
    (SELECT count(*) FROM subscriptions AS c WHERE (c.tier <> 'free' OR c.granted_until > now())
        AND tier_in_force(c) = 'pro')::integer AS in_force_pro,
    coalesce(sum(t.price_monthly) FILTER (WHERE s.status = 'active'), 0)::bigint AS revenue_monthly_cents,
    (SELECT count(*) FROM subscriptions WHERE trial_used_at BETWEEN now() - interval '37 days'
        AND now() - interval '7 days')::integer AS trials_started,
    (SELECT count(*) FROM subscriptions AS c WHERE trial_used_at BETWEEN now() - interval '37 days'
        AND now() - interval '7 days' AND EXISTS (
            SELECT 1 FROM payment_history p WHERE p.user_id = c.user_id AND p.status IN ('succeeded', 'disputed')
        ))::integer AS trials_converted,
    (SELECT count(*) FROM subscriptions WHERE ended_at > now() - interval '30 days')::integer AS ended,
    (SELECT count(*) FROM payment_history WHERE status = 'failed'
        AND payment_date > now() - interval '30 days')::integer AS failed_payments,
    (SELECT count(*) FROM payment_history WHERE status = 'failed'
        AND payment_date > now() - interval '24 hours')::integer AS failed_payments_day,
    (SELECT count(*) FROM checkouts WHERE created_at > now() - interval '30 days')::integer AS checkouts,
    (SELECT count(*) FROM checkouts WHERE created_at > now() - interval '30 days'
        AND completed_at IS NOT NULL)::integer AS checkouts_completed,
    (SELECT count(*) FROM stripe_events WHERE received_at > now() - interval '24 hours')::integer AS events_day,
    (SELECT count(*) FROM stripe_events WHERE processed_at IS NULL)::integer AS events_waiting,
    (SELECT count(*) FROM stripe_events e LEFT JOIN subscriptions c ON c.stripe_customer_id = e.customer_id
        WHERE e.processed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM jobs WHERE jobs.kind = 'sync_subscription' AND jobs.state IN ('queued', 'running')
                AND jobs.payload ->> 'user_id' = c.user_id::text
        ))::integer AS events_failed,
    coalesce((SELECT extract(epoch FROM now() - min(received_at)) FROM stripe_events
        WHERE processed_at IS NULL), 0)::double precision AS events_oldest_s,
    (SELECT count(*) FROM subscription_drift)::integer AS drift,
    (SELECT count(*) FROM subscription_drift WHERE found_at > now() - interval '30 days')::integer AS drift_month
FROM subscriptions s JOIN tier_features t ON t.tier = s.tier WHERE s.stripe_subscription_id IS NOT NULL
"""


def search_users(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction,
    *,
    limit: int,
    user_id: UUID | None = None,
    q: str | None = None,
    tier: str | None = None,
    status: str | None = None,
    before: tuple[datetime, UUID] | None = None,
) -> list[UserRow]:
    """List users, newest first; `q` is a part of address or name, an id, or a customer at Stripe."""
    before_at, before_id = before or (None, None)
    values: dict[str, Any] = {
        "id": user_id,
        "q": q,
        "tier": tier,
        "status": status,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    with tx.cursor(row_factory=class_row(UserRow)) as cursor:
        return cursor.execute(SEARCH_USERS, values).fetchall()


def get_figures(tx: Transaction) -> Figures:
    """Count everything."""
    with tx.cursor(row_factory=class_row(Figures)) as cursor:
        row = cursor.execute(FIGURES).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row
