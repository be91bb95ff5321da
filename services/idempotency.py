"""Idempotency keys: a repeated request gets the first answer, stored for a day in the transaction of the work."""

import hmac
from contextlib import suppress
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from db import idempotency as rows
from db.connection import Transaction
from db.idempotency import StoredAnswer
from services.errors import ConflictError, IdempotencyKeyReusedError, InvalidFieldError

__all__ = ["RequestInProgressError", "StoredAnswer", "begin", "fingerprint", "remember"]

MAX_KEY_LENGTH = 255
# How long to wait for the first request with the key: nearly all end sooner, and few clients time out earlier.
WAIT_S = 10


class RequestInProgressError(ConflictError):
    """The first request with this key has not ended yet."""

    code = "request_in_progress"
    retryable = True


def fingerprint(secret: str, *, method: str, path: str, body: bytes) -> bytes:
    """Return a keyed hash of a request: equal for bodies that differ only in spacing or the order of fields.

    Keyed, because a body may hold a password, and a plain hash of one can be guessed.
    """
    with suppress(msgspec.DecodeError):  # of other bodies than JSON, the bytes
        body = msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    return hmac.digest(secret.encode(), b"\n".join((method.encode(), path.encode(), body)), sha256)


def begin(tx: Transaction, *, user_id: UUID, key: str, request_hash: bytes) -> StoredAnswer | None:
    """Hold the key until the transaction ends and return the first answer, or None when this request is the first.

    IdempotencyKeyReusedError when the key came with another request, RequestInProgressError when the first one takes
    too long to wait for, InvalidFieldError if the key is invalid.
    """
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isprintable():
        raise InvalidFieldError(
            "Idempotency-Key", f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} printable characters."
        )
    try:
        rows.lock_key(tx, user_id=user_id, key=key, wait_s=WAIT_S)
    except psycopg.errors.LockNotAvailable as error:
        raise RequestInProgressError(
            "The first request with this Idempotency-Key is still at work; send it again in a moment."
        ) from error
    stored = rows.find_answer(tx, user_id=user_id, key=key)
    if stored and not hmac.compare_digest(stored.request_hash, request_hash):
        raise IdempotencyKeyReusedError(
            "This Idempotency-Key was used for another request in the last 24 hours; use a new one."
        )
    return stored


def remember(tx: Transaction, *, user_id: UUID, key: str, request_hash: bytes, status: int, response: Any) -> None:  # noqa: PLR0913 - keyword-only, as every use case
    """Store the answer in the transaction of the work. `response` is plain JSON data."""
    rows.insert_answer(
        tx,
        user_id=user_id,
        key=key,
        answer=StoredAnswer(request_hash=request_hash, status=status, response=response),
    )
