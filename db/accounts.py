"""Users and their one-time tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction
from db.mails import Language


class Account(Struct, frozen=True, kw_only=True):
    """A user with the tier in force and its features."""

    id: UUID
    email: str
    display_name: str
    is_admin: bool
    email_verified_at: datetime | None
    language: Language
    mail_clips_ready: bool
    created_at: datetime
    updated_at: datetime
    sessions_valid_from: datetime | None
    """Tokens without a session that were issued before this are refused; None refuses none."""
    tier: str
    tier_name: str
    features: dict[str, Any]
    limits: dict[str, Any]


ACCOUNT_BY_ID = """
SELECT u.id, u.email, u.display_name, u.is_admin, u.email_verified_at, u.language, u.mail_clips_ready,
       u.created_at, u.updated_at,
       NULLIF(u.sessions_valid_from, '-infinity') AS sessions_valid_from,
       t.tier, t.display_name AS tier_name, t.features, t.limits
FROM users u
LEFT JOIN subscriptions s ON s.user_id = u.id
JOIN tier_features t ON t.tier = tier_in_force(s)
WHERE u.id = %(user_id)s AND u.deleted_at IS NULL
"""
INSERT_USER = """
INSERT INTO users (email, password_hash, display_name, language)
VALUES (%(email)s, %(password_hash)s, %(display_name)s, %(language)s)
ON CONFLICT (email) DO NOTHING
RETURNING id
"""
INSERT_FOREIGN_USER = """
INSERT INTO users (id, email, email_verified_at) VALUES (%(user_id)s, %(email)s, %(verified_at)s)
ON CONFLICT DO NOTHING
RETURNING id
"""
FIND_CREDENTIALS = "SELECT id, password_hash FROM users WHERE email = %(email)s"
FIND_PASSWORD = "SELECT password_hash FROM users WHERE id = %(user_id)s"  # noqa: S105 - a query, not a password
UPDATE_PROFILE = """
UPDATE users SET display_name = COALESCE(%(display_name)s, display_name), language = COALESCE(%(language)s, language),
       mail_clips_ready = COALESCE(%(mail_clips_ready)s, mail_clips_ready), updated_at = now()
WHERE id = %(user_id)s RETURNING id
"""
UPDATE_EMAIL_VERIFIED = """
UPDATE users SET email_verified_at = COALESCE(email_verified_at, now()), updated_at = now()
WHERE id = %(user_id)s RETURNING id
"""
UPDATE_PASSWORD = """
UPDATE users SET password_hash = %(password_hash)s, updated_at = now() WHERE id = %(user_id)s RETURNING id
"""  # noqa: S105 - a query, not a password
REHASH_PASSWORD = "UPDATE users SET password_hash = %(password_hash)s WHERE id = %(user_id)s"  # noqa: S105 - a query
DELETE_USER = "DELETE FROM users WHERE id = %(user_id)s RETURNING id"
INSERT_TOKEN = """
INSERT INTO account_tokens (token_hash, user_id, purpose, expires_at, new_email)
VALUES (%(token_hash)s, %(user_id)s, %(purpose)s, %(expires_at)s, %(new_email)s)
"""  # noqa: S105 - a query, no secret
FORGET_TOKENS = """
DELETE FROM account_tokens WHERE user_id = %(user_id)s AND (purpose = %(purpose)s OR expires_at < now())
"""
USE_TOKEN = """
UPDATE account_tokens SET used_at = now()
WHERE token_hash = %(token_hash)s AND purpose = %(purpose)s AND used_at IS NULL AND expires_at > now()
RETURNING user_id, new_email
"""  # noqa: S105 - a query, no secret
UPDATE_EMAIL = """
UPDATE users SET email = %(email)s, email_verified_at = now(), updated_at = now()
WHERE id = %(user_id)s AND NOT EXISTS (SELECT 1 FROM users WHERE email = %(email)s) RETURNING id
"""


def find_account(tx: Transaction, *, user_id: UUID) -> Account | None:
    """Return the account with its tier, or None."""
    with tx.cursor(row_factory=class_row(Account)) as cursor:
        return cursor.execute(ACCOUNT_BY_ID, {"user_id": user_id}).fetchone()


def insert_user(
    tx: Transaction, *, email: str, password_hash: str, display_name: str, language: Language
) -> UUID | None:
    """Add a user and return the id, or None when the address is taken."""
    values = {"email": email, "password_hash": password_hash, "display_name": display_name, "language": language}
    row = tx.execute(INSERT_USER, values).fetchone()
    return row["id"] if row else None


def insert_foreign_user(tx: Transaction, *, user_id: UUID, email: str, verified_at: datetime | None) -> bool:
    """Add a user who signs in elsewhere; False when the id or the address exists."""
    values = {"user_id": user_id, "email": email, "verified_at": verified_at}
    return tx.execute(INSERT_FOREIGN_USER, values).fetchone() is not None


def find_credentials(tx: Transaction, *, email: str) -> tuple[UUID, str | None] | None:
    """Return a user's id and password hash by address, or None."""
    row = tx.execute(FIND_CREDENTIALS, {"email": email}).fetchone()
    return (row["id"], row["password_hash"]) if row else None


