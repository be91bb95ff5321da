"""Subscriptions, payments, checkouts and Stripe's events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction


class Subscription(Struct, frozen=True, kw_only=True):
    """A user's subscription; `tier_in_force` is the tier that it, or an operator's grant, gives now."""

    id: UUID
    user_id: UUID
    tier: str
    tier_in_force: str
    status: str
    created_at: datetime
    stripe_customer_id: str | None
    stripe_subscription_id: str | None
    current_period_start: datetime | None
    current_period_end: datetime | None
    cancel_at_period_end: bool
    trial_ends_at: datetime | None
    trial_used_at: datetime | None
    trial_refused_at: datetime | None
    pending_tier: str | None
    past_due_since: datetime | None
    grace_ends_at: datetime | None
    ended_at: datetime | None
    granted_tier: str | None
    granted_until: datetime | None
    grant_reason: str | None
    synced_at: datetime | None


class PaymentRow(Struct, frozen=True, kw_only=True):
    """A successful or failed payment."""

    id: UUID
    status: str
    created_at: datetime
    amount_cents: int
    refunded_cents: int
    currency: str
    payment_date: datetime
    invoice_url: str | None


COLUMNS = """s.id, s.user_id, s.tier, tier_in_force(s) AS tier_in_force, s.status, s.created_at, s.stripe_customer_id,
s.stripe_subscription_id, s.current_period_start, s.current_period_end, s.cancel_at_period_end, s.trial_ends_at,
s.trial_used_at, s.trial_refused_at, s.pending_tier, s.past_due_since, s.grace_ends_at, s.ended_at, s.granted_tier,
nullif(s.granted_until, 'infinity') AS granted_until, s.grant_reason, s.synced_at"""
GET_SUBSCRIPTION = f"SELECT {COLUMNS} FROM subscriptions s WHERE s.user_id = %(user_id)s"  # noqa: S608 - constants
FIND_USER_OF_CUSTOMER = "SELECT user_id FROM subscriptions WHERE stripe_customer_id = %(customer_id)s"
FIND_USER_OF_PAYMENT = "SELECT user_id FROM payment_history WHERE stripe_payment_intent = %(intent)s"
SET_CUSTOMER = """
UPDATE subscriptions SET stripe_customer_id = %(customer_id)s, updated_at = now()
WHERE user_id = %(user_id)s AND stripe_customer_id IS NOT DISTINCT FROM %(previous)s::text
RETURNING 1
"""
# One holder for each user fetches from Stripe and writes, while others wait.
TAKE_LEASE = """
UPDATE subscriptions SET sync_token = %(token)s, sync_expires_at = now() + make_interval(secs => %(lease_s)s)
WHERE user_id = %(user_id)s AND (sync_token IS NULL OR sync_expires_at < now())
RETURNING now() AS taken_at
"""
DROP_LEASE = """
UPDATE subscriptions SET sync_token = NULL, sync_expires_at = NULL
WHERE user_id = %(user_id)s AND sync_token = %(token)s
RETURNING 1
"""
# Fenced by the token: a holder whose lease ran out writes nothing. A grant without end remains when there is no live
# subscription.
WRITE_STATE = """
UPDATE subscriptions SET
    tier = CASE WHEN %(stripe_subscription_id)s::text IS NULL AND granted_until = 'infinity' THEN granted_tier
                ELSE %(tier)s END,
    status = %(status)s, stripe_subscription_id = %(stripe_subscription_id)s,
    current_period_start = %(current_period_start)s, current_period_end = %(current_period_end)s,
    cancel_at_period_end = %(cancel_at_period_end)s, trial_ends_at = %(trial_ends_at)s,
    pending_tier = %(pending_tier)s, past_due_since = %(past_due_since)s, grace_ends_at = %(grace_ends_at)s,
    ended_at = %(ended_at)s, trial_used_at = coalesce(trial_used_at, %(trial_used_at)s),
    trial_refused_at = coalesce(%(trial_refused_at)s, trial_refused_at), synced_at = now(), updated_at = now()
WHERE user_id = %(user_id)s AND sync_token = %(token)s
RETURNING 1
"""
UPSERT_PAYMENT = """
INSERT INTO payment_history AS p (user_id, stripe_invoice_id, status, amount_cents, currency, payment_date, invoice_url,
                                  refunded_cents, attempt_count, stripe_payment_intent)
VALUES (%(user_id)s, %(stripe_invoice_id)s, %(status)s, %(amount_cents)s, %(currency)s, %(payment_date)s,
        %(invoice_url)s, %(refunded_cents)s, %(attempt_count)s, %(stripe_payment_intent)s)
