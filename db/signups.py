"""Sign-ups whose mailed link was not opened yet."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction
from db.mails import Language


class Signup(Struct, frozen=True, kw_only=True):
    """A row of `pending_signups`."""

    id: UUID
    email: str
    password_hash: str
    display_name: str
    language: Language


FORGET_EXPIRED = "DELETE FROM pending_signups WHERE expires_at < now()"
INSERT_SIGNUP = """
INSERT INTO pending_signups (email, password_hash, display_name, language, expires_at)
VALUES (%(email)s, %(password_hash)s, %(display_name)s, %(language)s, %(expires_at)s) RETURNING id
"""
SET_TOKEN = """
UPDATE pending_signups SET token_hash = %(token_hash)s WHERE id = %(signup_id)s AND expires_at > now() RETURNING id
"""  # noqa: S105 - a query, no secret
# Other sign-ups of this address are deleted too: its owner has chosen one.
TAKE_SIGNUP = """
WITH chosen AS (
    SELECT id, email, password_hash, display_name, language FROM pending_signups
    WHERE token_hash = %(token_hash)s AND expires_at > now() FOR UPDATE
), gone AS (DELETE FROM pending_signups WHERE email = (SELECT email FROM chosen))
SELECT id, email, password_hash, display_name, language FROM chosen
"""
INSERT_VERIFIED_USER = """
INSERT INTO users (email, password_hash, display_name, language, email_verified_at)
VALUES (%(email)s, %(password_hash)s, %(display_name)s, %(language)s, now())
ON CONFLICT (email) DO NOTHING
RETURNING id
"""


def insert_signup(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    email: str,
    password_hash: str,
    display_name: str,
    language: Language,
    expires_at: datetime,
) -> UUID:
    """Add a sign-up and return its id; expired ones are deleted."""
    tx.execute(FORGET_EXPIRED)
    values = {
        "email": email,
        "password_hash": password_hash,
        "display_name": display_name,
        "language": language,
        "expires_at": expires_at,
    }
    row = tx.execute(INSERT_SIGNUP, values).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return UUID(str(row["id"]))


def set_token(tx: Transaction, *, signup_id: UUID, token_hash: bytes) -> bool:
    """Store the last mailed token; False if the sign-up has expired or was confirmed."""
    return tx.execute(SET_TOKEN, {"signup_id": signup_id, "token_hash": token_hash}).fetchone() is not None


def take_signup(tx: Transaction, *, token_hash: bytes) -> Signup | None:
    """Remove and return the sign-up of a token, or None, and remove all others of its address."""
    with tx.cursor(row_factory=class_row(Signup)) as cursor:
        return cursor.execute(TAKE_SIGNUP, {"token_hash": token_hash}).fetchone()


def insert_verified_user(tx: Transaction, signup: Signup) -> UUID | None:
    """Turn a sign-up into a user and return the id; None if the address was taken meanwhile."""
    values = {
        "email": signup.email,
        "password_hash": signup.password_hash,
        "display_name": signup.display_name,
        "language": signup.language,
    }
    row = tx.execute(INSERT_VERIFIED_USER, values).fetchone()
    return row["id"] if row else None
