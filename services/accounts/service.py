"""Accounts: signing up, proving who is asking, passwords, API keys."""

import re
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import argon2
from msgspec import Struct

from db import accounts as rows
from db.accounts import Account, ApiKey
from db.connection import Transaction
from services.accounts.token import API_KEY_PREFIX_LENGTH, Claims, new_link_token, secret_hash
from services.billing import tier as tiers
from services.billing.tier import Tier
from services.errors import (
    ConflictError,
    ForbiddenError,
    InvalidFieldError,
    NotFoundError,
    UnauthenticatedError,
)
from services.paging import Page, TimeCursor, page_of

__all__ = ["Account", "ApiKey", "EmailTakenError", "NewAccount"]

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; about 20 ms a try on one core.
HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
MIN_PASSWORD_LENGTH = 8  # NIST SP 800-63B §5.1.1
MAX_PASSWORD_LENGTH = 200  # longer ones only cost time
MAX_EMAIL_LENGTH = 254  # RFC 5321: a path has at most 256 octets, with its two brackets
EMAIL = re.compile(r"[^\s@<>(),;:\\\"\[\]]{1,64}@[^\s@<>(),;:\\\"\[\]]+\.[^\s@<>(),;:\\\"\[\].]{2,}")
VERIFY_FOR = timedelta(days=2)
RESET_FOR = timedelta(hours=1)
MAX_API_KEYS = 50  # a person can still tell them apart


class EmailTakenError(ConflictError):
    """There is an account with this address."""

    code = "email_taken"


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account that was just made, and the token of its verification link."""

    account: Account
    link_token: str


class ResetRequest(Struct, frozen=True, kw_only=True):
    """A password reset that may be mailed."""

    email: str
    link_token: str


def tier_of(account: Account) -> Tier:
    """Return the tier that is in force for an account."""
    return Tier(name=account.tier, display_name=account.tier_name, features=account.features, limits=account.limits)


def get(tx: Transaction, *, user_id: UUID) -> Account:
    """Return an account; NotFoundError when there is none."""
    account = rows.find_account(tx, user_id=user_id)
    if account is None:
        raise NotFoundError("There is no such account.")
    return account


def find_id(tx: Transaction, *, email: str) -> UUID | None:
    """Return the id of the account with this address, or None (service transaction)."""
    found = rows.find_credentials(tx, email=email.strip().lower()[:MAX_EMAIL_LENGTH])
    return found[0] if found else None


def signup(tx: Transaction, *, email: str, password: str, display_name: str, now: datetime) -> NewAccount:
    """Make an account and the token of its verification link (service transaction).

    InvalidFieldError for an address or a password that cannot be one, EmailTakenError when the address has an account.
    """
    email = clean_email(email)
    check_password(password)
    user_id = rows.insert_user(tx, email=email, password_hash=HASHER.hash(password), display_name=display_name.strip())
    if user_id is None:
        raise EmailTakenError("There is an account with this address already; log in, or reset the password.")
    token = new_link_token()
    rows.insert_token(tx, token_hash=secret_hash(token), user_id=user_id, purpose="verify", expires_at=now + VERIFY_FOR)
    return NewAccount(account=get(tx, user_id=user_id), link_token=token)


def login(tx: Transaction, *, email: str, password: str) -> Account:
    """Return the account that this address and password belong to (service transaction).

    UnauthenticatedError otherwise, after the same time and with the same words whatever was wrong.
    """
    found = rows.find_credentials(tx, email=email.strip().lower()[:MAX_EMAIL_LENGTH])
    stored = found[1] if found else None
    if not _matches(stored or _dummy_hash(), password) or found is None or stored is None:
        raise UnauthenticatedError("The address or the password is wrong.")
    if HASHER.check_needs_rehash(stored):
        rows.rehash_password(tx, user_id=found[0], password_hash=HASHER.hash(password))
    return get(tx, user_id=found[0])


def verify(tx: Transaction, *, token: str) -> Account:
    """Note that the address of a link answered (service transaction); InvalidFieldError when the link is no good."""
    user_id = rows.use_token(tx, token_hash=secret_hash(token), purpose="verify")
    if user_id is None:
        raise InvalidFieldError("token", "This link was used already or has expired; log in to be sent a new one.")
    rows.update_email_verified(tx, user_id=user_id)
    return get(tx, user_id=user_id)


def renew_verification(tx: Transaction, *, account: Account, now: datetime) -> str:
    """Return a new token for the verification link (service transaction); ConflictError when it is verified."""
    if account.email_verified_at is not None:
        raise ConflictError("This address is confirmed already.")
    token = new_link_token()
    rows.insert_token(
        tx, token_hash=secret_hash(token), user_id=account.id, purpose="verify", expires_at=now + VERIFY_FOR
    )
    return token


def forgot(tx: Transaction, *, email: str, now: datetime) -> ResetRequest | None:
    """Return what to mail to somebody who forgot the password, or None when the address has no account here."""
    found = rows.find_credentials(tx, email=email.strip().lower()[:MAX_EMAIL_LENGTH])
    if found is None:
        return None
    token = new_link_token()
    rows.insert_token(tx, token_hash=secret_hash(token), user_id=found[0], purpose="reset", expires_at=now + RESET_FOR)
    return ResetRequest(email=email.strip().lower(), link_token=token)


def reset(tx: Transaction, *, token: str, password: str, now: datetime) -> Account:
    """Set a new password by a reset link and end every session (service transaction).

    InvalidFieldError when the link is no good or the password cannot be one.
    """
    check_password(password)
    user_id = rows.use_token(tx, token_hash=secret_hash(token), purpose="reset")
    if user_id is None:
        raise InvalidFieldError("token", "This link was used already or has expired; ask for a new one.")
    rows.update_password(tx, user_id=user_id, password_hash=HASHER.hash(password), valid_from=now)
    # Who could read the link could read the address's mail.
    rows.update_email_verified(tx, user_id=user_id)
    return get(tx, user_id=user_id)


def change_password(tx: Transaction, *, user_id: UUID, current: str, password: str, now: datetime) -> Account:
    """Set a new password for somebody who knows the old one, and end every session (service transaction)."""
    stored = rows.find_password(tx, user_id=user_id)
    if not _matches(stored or _dummy_hash(), current) or stored is None:
        raise ForbiddenError("The current password is wrong.")
    check_password(password)
    rows.update_password(tx, user_id=user_id, password_hash=HASHER.hash(password), valid_from=now)
    return get(tx, user_id=user_id)


def check_current_password(tx: Transaction, *, user_id: UUID, password: str | None) -> None:
    """Raise ForbiddenError unless this is the account's password, or the account has none (service transaction)."""
    stored = rows.find_password(tx, user_id=user_id)
    if stored is not None and not _matches(stored, password or ""):
        raise ForbiddenError("The password is wrong.")


