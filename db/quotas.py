"""The used and reserved parts of users' allowances, and the holds behind the reservations."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class TierRow(Struct, frozen=True, kw_only=True):
    """A tier, and the period of the subscription that it comes from; both times are None without a paid one."""

    name: str
    display_name: str
    price_monthly: int
    features: dict[str, Any]
    limits: dict[str, Any]
    period_start: datetime | None = None
    period_end: datetime | None = None


class UsageRow(Struct, frozen=True, kw_only=True):
    """A count of one period."""

    feature: str
    period_start: datetime
    used: int
    reserved: int


class Holder(Struct, frozen=True, kw_only=True):
    """The holder of a reservation: a job (for one of its clips), or another subject, such as a live recording."""

    job_id: UUID | None = None
    clip_id: UUID | None = None
    subject_id: UUID | None = None


TIER_OF_USER = """
SELECT t.tier AS name, t.display_name, t.price_monthly, t.features, t.limits,
    CASE WHEN t.tier <> 'free' AND s.tier = t.tier THEN s.current_period_start END AS period_start,
    CASE WHEN t.tier <> 'free' AND s.tier = t.tier THEN s.current_period_end END AS period_end
FROM users u
LEFT JOIN subscriptions s ON s.user_id = u.id
JOIN tier_features t ON t.tier = tier_in_force(s)
WHERE u.id = %(user_id)s
"""
LIST_TIERS = """
SELECT tier AS name, display_name, price_monthly, features, limits FROM tier_features ORDER BY price_monthly, tier
"""
# An active holder keeps its reservation; an ended one may begin again.
INSERT_HOLD = """
INSERT INTO quota_holds AS h (job_id, clip_id, subject_id, user_id, feature, period_start, amount)
VALUES (%(job_id)s, %(clip_id)s, %(subject_id)s, %(user_id)s, %(feature)s, %(period_start)s, %(amount)s)
ON CONFLICT (job_id, clip_id, subject_id, feature) DO UPDATE
    SET state = 'held', period_start = excluded.period_start, amount = excluded.amount, created_at = now()
    WHERE h.state <> 'held'
RETURNING 1
"""
# One conditional upsert: 100 parallel requests against a limit of 10 let exactly 10 through (FINDINGS "PostgreSQL").
RESERVE = """
INSERT INTO usage_quotas AS q (user_id, feature, period_start, reserved)
SELECT %(user_id)s::uuid, %(feature)s::text, %(period_start)s::timestamptz, %(amount)s::bigint
WHERE %(allowance)s::bigint < 0 OR %(amount)s::bigint <= %(allowance)s::bigint
ON CONFLICT (user_id, feature, period_start) DO UPDATE
    SET reserved = q.reserved + excluded.reserved, updated_at = now()
    WHERE %(allowance)s::bigint < 0 OR q.used + q.reserved + excluded.reserved <= %(allowance)s::bigint
RETURNING 1
"""
DROP_HOLD = """
UPDATE quota_holds SET state = 'released'
WHERE (job_id = %(job_id)s::uuid OR subject_id = %(subject_id)s::uuid)
  AND clip_id IS NOT DISTINCT FROM %(clip_id)s::uuid AND feature = %(feature)s
"""
COUNT = """
INSERT INTO usage_quotas AS q (user_id, feature, period_start, used)
SELECT %(user_id)s::uuid, %(feature)s::text, %(period_start)s::timestamptz, 1
WHERE %(allowance)s::bigint <> 0
ON CONFLICT (user_id, feature, period_start) DO UPDATE SET used = q.used + 1, updated_at = now()
    WHERE %(allowance)s::bigint < 0 OR q.used + q.reserved < %(allowance)s::bigint
