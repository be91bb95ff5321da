"""Second factors: secrets of one-time codes, recovery codes, and passkeys."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class TotpSecret(Struct, frozen=True, kw_only=True):
    """A row of `totp_secrets`; the secret is sealed."""

    user_id: UUID
    totp_secret: bytes
    confirmed_at: datetime | None
    last_step: int


class Passkey(Struct, frozen=True, kw_only=True):
    """A row of `passkeys`."""

    id: UUID
    user_id: UUID
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    created_at: datetime
    last_used_at: datetime | None


# A confirmed secret stays until it is deleted.
UPSERT_TOTP = """
INSERT INTO totp_secrets (user_id, totp_secret) VALUES (%(user_id)s, %(totp_secret)s)
ON CONFLICT (user_id) DO UPDATE SET totp_secret = excluded.totp_secret, last_step = 0, created_at = now()
WHERE totp_secrets.confirmed_at IS NULL
RETURNING user_id
"""
FIND_TOTP = "SELECT user_id, totp_secret, confirmed_at, last_step FROM totp_secrets WHERE user_id = %(user_id)s"
USE_STEP = """
UPDATE totp_secrets SET last_step = %(step)s WHERE user_id = %(user_id)s AND last_step < %(step)s RETURNING user_id
"""
CONFIRM_TOTP = """
UPDATE totp_secrets SET confirmed_at = now() WHERE user_id = %(user_id)s AND confirmed_at IS NULL RETURNING user_id
"""
DELETE_TOTP = "DELETE FROM totp_secrets WHERE user_id = %(user_id)s RETURNING user_id"
DELETE_RECOVERY_CODES = "DELETE FROM recovery_codes WHERE user_id = %(user_id)s"
INSERT_RECOVERY_CODES = """
INSERT INTO recovery_codes (code_hash, user_id)
SELECT code_hash, %(user_id)s FROM unnest(%(hashes)s::bytea[]) AS code_hash
"""
USE_RECOVERY_CODE = """
DELETE FROM recovery_codes WHERE user_id = %(user_id)s AND code_hash = %(code_hash)s RETURNING user_id
"""
COUNT_RECOVERY_CODES = "SELECT count(*) AS codes FROM recovery_codes WHERE user_id = %(user_id)s"
PASSKEY_COLUMNS = "id, user_id, name, credential_id, public_key, sign_count, created_at, last_used_at"
INSERT_PASSKEY = f"""
INSERT INTO passkeys (user_id, name, credential_id, public_key, sign_count)
VALUES (%(user_id)s, %(name)s, %(credential_id)s, %(public_key)s, %(sign_count)s)
ON CONFLICT (credential_id) DO NOTHING
RETURNING {PASSKEY_COLUMNS}
"""  # noqa: S608 - a constant
LIST_PASSKEYS = f"SELECT {PASSKEY_COLUMNS} FROM passkeys WHERE user_id = %(user_id)s ORDER BY created_at, id"  # noqa: S608 - the same
FIND_PASSKEY = f"SELECT {PASSKEY_COLUMNS} FROM passkeys WHERE credential_id = %(credential_id)s"  # noqa: S608 - the same
# A count that does not grow means a cloned authenticator; those without a counter always send 0 (WebAuthn, 6.1.1).
USE_PASSKEY = """
UPDATE passkeys SET sign_count = %(sign_count)s, last_used_at = now()
WHERE id = %(passkey_id)s AND (sign_count < %(sign_count)s OR (sign_count = 0 AND %(sign_count)s = 0)) RETURNING id
"""
DELETE_PASSKEY = "DELETE FROM passkeys WHERE id = %(passkey_id)s AND user_id = %(user_id)s RETURNING name"


def upsert_totp(tx: Transaction, *, user_id: UUID, totp_secret: bytes) -> bool:
    """Store an unconfirmed secret; False if a confirmed one exists."""
    values = {"user_id": user_id, "totp_secret": totp_secret}
    return tx.execute(UPSERT_TOTP, values).fetchone() is not None


def find_totp(tx: Transaction, *, user_id: UUID) -> TotpSecret | None:
    """Return a user's secret, confirmed or not."""
    with tx.cursor(row_factory=class_row(TotpSecret)) as cursor:
        return cursor.execute(FIND_TOTP, {"user_id": user_id}).fetchone()


