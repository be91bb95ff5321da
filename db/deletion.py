"""Deletes an account, in small steps if it has many rows."""

from typing import Final
from uuid import UUID

from psycopg import sql

from db.connection import Transaction

OPEN_JOBS = "SELECT id FROM jobs WHERE user_id = %(user_id)s AND state IN ('queued', 'running') ORDER BY created_at"
STEPS: Final = (
    # Table, and which of its rows are the account's. Each comes after those whose rows would be changed or deleted with
    # its own.
    ("clips", "user_id = %(user_id)s"),
    ("highlights", "user_id = %(user_id)s"),
    ("memories", "user_id = %(user_id)s"),
    ("webhook_deliveries", "user_id = %(user_id)s"),
    ("mails", "user_id = %(user_id)s"),
    ("poll_votes", "user_id = %(user_id)s"),
    ("room_messages", "room_id IN (SELECT id FROM rooms WHERE host_user_id = %(user_id)s)"),
    ("room_events", "room_id IN (SELECT id FROM rooms WHERE host_user_id = %(user_id)s)"),
    ("jobs", "user_id = %(user_id)s"),
    ("recordings", "user_id = %(user_id)s"),
)
"""The tables with thousands of rows of one account; the others are deleted with the account's own row."""
COUNT_SOME = sql.SQL(
    "SELECT count(*) AS rows FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT %(limit)s) AS counted"
)
DELETE_SOME = sql.SQL(
    "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {condition} LIMIT %(limit)s))"
)
# The address is free for a new account at once, and no token, link or password works for this one.
CLOSE_USER = """
UPDATE users SET deleted_at = now(), email = 'deleted-' || id || '@deleted.invalid', password_hash = NULL,
       display_name = '', updated_at = now()
WHERE id = %(user_id)s AND deleted_at IS NULL RETURNING id
"""
CLOSE_SHARES = "DELETE FROM clip_shares WHERE user_id = %(user_id)s"


def list_open_jobs(tx: Transaction, *, user_id: UUID) -> list[UUID]:
    """List all jobs of a user that have not ended."""
    return [row["id"] for row in tx.execute(OPEN_JOBS, {"user_id": user_id})]


def has_many_rows(tx: Transaction, *, user_id: UUID, limit: int) -> bool:
    """Return whether an account has more rows than `limit` in the tables of STEPS."""
    left = limit
    for table, condition in STEPS:
        query = COUNT_SOME.format(table=sql.Identifier(table), condition=sql.SQL(condition))
        row = tx.execute(query, {"user_id": user_id, "limit": left + 1}).fetchone()
        left -= row["rows"] if row else 0
        if left < 0:
            return True
    return False


def delete_some(tx: Transaction, *, user_id: UUID, limit: int) -> int:
    """Delete up to `limit` rows of an account and return how many; 0 if the tables of STEPS have none."""
    for table, condition in STEPS:
        query = DELETE_SOME.format(table=sql.Identifier(table), condition=sql.SQL(condition))
        deleted = tx.execute(query, {"user_id": user_id, "limit": limit}).rowcount
        if deleted > 0:
            return deleted
    return 0


def close_user(tx: Transaction, *, user_id: UUID) -> bool:
    """Close an account permanently, with its public links; False if it does not exist."""
    tx.execute(CLOSE_SHARES, {"user_id": user_id})
    return tx.execute(CLOSE_USER, {"user_id": user_id}).fetchone() is not None