RETURNING used
"""
# held → done | released happens once: a second call finds no row and counts nothing.
COMMIT = """
WITH hold AS (
    UPDATE quota_holds SET state = 'done'
    WHERE (job_id = %(job_id)s::uuid OR subject_id = %(subject_id)s::uuid) AND state = 'held'
      AND (%(clip_id)s::uuid IS NULL OR clip_id = %(clip_id)s::uuid)
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
    WHERE (job_id = %(job_id)s::uuid OR subject_id = %(subject_id)s::uuid) AND state = 'held'
      AND (%(clip_id)s::uuid IS NULL OR clip_id = %(clip_id)s::uuid)
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
# Locked until the end of the transaction: a concurrent one that counts the same rows waits, and then sees the new ones.
LOCK_STOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(feature)s || %(user_id)s::uuid::text, 0))"
SUM_STORAGE = """
SELECT coalesce((SELECT sum(size_bytes) FROM recordings WHERE user_id = %(user_id)s AND status <> 'deleted'), 0)
    + coalesce((SELECT sum((entry.value ->> 'size_bytes')::bigint)
                FROM clips, jsonb_each(clips.objects) AS entry WHERE clips.user_id = %(user_id)s), 0) AS stock
"""


def find_tier(tx: Transaction, *, user_id: UUID) -> TierRow | None:
    """Return the tier in force for a user, or None when the user does not exist."""
    with tx.cursor(row_factory=class_row(TierRow)) as cursor:
        return cursor.execute(TIER_OF_USER, {"user_id": user_id}).fetchone()


def list_tiers(tx: Transaction) -> list[TierRow]:
    """List the tiers, cheapest first."""
    with tx.cursor(row_factory=class_row(TierRow)) as cursor:
        return cursor.execute(LIST_TIERS).fetchall()


def reserve(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction,
    *,
    user_id: UUID,
    feature: str,
    period_start: datetime,
    amount: int,
    allowance: int,
    holder: Holder,
) -> bool:
    """Reserve for a holder, once; False when the allowance (negative: no limit) is used up."""
    values = {"user_id": user_id, "feature": feature, "period_start": period_start, "amount": amount}
    if tx.execute(INSERT_HOLD, {**values, **_columns(holder)}).fetchone() is None:
        return True
    if tx.execute(RESERVE, {**values, "allowance": allowance}).fetchone() is not None:
        return True
    tx.execute(DROP_HOLD, {**_columns(holder), "feature": feature})
    return False


def count(tx: Transaction, *, user_id: UUID, feature: str, period_start: datetime, allowance: int) -> int | None:
    """Count one use and return the new count; None when the allowance (negative: no limit) is used up."""
    values = {"user_id": user_id, "feature": feature, "period_start": period_start, "allowance": allowance}
    row = tx.execute(COUNT, values).fetchone()
    return row["used"] if row else None


def commit(tx: Transaction, holder: Holder) -> bool:
    """Count the reservation of a holder as used; False when it has none."""
    return tx.execute(COMMIT, _columns(holder)).fetchone() is not None


def release(tx: Transaction, holder: Holder) -> bool:
    """Release the reservation of a holder; False when it has none."""
    return tx.execute(RELEASE, _columns(holder)).fetchone() is not None


def find_usage(tx: Transaction, *, user_id: UUID, feature: str, period_start: datetime) -> UsageRow | None:
    """Return the count of a feature in a period, or None before the first use."""
    values = {"user_id": user_id, "feature": feature, "period_start": period_start}
    with tx.cursor(row_factory=class_row(UsageRow)) as cursor:
        return cursor.execute(GET_USAGE, values).fetchone()


def lock_stock(tx: Transaction, *, user_id: UUID, feature: str) -> None:
    """Wait for other transactions that add to the same stock; they see what this one adds."""
    tx.execute(LOCK_STOCK, {"user_id": user_id, "feature": feature})


def count_memories(tx: Transaction, *, user_id: UUID) -> int:
    """Count saved moments."""
    return _stock(tx, "SELECT count(*) AS stock FROM memories WHERE user_id = %(user_id)s", user_id)


def sum_storage_bytes(tx: Transaction, *, user_id: UUID) -> int:
    """Sum the sizes of recordings and of clips' files."""
    return _stock(tx, SUM_STORAGE, user_id)


def _stock(tx: Transaction, statement: str, user_id: UUID) -> int:
    row = tx.execute(statement, {"user_id": user_id}).fetchone()
    return int(row["stock"]) if row else 0


def _columns(holder: Holder) -> dict[str, UUID | None]:
    return {"job_id": holder.job_id, "clip_id": holder.clip_id, "subject_id": holder.subject_id}
