"""What of a tier's allowance is used and reserved, and which job holds what."""

from datetime import date
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class TierRow(Struct, frozen=True, kw_only=True):
    """A tier and what it includes."""

    name: str
    display_name: str
    features: dict[str, Any]


class UsageRow(Struct, frozen=True, kw_only=True):
    """A count of one period."""

    feature: str
    period_start: date
    used: int
    reserved: int


TIER_OF_USER = """
SELECT t.tier AS name, t.display_name, t.features
FROM users u
LEFT JOIN subscriptions s ON s.user_id = u.id
     AND (s.status IN ('active', 'trialing')
          OR (s.status = 'past_due' AND s.past_due_since > now() - interval '7 days'))
JOIN tier_features t ON t.tier = COALESCE(s.tier, 'free')
WHERE u.id = %(user_id)s
"""
# One conditional upsert: 100 parallel requests against a limit of 10 let exactly 10 through (FINDINGS "PostgreSQL").
RESERVE = """
INSERT INTO usage_quotas AS q (user_id, feature, period_start, reserved)
SELECT %(user_id)s::uuid, %(feature)s::text, %(period_start)s::date, %(amount)s::bigint
WHERE %(allowance)s::bigint < 0 OR %(amount)s::bigint <= %(allowance)s::bigint
ON CONFLICT (user_id, feature, period_start) DO UPDATE
    SET reserved = q.reserved + excluded.reserved, updated_at = now()
    WHERE %(allowance)s::bigint < 0 OR q.used + q.reserved + excluded.reserved <= %(allowance)s::bigint
RETURNING 1
"""
INSERT_HOLD = """
INSERT INTO quota_holds (job_id, clip_id, user_id, feature, period_start, amount)
VALUES (%(job_id)s, %(clip_id)s, %(user_id)s, %(feature)s, %(period_start)s, %(amount)s)
-- A clip may come back to a job that it has left, or whose files it had.
ON CONFLICT (job_id, clip_id) DO UPDATE
    SET state = 'held', period_start = excluded.period_start, amount = excluded.amount, created_at = now()
"""
# held → done | released, once: the second call finds no row and counts nothing.
SETTLE = """
WITH hold AS (
    UPDATE quota_holds SET state = 'done'
    WHERE job_id = %(job_id)s AND state = 'held' AND (%(clip_id)s::uuid IS NULL OR clip_id = %(clip_id)s::uuid)
    RETURNING user_id, feature, period_start, amount
), total AS (
    SELECT user_id, feature, period_start, sum(amount) AS amount FROM hold GROUP BY user_id, feature, period_start
)
UPDATE usage_quotas q SET used = q.used + total.amount, reserved = q.reserved - total.amount, updated_at = now()
FROM total
WHERE q.user_id = total.user_id AND q.feature = total.feature AND q.period_start = total.period_start
RETURNING 1
"""
RELEASE = """
WITH hold AS (
    UPDATE quota_holds SET state = 'released'
    WHERE job_id = %(job_id)s AND state = 'held' AND (%(clip_id)s::uuid IS NULL OR clip_id = %(clip_id)s::uuid)
    RETURNING user_id, feature, period_start, amount
), total AS (
    SELECT user_id, feature, period_start, sum(amount) AS amount FROM hold GROUP BY user_id, feature, period_start
)
UPDATE usage_quotas q SET reserved = q.reserved - total.amount, updated_at = now()
FROM total
WHERE q.user_id = total.user_id AND q.feature = total.feature AND q.period_start = total.period_start
RETURNING 1
"""
GET_USAGE = """
SELECT feature, period_start, used, reserved FROM usage_quotas
WHERE user_id = %(user_id)s AND feature = %(feature)s AND period_start = %(period_start)s
"""
LIST_USAGE = """
SELECT feature, period_start, used, reserved FROM usage_quotas
WHERE user_id = %(user_id)s ORDER BY period_start DESC, feature
"""


def find_tier(tx: Transaction, *, user_id: UUID) -> TierRow | None:
    """Return the tier in force for a user, or None when there is no such user."""
    with tx.cursor(row_factory=class_row(TierRow)) as cursor:
        return cursor.execute(TIER_OF_USER, {"user_id": user_id}).fetchone()


def reserve(  # noqa: PLR0913 - keyword-only, one a column or filter
    tx: Transaction,
    *,
    user_id: UUID,
    feature: str,
    period_start: date,
    amount: int,
    allowance: int,
    job_id: UUID,
    clip_id: UUID | None = None,
) -> bool:
    """Reserve for a job and one of its clips; False when the allowance (negative: without limit) does not reach."""
    values = {"user_id": user_id, "feature": feature, "period_start": period_start, "amount": amount}
    if tx.execute(RESERVE, {**values, "allowance": allowance}).fetchone() is None:
        return False
    tx.execute(INSERT_HOLD, {**values, "job_id": job_id, "clip_id": clip_id})
    return True


def settle(tx: Transaction, *, job_id: UUID, clip_id: UUID | None = None) -> bool:
    """Turn what a job holds, for one clip or for all, into use; False when it holds nothing any more."""
    return tx.execute(SETTLE, {"job_id": job_id, "clip_id": clip_id}).fetchone() is not None


def release(tx: Transaction, *, job_id: UUID, clip_id: UUID | None = None) -> bool:
    """Give back what a job holds, for one clip or for all; False when it holds nothing any more."""
    return tx.execute(RELEASE, {"job_id": job_id, "clip_id": clip_id}).fetchone() is not None


def find_usage(tx: Transaction, *, user_id: UUID, feature: str, period_start: date) -> UsageRow | None:
    """Return the count of one feature in one period, or None when nothing was counted."""
    values = {"user_id": user_id, "feature": feature, "period_start": period_start}
    with tx.cursor(row_factory=class_row(UsageRow)) as cursor:
        return cursor.execute(GET_USAGE, values).fetchone()


def list_usage(tx: Transaction, *, user_id: UUID) -> list[UsageRow]:
    """List all counts of a user, newest period first."""
    with tx.cursor(row_factory=class_row(UsageRow)) as cursor:
        return cursor.execute(LIST_USAGE, {"user_id": user_id}).fetchall()
