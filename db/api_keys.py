"""API keys: hashes, scopes and times of last use."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

Scope = Literal["read", "write"]


class ApiKey(Struct, frozen=True, kw_only=True):
    """An API key without its secret."""

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    scopes: list[Scope]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


INSERT_API_KEY = """
INSERT INTO api_keys (user_id, name, key_hash, prefix, scopes, expires_at)
VALUES (%(user_id)s, %(name)s, %(key_hash)s, %(prefix)s, %(scopes)s, %(expires_at)s)
RETURNING id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at
"""
FIND_API_KEY = """
SELECT id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at FROM api_keys
WHERE id = %(key_id)s AND user_id = %(user_id)s
"""
LIST_API_KEYS = """
SELECT id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at FROM api_keys
WHERE user_id = %(user_id)s AND revoked_at IS NULL
  AND (%(before_at)s::timestamptz IS NULL OR (created_at, id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""
COUNT_API_KEYS = "SELECT count(*) AS keys FROM api_keys WHERE user_id = %(user_id)s AND revoked_at IS NULL"
REVOKE_API_KEY = """
UPDATE api_keys SET revoked_at = now() WHERE id = %(key_id)s AND user_id = %(user_id)s AND revoked_at IS NULL
RETURNING id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at
"""
REVOKE_ALL = "UPDATE api_keys SET revoked_at = now() WHERE user_id = %(user_id)s AND revoked_at IS NULL RETURNING id"
FIND_WORKING_KEY = """
SELECT id, user_id, name, prefix, scopes, expires_at, last_used_at, revoked_at, created_at FROM api_keys
WHERE key_hash = %(key_hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
# Written once a minute, which shows whether a key is in use and spares a write for each call.
TOUCH_API_KEY = """
UPDATE api_keys SET last_used_at = now()
WHERE id = %(key_id)s AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


def insert_api_key(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    user_id: UUID,
    name: str,
    key_hash: bytes,
    prefix: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
) -> ApiKey:
    """Store a key's hash."""
    values = {
        "user_id": user_id,
        "name": name,
        "key_hash": key_hash,
        "prefix": prefix,
        "scopes": list(scopes),
        "expires_at": expires_at,
    }
    with tx.cursor(row_factory=class_row(ApiKey)) as cursor:
        row = cursor.execute(INSERT_API_KEY, values).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return row


def find_api_key(tx: Transaction, *, user_id: UUID, key_id: UUID) -> ApiKey | None:
    """Return a user's key, revoked or not; None when it does not exist."""
    with tx.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(FIND_API_KEY, {"user_id": user_id, "key_id": key_id}).fetchone()


def list_api_keys(tx: Transaction, *, user_id: UUID, limit: int, before: tuple[datetime, UUID] | None) -> list[ApiKey]:
    """List keys that were not revoked, newest first."""
    before_at, before_id = before or (None, None)
    values = {"user_id": user_id, "limit": limit, "before_at": before_at, "before_id": before_id}
    with tx.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(LIST_API_KEYS, values).fetchall()


def count_api_keys(tx: Transaction, *, user_id: UUID) -> int:
    """Count the keys that were not revoked."""
    row = tx.execute(COUNT_API_KEYS, {"user_id": user_id}).fetchone()
    return int(row["keys"]) if row else 0


def revoke_api_key(tx: Transaction, *, user_id: UUID, key_id: UUID) -> ApiKey | None:
    """Revoke a key; None when it was revoked before or belongs to another user."""
    with tx.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(REVOKE_API_KEY, {"key_id": key_id, "user_id": user_id}).fetchone()


def revoke_all(tx: Transaction, *, user_id: UUID) -> int:
    """Revoke all keys of a user; return how many."""
    return len(tx.execute(REVOKE_ALL, {"user_id": user_id}).fetchall())


def find_working_key(tx: Transaction, *, key_hash: bytes) -> ApiKey | None:
    """Return a valid key and record its use; None when it is not valid."""
    with tx.cursor(row_factory=class_row(ApiKey)) as cursor:
        key = cursor.execute(FIND_WORKING_KEY, {"key_hash": key_hash}).fetchone()
    if key is not None:
        tx.execute(TOUCH_API_KEY, {"key_id": key.id})
    return key
