"""First answers to requests with an Idempotency-Key."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Json

from db.connection import Transaction


class StoredAnswer(Struct, frozen=True, kw_only=True):
    """The answer to the first request with this key."""

    request_hash: bytes
    status: int
    response: Any


# The lock of a key: a duplicate that arrives during the first request sees its answer once that has committed.
LIMIT_WAIT = "SELECT set_config('lock_timeout', %(timeout)s, true)"
LOCK_KEY = "SELECT pg_advisory_xact_lock(hashtextextended(%(user_id)s::text || ':' || %(key)s, 0))"
FIND_ANSWER = """
SELECT request_hash, status, response FROM idempotency_keys
WHERE user_id = %(user_id)s AND key = %(key)s AND created_at > now() - interval '24 hours'
"""
FORGET_OLD = """
DELETE FROM idempotency_keys WHERE user_id = %(user_id)s AND created_at <= now() - interval '24 hours'
"""
INSERT_ANSWER = """
INSERT INTO idempotency_keys (user_id, key, request_hash, status, response)
VALUES (%(user_id)s, %(key)s, %(request_hash)s, %(status)s, %(response)s)
"""


def lock_key(tx: Transaction, *, user_id: UUID, key: str, wait_s: int) -> None:
    """Hold the key until the transaction ends; psycopg.errors.LockNotAvailable after `wait_s`."""
    tx.execute(LIMIT_WAIT, {"timeout": f"{wait_s}s"})
    tx.execute(LOCK_KEY, {"user_id": user_id, "key": key})
    tx.execute(LIMIT_WAIT, {"timeout": "0"})


def find_answer(tx: Transaction, *, user_id: UUID, key: str) -> StoredAnswer | None:
    """Return the first answer of the last 24 hours, or None."""
    with tx.cursor(row_factory=class_row(StoredAnswer)) as cursor:
        return cursor.execute(FIND_ANSWER, {"user_id": user_id, "key": key}).fetchone()


def insert_answer(tx: Transaction, *, user_id: UUID, key: str, answer: StoredAnswer) -> None:
    """Store an answer, and delete this user's old ones."""
    tx.execute(FORGET_OLD, {"user_id": user_id})
    values = {
        "user_id": user_id,
        "key": key,
        "request_hash": answer.request_hash,
        "status": answer.status,
        "response": Json(answer.response),
    }
    tx.execute(INSERT_ANSWER, values)
