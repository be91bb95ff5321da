"""Accounts: signing up, confirming an address, changing and resetting passwords."""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from db import accounts as rows
from db.accounts import Account
from db.connection import Transaction
from services.accounts import password as passwords
from services.accounts import session as sessions
from services.accounts.email_address import clean_email
from services.accounts.token import new_link_token, secret_hash
from services.billing.tier import Tier
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.naming import clean_name

__all__ = ["Account", "Credentials", "EmailTakenError", "NewAccount"]

VERIFY_FOR = timedelta(days=2)
RESET_FOR = timedelta(hours=1)


class EmailTakenError(ConflictError):
    """There is an account with this address."""

    code = "email_taken"


class NewAccount(Struct, frozen=True, kw_only=True):
    """An account that was just made, and the token of its verification link."""

    account: Account
    link_token: str


class Credentials(Struct, frozen=True, kw_only=True):
    """What a login is compared with; `user_id` is None for an address without an account."""

    user_id: UUID | None
    password_hash: str | None


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


def find_credentials(tx: Transaction, *, email: str) -> Credentials:
    """Return what a login with this address is compared with (service transaction)."""
    found = rows.find_credentials(tx, email=email)
    user_id, password_hash = found or (None, None)
    return Credentials(user_id=user_id, password_hash=password_hash)


def get_credentials(tx: Transaction, *, user_id: UUID) -> Credentials:
    """Return what a user's current password is compared with (service transaction)."""
    return Credentials(user_id=user_id, password_hash=rows.find_password(tx, user_id=user_id))


def signup(tx: Transaction, *, email: str, password_hash: str, display_name: str, now: datetime) -> NewAccount:
    """Make an account and the token of its verification link (service transaction).

    InvalidFieldError for what cannot be an address, EmailTakenError when the address has an account.
    """
    email = clean_email(email)
    user_id = rows.insert_user(tx, email=email, password_hash=password_hash, display_name=clean_name(display_name))
    if user_id is None:
        raise EmailTakenError("There is an account with this address already; log in, or reset the password.")
    token = _new_link(tx, user_id=user_id, purpose="verify", expires_at=now + VERIFY_FOR)
    return NewAccount(account=get(tx, user_id=user_id), link_token=token)


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
    return _new_link(tx, user_id=account.id, purpose="verify", expires_at=now + VERIFY_FOR)


def forgot(tx: Transaction, *, email: str, now: datetime) -> ResetRequest | None:
    """Return what to mail to somebody who forgot the password, or None when the address has no account here."""
    found = rows.find_credentials(tx, email=email)
    if found is None:
        return None
    token = _new_link(tx, user_id=found[0], purpose="reset", expires_at=now + RESET_FOR)
    return ResetRequest(email=email, link_token=token)


def reset(tx: Transaction, *, token: str, password_hash: str, now: datetime, keep_api_keys: bool = False) -> Account:
    """Set a new password by a reset link and end every way in (service transaction).

    InvalidFieldError when the link is no good.
    """
    user_id = rows.use_token(tx, token_hash=secret_hash(token), purpose="reset")
    if user_id is None:
        raise InvalidFieldError("token", "This link was used already or has expired; ask for a new one.")
    rows.update_password(tx, user_id=user_id, password_hash=password_hash)
    sessions.end_everything(tx, user_id=user_id, now=now, keep_api_keys=keep_api_keys)
    # Who could read the link could read the address's mail.
    rows.update_email_verified(tx, user_id=user_id)
    return get(tx, user_id=user_id)


def change_password(
    tx: Transaction, *, user_id: UUID, password_hash: str, now: datetime, keep_api_keys: bool = False
) -> None:
    """Set a new password for somebody who has proved the old one, and end every way in (service transaction)."""
    rows.update_password(tx, user_id=user_id, password_hash=password_hash)
    sessions.end_everything(tx, user_id=user_id, now=now, keep_api_keys=keep_api_keys)


def rehash(tx: Transaction, *, user_id: UUID, password: str) -> None:
    """Store the same password under newer hash parameters (service transaction)."""
    rows.rehash_password(tx, user_id=user_id, password_hash=passwords.hash_password(password))


def rename(tx: Transaction, *, user_id: UUID, display_name: str) -> Account:
    """Change how a user is called."""
    rows.update_profile(tx, user_id=user_id, display_name=clean_name(display_name))
    return get(tx, user_id=user_id)


def _new_link(tx: Transaction, *, user_id: UUID, purpose: str, expires_at: datetime) -> str:
    token = new_link_token()
    rows.insert_token(tx, token_hash=secret_hash(token), user_id=user_id, purpose=purpose, expires_at=expires_at)
    return token