def rename(tx: Transaction, *, user_id: UUID, display_name: str) -> Account:
    """Change how a user is called."""
    rows.update_profile(tx, user_id=user_id, display_name=display_name.strip())
    return get(tx, user_id=user_id)


def asker(tx: Transaction, claims: Claims) -> Account:
    """Return the account behind a token that was checked (service transaction).

    A user of a foreign issuer gets a row at first sight. UnauthenticatedError when the account is gone or the session
    was ended.
    """
    if rows.session_is_revoked(tx, token_hash=claims.token_hash):
        raise UnauthenticatedError("This session was logged out; log in again.")
    account = rows.find_account(tx, user_id=claims.user_id)
    if account is None and claims.is_foreign:
        account = _meet(tx, claims)
    if account is None:
        raise UnauthenticatedError("The account of this token does not exist any more; sign up again.")
    valid_from = account.sessions_valid_from
    if valid_from is not None and (claims.issued_at is None or claims.issued_at < valid_from):
        raise UnauthenticatedError("This session was ended; log in again.")
    return account


def logout(tx: Transaction, *, claims: Claims, everywhere: bool, now: datetime) -> None:
    """End this session, or every session of the user (service transaction)."""
    rows.revoke_session(tx, token_hash=claims.token_hash, user_id=claims.user_id, expires_at=claims.expires_at)
    if everywhere:
        rows.end_sessions(tx, user_id=claims.user_id, valid_from=now)


def create_api_key(tx: Transaction, *, account: Account, name: str, secret: str) -> ApiKey:
    """Keep the hash of a new key; TierRequiredError without `api_access`, ConflictError when there are too many."""
    tiers.require(tier_of(account), "api_access")
    if rows.count_api_keys(tx, user_id=account.id) >= MAX_API_KEYS:
        raise ConflictError(f"An account has at most {MAX_API_KEYS} API keys; delete one that is not used.")
    return rows.insert_api_key(
        tx,
        user_id=account.id,
        name=name.strip(),
        key_hash=secret_hash(secret),
        prefix=secret[:API_KEY_PREFIX_LENGTH],
    )


def list_api_keys(tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None) -> Page[ApiKey]:
    """List the keys that work, newest first."""
    keys = rows.list_api_keys(tx, user_id=user_id, limit=limit + 1, before=cursor)
    return page_of(keys, limit, [(key.created_at, key.id) for key in keys])


def revoke_api_key(tx: Transaction, *, user_id: UUID, key_id: UUID) -> ApiKey:
    """Stop a key from working; NotFoundError when it does not work already."""
    key = rows.revoke_api_key(tx, user_id=user_id, key_id=key_id)
    if key is None:
        raise NotFoundError("There is no such API key.")
    return key


def key_owner(tx: Transaction, *, secret: str) -> Account:
    """Return the account behind an API key (service transaction); UnauthenticatedError, or TierRequiredError."""
    user_id = rows.find_api_key_owner(tx, key_hash=secret_hash(secret))
    account = rows.find_account(tx, user_id=user_id) if user_id else None
    if account is None:
        raise UnauthenticatedError("This API key does not exist or was deleted; make a new one.")
    tiers.require(tier_of(account), "api_access")
    return account


def clean_email(email: str) -> str:
    """Return an address as it is stored; InvalidFieldError when it cannot be one."""
    email = email.strip().lower()
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL.fullmatch(email):
        raise InvalidFieldError("email", "This is not an e-mail address; it looks like name@example.com.")
    return email


def check_password(password: str) -> None:
    """Raise InvalidFieldError unless the password is long enough."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidFieldError(
            "password", f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters; choose another one."
        )


@cache
def _dummy_hash() -> str:
    """Return what a login for an unknown address is compared with, so that it takes as long as any other."""
    return HASHER.hash("no account has this password")


def _matches(stored: str, password: str) -> bool:
    try:
        return HASHER.verify(stored, password[: MAX_PASSWORD_LENGTH + 1])
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _meet(tx: Transaction, claims: Claims) -> Account | None:
    # An address that belongs to another account here proves nothing about this one: never join the two.
    own = f"{claims.user_id}@users.invalid"
    email = (claims.email or own).strip().lower()
    emails = [email, own] if EMAIL.fullmatch(email) and len(email) <= MAX_EMAIL_LENGTH else [own]
    for address in emails:
        if rows.insert_foreign_user(tx, user_id=claims.user_id, email=address, verified_at=None):
            break
        # Nothing inserted: the address is taken, or another request met the same user a moment ago.
        if account := rows.find_account(tx, user_id=claims.user_id):
            return account
    return rows.find_account(tx, user_id=claims.user_id)