def find_password(tx: Transaction, *, user_id: UUID) -> str | None:
    """Return a user's password hash; None when there is no such user, or they sign in elsewhere."""
    row = tx.execute(FIND_PASSWORD, {"user_id": user_id}).fetchone()
    return row["password_hash"] if row else None


def update_profile(
    tx: Transaction,
    *,
    user_id: UUID,
    display_name: str | None = None,
    language: Language | None = None,
    mail_clips_ready: bool | None = None,
) -> bool:
    """Change the given fields; False if the user does not exist."""
    values = {
        "user_id": user_id,
        "display_name": display_name,
        "language": language,
        "mail_clips_ready": mail_clips_ready,
    }
    return tx.execute(UPDATE_PROFILE, values).fetchone() is not None


def update_email_verified(tx: Transaction, *, user_id: UUID) -> None:
    """Record that the address is verified."""
    tx.execute(UPDATE_EMAIL_VERIFIED, {"user_id": user_id})


def update_password(tx: Transaction, *, user_id: UUID, password_hash: str) -> None:
    """Set a new password."""
    tx.execute(UPDATE_PASSWORD, {"user_id": user_id, "password_hash": password_hash})


def rehash_password(tx: Transaction, *, user_id: UUID, password_hash: str) -> None:
    """Store the same password under newer hash parameters."""
    tx.execute(REHASH_PASSWORD, {"user_id": user_id, "password_hash": password_hash})


def delete_user(tx: Transaction, *, user_id: UUID) -> bool:
    """Delete a user with all their rows; False if there is no such user."""
    return tx.execute(DELETE_USER, {"user_id": user_id}).fetchone() is not None


def insert_token(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    token_hash: bytes,
    user_id: UUID,
    purpose: str,
    expires_at: datetime,
    new_email: str | None = None,
) -> None:
    """Store a one-time token; earlier ones for the same purpose stop working."""
    tx.execute(FORGET_TOKENS, {"user_id": user_id, "purpose": purpose})
    values = {
        "token_hash": token_hash,
        "user_id": user_id,
        "purpose": purpose,
        "expires_at": expires_at,
        "new_email": new_email,
    }
    tx.execute(INSERT_TOKEN, values)


def forget_tokens(tx: Transaction, *, user_id: UUID, purpose: str) -> None:
    """Stop open one-time tokens for a purpose from working."""
    tx.execute(FORGET_TOKENS, {"user_id": user_id, "purpose": purpose})


def use_token(tx: Transaction, *, token_hash: bytes, purpose: str) -> tuple[UUID, str | None] | None:
    """Use up a one-time token; return its user and the address it confirms, or None when it is not valid."""
    row = tx.execute(USE_TOKEN, {"token_hash": token_hash, "purpose": purpose}).fetchone()
    return (row["user_id"], row["new_email"]) if row else None


def update_email(tx: Transaction, *, user_id: UUID, email: str) -> bool:
    """Change a user's address to a verified one; False when another account has it."""
    return tx.execute(UPDATE_EMAIL, {"user_id": user_id, "email": email}).fetchone() is not None