def use_step(tx: Transaction, *, user_id: UUID, step: int) -> bool:
    """Record the use of a time step's code; False if it or a later one was used before."""
    return tx.execute(USE_STEP, {"user_id": user_id, "step": step}).fetchone() is not None


def confirm_totp(tx: Transaction, *, user_id: UUID) -> bool:
    """Confirm the secret; False without an unconfirmed one."""
    return tx.execute(CONFIRM_TOTP, {"user_id": user_id}).fetchone() is not None


def delete_totp(tx: Transaction, *, user_id: UUID) -> bool:
    """Delete the secret and the recovery codes; False if there was no secret."""
    tx.execute(DELETE_RECOVERY_CODES, {"user_id": user_id})
    return tx.execute(DELETE_TOTP, {"user_id": user_id}).fetchone() is not None


def replace_recovery_codes(tx: Transaction, *, user_id: UUID, hashes: Sequence[bytes]) -> None:
    """Store the hashes of new recovery codes; earlier ones stop working."""
    tx.execute(DELETE_RECOVERY_CODES, {"user_id": user_id})
    tx.execute(INSERT_RECOVERY_CODES, {"user_id": user_id, "hashes": list(hashes)})


def use_recovery_code(tx: Transaction, *, user_id: UUID, code_hash: bytes) -> bool:
    """Use up a recovery code; False if it is not one of the user's, or was used."""
    return tx.execute(USE_RECOVERY_CODE, {"user_id": user_id, "code_hash": code_hash}).fetchone() is not None


def count_recovery_codes(tx: Transaction, *, user_id: UUID) -> int:
    """Count the recovery codes that are left."""
    row = tx.execute(COUNT_RECOVERY_CODES, {"user_id": user_id}).fetchone()
    return int(row["codes"]) if row else 0


def insert_passkey(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, user_id: UUID, name: str, credential_id: bytes, public_key: bytes, sign_count: int
) -> Passkey | None:
    """Add a passkey; None when it is registered already."""
    values = {
        "user_id": user_id,
        "name": name,
        "credential_id": credential_id,
        "public_key": public_key,
        "sign_count": sign_count,
    }
    with tx.cursor(row_factory=class_row(Passkey)) as cursor:
        return cursor.execute(INSERT_PASSKEY, values).fetchone()


def list_passkeys(tx: Transaction, *, user_id: UUID) -> list[Passkey]:
    """List a user's passkeys, oldest first."""
    with tx.cursor(row_factory=class_row(Passkey)) as cursor:
        return cursor.execute(LIST_PASSKEYS, {"user_id": user_id}).fetchall()


def find_passkey(tx: Transaction, *, credential_id: bytes) -> Passkey | None:
    """Return a passkey by its credential id."""
    with tx.cursor(row_factory=class_row(Passkey)) as cursor:
        return cursor.execute(FIND_PASSKEY, {"credential_id": credential_id}).fetchone()


def use_passkey(tx: Transaction, *, passkey_id: UUID, sign_count: int) -> bool:
    """Record a use; False if the authenticator's count did not grow."""
    return tx.execute(USE_PASSKEY, {"passkey_id": passkey_id, "sign_count": sign_count}).fetchone() is not None


def delete_passkey(tx: Transaction, *, user_id: UUID, passkey_id: UUID) -> str | None:
    """Delete a passkey and return its name; None if the user has no such passkey."""
    row = tx.execute(DELETE_PASSKEY, {"user_id": user_id, "passkey_id": passkey_id}).fetchone()
    return row["name"] if row else None
