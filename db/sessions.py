"""Sessions of the app, one row for each login, and revoked tokens without a session."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

Method = Literal["signup", "password", "totp", "recovery_code", "passkey", "external"]


class SessionRow(Struct, frozen=True, kw_only=True):
    """A session that has not ended."""

    id: UUID
    user_id: UUID
    method: Method
    user_agent: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


INSERT_SESSION = """
INSERT INTO sessions (user_id, method, user_agent, address, created_at, last_seen_at, expires_at)
VALUES (%(user_id)s, %(method)s, %(user_agent)s, %(address)s, %(now)s, %(now)s, %(expires_at)s)
RETURNING id
"""
# Each login deletes old rows of the same user, so the table needs no sweep.
FORGET_OLD_SESSIONS = """
DELETE FROM sessions WHERE user_id = %(user_id)s AND (expires_at < now() OR ended_at < now() - interval '1 day')
"""
FIND_SESSION = """
SELECT id, user_id, method, user_agent, address, created_at, last_seen_at, expires_at FROM sessions
WHERE id = %(session_id)s AND ended_at IS NULL AND expires_at > now()
"""
LIST_SESSIONS = """
SELECT id, user_id, method, user_agent, address, created_at, last_seen_at, expires_at FROM sessions
WHERE user_id = %(user_id)s AND ended_at IS NULL AND expires_at > now()
  AND (%(before_at)s::timestamptz IS NULL OR (created_at, id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""
# Written once a minute, which is precise enough and spares a write for each call.
TOUCH_SESSION = """
UPDATE sessions SET last_seen_at = now() WHERE id = %(session_id)s AND last_seen_at < now() - interval '1 minute'
"""
END_SESSION = """
UPDATE sessions SET ended_at = now() WHERE id = %(session_id)s AND user_id = %(user_id)s AND ended_at IS NULL
RETURNING id
"""
END_SESSIONS = """
UPDATE sessions SET ended_at = now()
WHERE user_id = %(user_id)s AND ended_at IS NULL AND id IS DISTINCT FROM %(but)s::uuid
RETURNING id
"""
REFUSE_OLDER_TOKENS = """
UPDATE users SET sessions_valid_from = %(valid_from)s, updated_at = now() WHERE id = %(user_id)s RETURNING id
"""
TOKEN_IS_REVOKED = "SELECT 1 FROM revoked_sessions WHERE token_hash = %(token_hash)s"  # noqa: S105 - a query, no secret
FORGET_EXPIRED_TOKENS = "DELETE FROM revoked_sessions WHERE expires_at < now()"
REVOKE_TOKEN = """
INSERT INTO revoked_sessions (token_hash, user_id, expires_at)
VALUES (%(token_hash)s, %(user_id)s, %(expires_at)s) ON CONFLICT DO NOTHING
"""  # noqa: S105 - the same


def insert_session(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    user_id: UUID,
    method: Method,
    user_agent: str,
    address: str,
    now: datetime,
    expires_at: datetime,
) -> UUID:
    """Add a session and return its id; the user's old sessions are deleted."""
    tx.execute(FORGET_OLD_SESSIONS, {"user_id": user_id})
    values = {
        "user_id": user_id,
        "method": method,
        "user_agent": user_agent,
        "address": address,
        "now": now,
        "expires_at": expires_at,
    }
    row = tx.execute(INSERT_SESSION, values).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return UUID(str(row["id"]))


def find_session(tx: Transaction, *, session_id: UUID) -> SessionRow | None:
    """Return a session that has not ended, or None, and record its use."""
    with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        session = cursor.execute(FIND_SESSION, {"session_id": session_id}).fetchone()
    if session is not None:
        tx.execute(TOUCH_SESSION, {"session_id": session_id})
    return session


def list_sessions(
    tx: Transaction, *, user_id: UUID, limit: int, before: tuple[datetime, UUID] | None
) -> list[SessionRow]:
    """List a user's sessions that have not ended, newest first."""
    before_at, before_id = before or (None, None)
    values = {"user_id": user_id, "limit": limit, "before_at": before_at, "before_id": before_id}
    with tx.cursor(row_factory=class_row(SessionRow)) as cursor:
        return cursor.execute(LIST_SESSIONS, values).fetchall()


def end_session(tx: Transaction, *, user_id: UUID, session_id: UUID) -> bool:
    """End one session; False when the user has no such session."""
    return tx.execute(END_SESSION, {"user_id": user_id, "session_id": session_id}).fetchone() is not None


def end_sessions(tx: Transaction, *, user_id: UUID, but: UUID | None = None) -> int:
    """End all sessions of a user except `but`; return how many."""
    return len(tx.execute(END_SESSIONS, {"user_id": user_id, "but": but}).fetchall())


def refuse_older_tokens(tx: Transaction, *, user_id: UUID, valid_from: datetime) -> None:
    """Refuse tokens without a session that were issued before `valid_from`."""
    tx.execute(REFUSE_OLDER_TOKENS, {"user_id": user_id, "valid_from": valid_from})


def token_is_revoked(tx: Transaction, *, token_hash: bytes) -> bool:
    """Return whether this token was logged out."""
    return tx.execute(TOKEN_IS_REVOKED, {"token_hash": token_hash}).fetchone() is not None


def revoke_token(tx: Transaction, *, token_hash: bytes, user_id: UUID, expires_at: datetime) -> None:
    """Refuse this token from now on."""
    tx.execute(FORGET_EXPIRED_TOKENS)
    tx.execute(REVOKE_TOKEN, {"token_hash": token_hash, "user_id": user_id, "expires_at": expires_at})
