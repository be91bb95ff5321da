"""One-time codes (RFC 6238) with recovery codes: the second factor beside the password."""

import hmac
import re
import secrets
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from db import second_factors as rows
from db.accounts import Account
from db.connection import Transaction
from db.sessions import Method
from services.accounts.token import secret_hash
from services.errors import ConflictError, InvalidFieldError, UnauthenticatedError

ISSUER = "Big Snuggles"
STEP_S = 30
DRIFT_STEPS = 1  # a phone's clock may be half a minute off
NONCE_BYTES = 12
RECOVERY_CODES = 10
RECOVERY_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
RECOVERY_LENGTH = 10  # 50 bits each; guesses are limited to five in five minutes
CODE = re.compile(r"\d{6}")


class SecondFactorRequiredError(UnauthenticatedError):
    """The password is right, and a code is needed too."""

    code = "second_factor_required"


class Enrolment(Struct, frozen=True, kw_only=True):
    """The secret for an authenticator app."""

    secret: str
    uri: str


def enrol(tx: Transaction, *, account: Account, key: str) -> Enrolment:
    """Make a secret that a first code must confirm (service transaction); ConflictError if one is confirmed already.

    `key` seals it in the database.
    """
    secret = pyotp.random_base32()
    if not rows.upsert_totp(tx, user_id=account.id, totp_secret=_seal(secret, key)):
        raise ConflictError("One-time codes are in use already; remove them first.", reason="codes_in_use")
    uri = pyotp.TOTP(secret).provisioning_uri(name=account.email, issuer_name=ISSUER)
    return Enrolment(secret=secret, uri=uri)


def confirm(tx: Transaction, *, user_id: UUID, code: str, key: str, now: datetime) -> list[str]:
    """Turn on codes, and return the recovery codes, which are shown once (service transaction).

    InvalidFieldError for a wrong code, ConflictError if there is no secret to confirm.
    """
    stored = rows.find_totp(tx, user_id=user_id)
    if stored is None or stored.confirmed_at is not None:
        raise ConflictError("No one-time codes wait to be confirmed; ask for a secret first.", reason="codes_not_asked")
    if not _use_code(tx, user_id=user_id, code=code, key=key, now=now):
        raise InvalidFieldError(
            "code", "This code is wrong or was used; send the one that the app shows now.", reason="wrong_code"
        )
    rows.confirm_totp(tx, user_id=user_id)
    codes = ["".join(secrets.choice(RECOVERY_ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    rows.replace_recovery_codes(tx, user_id=user_id, hashes=[secret_hash(code) for code in codes])
    return codes


def is_required(tx: Transaction, *, user_id: UUID) -> bool:
    """Return whether a login of this user needs a code (service transaction)."""
    stored = rows.find_totp(tx, user_id=user_id)
    return stored is not None and stored.confirmed_at is not None


def use(tx: Transaction, *, user_id: UUID, code: str, key: str, now: datetime) -> Method | None:
    """Use up a one-time or recovery code (service transaction); return which it was, None when it is wrong."""
    if CODE.fullmatch(code.strip()):
        return "totp" if _use_code(tx, user_id=user_id, code=code.strip(), key=key, now=now) else None
    written = re.sub(r"[\s-]", "", code).upper()
    return "recovery_code" if rows.use_recovery_code(tx, user_id=user_id, code_hash=secret_hash(written)) else None


def remove(tx: Transaction, *, user_id: UUID) -> None:
    """Turn off codes (service transaction); ConflictError if they are not in use."""
    if not rows.delete_totp(tx, user_id=user_id):
        raise ConflictError("One-time codes are not in use.", reason="codes_not_used")


def recovery_codes_left(tx: Transaction, *, user_id: UUID) -> int:
    """Count the recovery codes that still work (service transaction)."""
    return rows.count_recovery_codes(tx, user_id=user_id)


def _use_code(tx: Transaction, *, user_id: UUID, code: str, key: str, now: datetime) -> bool:
    stored = rows.find_totp(tx, user_id=user_id)
    if stored is None:
        return False
    totp = pyotp.TOTP(_open(stored.totp_secret, key))
    current = int(now.timestamp()) // STEP_S
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            return rows.use_step(tx, user_id=user_id, step=step)
    return False


def _seal(secret: str, key: str) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(_derived(key)).encrypt(nonce, secret.encode(), None)


def _open(sealed: bytes, key: str) -> str:
    try:
        return AESGCM(_derived(key)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode()
    except InvalidTag as error:
        # JWT_SECRET was changed. Recovery codes still work, since they are hashed without it.
        raise UnauthenticatedError("One-time codes can no longer be checked; use a recovery code.") from error


def _derived(key: str) -> bytes:
    return hmac.digest(key.encode(), b"snuggles totp secrets v1", sha256)
