"""Queries for accounts made by an operator."""

from uuid import UUID

from db.connection import Transaction

LIST_TIERS = "SELECT tier FROM tier_features ORDER BY price_monthly"

GRANT_TIER = """
INSERT INTO subscriptions AS s (user_id, tier, status, granted_tier, granted_until)
VALUES (%(user_id)s, %(tier)s, 'active', nullif(%(tier)s, 'free'),
    CASE WHEN %(tier)s <> 'free' THEN 'infinity'::timestamptz END)
ON CONFLICT (user_id) DO UPDATE SET tier = excluded.tier, status = excluded.status,
    granted_tier = excluded.granted_tier, granted_until = excluded.granted_until, updated_at = now()
"""

UPDATE_ADMIN = "UPDATE users SET is_admin = %(is_admin)s, updated_at = now() WHERE id = %(user_id)s"


def list_tiers(tx: Transaction) -> list[str]:
    """Name the tiers, cheapest first."""
    return [row["tier"] for row in tx.execute(LIST_TIERS)]


def grant_tier(tx: Transaction, *, user_id: UUID, tier: str) -> None:
    """Set a user's tier without a payment."""
    tx.execute(GRANT_TIER, {"user_id": user_id, "tier": tier})


def update_admin(tx: Transaction, *, user_id: UUID, is_admin: bool) -> None:
    """Grant or revoke a user's operator rights."""
    tx.execute(UPDATE_ADMIN, {"user_id": user_id, "is_admin": is_admin})