ON CONFLICT (stripe_invoice_id) DO UPDATE SET status = excluded.status, amount_cents = excluded.amount_cents,
    payment_date = excluded.payment_date, invoice_url = excluded.invoice_url,
    refunded_cents = excluded.refunded_cents, attempt_count = excluded.attempt_count,
    stripe_payment_intent = excluded.stripe_payment_intent
    WHERE p.user_id = excluded.user_id
"""
LIST_PAYMENTS = """
SELECT id, status, created_at, amount_cents, refunded_cents, currency, payment_date, invoice_url FROM payment_history
WHERE user_id = %(user_id)s
  AND (%(before_at)s::timestamptz IS NULL OR (payment_date, id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY payment_date DESC, id DESC LIMIT %(limit)s
"""
# The first user of a card keeps it; the statement returns that user.
CLAIM_CARD = """
INSERT INTO trial_cards (fingerprint_hash, user_id) VALUES (%(fingerprint_hash)s, %(user_id)s)
ON CONFLICT (fingerprint_hash) DO UPDATE SET fingerprint_hash = excluded.fingerprint_hash
RETURNING user_id
"""
INSERT_CHECKOUT = """
INSERT INTO checkouts (session_id, user_id, tier) VALUES (%(session_id)s, %(user_id)s, %(tier)s)
ON CONFLICT DO NOTHING
"""
COMPLETE_CHECKOUTS = """
UPDATE checkouts SET completed_at = now() WHERE completed_at IS NULL AND session_id = (
    SELECT session_id FROM checkouts WHERE user_id = %(user_id)s ORDER BY created_at DESC LIMIT 1
)
"""
FIND_CHECKOUT_OWNER = "SELECT user_id FROM checkouts WHERE session_id = %(session_id)s"
FIND_EMAIL = "SELECT email FROM users WHERE id = %(user_id)s"
GET_WITHDRAWAL = """
SELECT stripe_subscription_id, declared_at, refunded_cents, finished_at FROM withdrawals
WHERE user_id = %(user_id)s ORDER BY declared_at DESC LIMIT 1
"""
INSERT_WITHDRAWAL = """
INSERT INTO withdrawals (user_id, stripe_subscription_id) VALUES (%(user_id)s, %(subscription_id)s)
ON CONFLICT (stripe_subscription_id) DO UPDATE SET user_id = excluded.user_id
RETURNING declared_at
"""
FINISH_WITHDRAWAL = """
UPDATE withdrawals SET refunded_cents = %(refunded_cents)s, finished_at = now()
WHERE stripe_subscription_id = %(subscription_id)s AND finished_at IS NULL
"""
GRANT_TIER = """
UPDATE subscriptions SET granted_tier = %(tier)s,
    granted_until = CASE WHEN %(tier)s::text IS NOT NULL THEN coalesce(%(until)s::timestamptz, 'infinity') END,
    grant_reason = %(reason)s,
    updated_at = now()
WHERE user_id = %(user_id)s
RETURNING 1
"""
LIST_CUSTOMERS = """
SELECT user_id, stripe_customer_id, stripe_subscription_id FROM subscriptions
WHERE stripe_customer_id IS NOT NULL AND user_id > %(after)s ORDER BY user_id LIMIT %(limit)s
"""
INSERT_DRIFT = """
INSERT INTO subscription_drift (user_id, before, after) VALUES (%(user_id)s, %(before)s, %(after)s)
"""


def find_subscription(tx: Transaction, *, user_id: UUID) -> Subscription | None:
    """Return a user's subscription, or None if there is no such user."""
    with tx.cursor(row_factory=class_row(Subscription)) as cursor:
        return cursor.execute(GET_SUBSCRIPTION, {"user_id": user_id}).fetchone()


def find_user_of_customer(tx: Transaction, *, customer_id: str) -> UUID | None:
    """Return the user of a customer."""
    row = tx.execute(FIND_USER_OF_CUSTOMER, {"customer_id": customer_id}).fetchone()
    return row["user_id"] if row else None


def find_user_of_payment(tx: Transaction, *, intent: str) -> UUID | None:
    """Return the user who made a payment."""
    row = tx.execute(FIND_USER_OF_PAYMENT, {"intent": intent}).fetchone()
    return row["user_id"] if row else None


def set_customer(tx: Transaction, *, user_id: UUID, customer_id: str, previous: str | None) -> bool:
    """Replace a user's previous customer; False if it has been replaced by another one already."""
    values = {"user_id": user_id, "customer_id": customer_id, "previous": previous}
    return tx.execute(SET_CUSTOMER, values).fetchone() is not None


def take_lease(tx: Transaction, *, user_id: UUID, token: UUID, lease_s: float) -> datetime | None:
    """Take the lease for syncing a user and return its time; None while another process holds it."""
    row = tx.execute(TAKE_LEASE, {"user_id": user_id, "token": token, "lease_s": lease_s}).fetchone()
    return row["taken_at"] if row else None


def drop_lease(tx: Transaction, *, user_id: UUID, token: UUID) -> bool:
    """End a lease; False if another process holds it now."""
    return tx.execute(DROP_LEASE, {"user_id": user_id, "token": token}).fetchone() is not None


def write_state(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    user_id: UUID,
    token: UUID,
    state: Struct,
    trial_used_at: datetime | None,
    trial_refused_at: datetime | None,
) -> bool:
    """Write Stripe's state; False if the lease is no longer ours."""
    values = {
        **msgspec.structs.asdict(state),
        "user_id": user_id,
        "token": token,
        "trial_used_at": trial_used_at,
        "trial_refused_at": trial_refused_at,
    }
    return tx.execute(WRITE_STATE, values).fetchone() is not None


def upsert_payments(tx: Transaction, *, user_id: UUID, payments: Sequence[Struct]) -> None:
    """Write invoices into the payment history."""
    if not payments:
        return
    rows = [{**msgspec.structs.asdict(payment), "user_id": user_id} for payment in payments]
    with tx.cursor() as cursor:
        cursor.executemany(UPSERT_PAYMENT, rows)


def list_payments(
    tx: Transaction, *, user_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[PaymentRow]:
    """List payments, newest first."""
    before_at, before_id = before or (None, None)
    values = {"user_id": user_id, "limit": limit, "before_at": before_at, "before_id": before_id}
    with tx.cursor(row_factory=class_row(PaymentRow)) as cursor:
        return cursor.execute(LIST_PAYMENTS, values).fetchall()


def claim_card(tx: Transaction, *, user_id: UUID, fingerprint_hash: bytes) -> bool:
    """Record the card of a user's trial; False if another account's trial used it before."""
    row = tx.execute(CLAIM_CARD, {"user_id": user_id, "fingerprint_hash": fingerprint_hash}).fetchone()
    return row is not None and row["user_id"] == user_id


def insert_checkout(tx: Transaction, *, session_id: str, user_id: UUID, tier: str) -> None:
    """Record an opened checkout."""
    tx.execute(INSERT_CHECKOUT, {"session_id": session_id, "user_id": user_id, "tier": tier})


def complete_checkouts(tx: Transaction, *, user_id: UUID) -> None:
    """Record that a user's latest checkout led to a subscription."""
    tx.execute(COMPLETE_CHECKOUTS, {"user_id": user_id})


def find_checkout_owner(tx: Transaction, *, session_id: str) -> UUID | None:
    """Return the user who opened a checkout."""
    row = tx.execute(FIND_CHECKOUT_OWNER, {"session_id": session_id}).fetchone()
    return row["user_id"] if row else None


def find_email(tx: Transaction, *, user_id: UUID) -> str | None:
    """Return a user's address."""
    row = tx.execute(FIND_EMAIL, {"user_id": user_id}).fetchone()
    return row["email"] if row else None


def find_withdrawal(tx: Transaction, *, user_id: UUID) -> dict[str, Any] | None:
    """Return a user's latest withdrawal."""
    return tx.execute(GET_WITHDRAWAL, {"user_id": user_id}).fetchone()


def finish_withdrawal(tx: Transaction, *, subscription_id: str, refunded_cents: int) -> None:
    """Mark a withdrawal as completed."""
    tx.execute(FINISH_WITHDRAWAL, {"subscription_id": subscription_id, "refunded_cents": refunded_cents})


def insert_withdrawal(tx: Transaction, *, user_id: UUID, subscription_id: str) -> datetime:
    """Record a withdrawal and return when it was first declared."""
    row = tx.execute(INSERT_WITHDRAWAL, {"user_id": user_id, "subscription_id": subscription_id}).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    declared_at: datetime = row["declared_at"]
    return declared_at


def grant_tier(tx: Transaction, *, user_id: UUID, tier: str | None, until: datetime | None, reason: str | None) -> bool:
    """Grant a user a tier until a given time (None: without end), or revoke it; False if there is no such user."""
    values = {"user_id": user_id, "tier": tier, "until": until, "reason": reason}
    return tx.execute(GRANT_TIER, values).fetchone() is not None


def list_customers(tx: Transaction, *, after: UUID, limit: int) -> list[tuple[UUID, str, str | None]]:
    """List users with a customer, by id: user, customer, subscription."""
    found = tx.execute(LIST_CUSTOMERS, {"after": after, "limit": limit})
    return [(row["user_id"], row["stripe_customer_id"], row["stripe_subscription_id"]) for row in found]


def insert_drift(tx: Transaction, *, user_id: UUID, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Record a difference found by a comparison with Stripe."""
    tx.execute(INSERT_DRIFT, {"user_id": user_id, "before": Jsonb(before), "after": Jsonb(after)})
