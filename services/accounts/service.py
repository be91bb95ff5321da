"""Accounts: signing up, confirming an address, changing and resetting passwords."""

from datetime import datetime
from uuid import UUID, uuid4

from msgspec import Struct

from db import accounts as rows
from db import signups
from db.accounts import Account
from db.connection import Transaction
from services.accounts import password as passwords
from services.accounts import session as sessions
from services.accounts.email_address import clean_email
from services.accounts.link import VERIFY_FOR
from services.accounts.token import secret_hash
from services.billing import customer as customers
from services.billing.tier import Tier
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.language import DEFAULT, Language
from services.mail import outbox
from services.mail.message import EmailChanged, Mail, PasswordChanged, kind_of
from services.sanitising import clean_name

__all__ = ["Account", "Credentials", "EmailTakenError"]

PLACEHOLDER_DOMAIN = "@users.invalid"
"""The domain of users whose issuer gives no address."""


class EmailTakenError(ConflictError):
    """There is an account with this address."""

    code = "email_taken"


class Credentials(Struct, frozen=True, kw_only=True):
    """The stored credentials of a login; `user_id` is None for an address without an account."""

    user_id: UUID | None
    password_hash: str | None


def tier_of(account: Account) -> Tier:
    """Return the tier that is in force for an account."""
    return Tier(name=account.tier, display_name=account.tier_name, features=account.features, limits=account.limits)


def get(tx: Transaction, *, user_id: UUID) -> Account:
    """Return an account. Raises NotFoundError."""
    account = rows.find_account(tx, user_id=user_id)
    if account is None:
        raise NotFoundError("There is no such account.")
    return account


def find_credentials(tx: Transaction, *, email: str) -> Credentials:
    """Return the stored credentials of an address (service transaction)."""
    found = rows.find_credentials(tx, email=email)
    user_id, password_hash = found or (None, None)
    return Credentials(user_id=user_id, password_hash=password_hash)


def get_credentials(tx: Transaction, *, user_id: UUID) -> Credentials:
    """Return the stored credentials of a user (service transaction)."""
    return Credentials(user_id=user_id, password_hash=rows.find_password(tx, user_id=user_id))


def signup(
    tx: Transaction, *, email: str, password_hash: str, display_name: str, language: Language = DEFAULT
) -> Account:
    """Make an account whose address is not confirmed yet (service transaction).

    InvalidFieldError for an invalid address, EmailTakenError if the address has an account.
    """
    email = clean_email(email)
    user_id = rows.insert_user(
        tx, email=email, password_hash=password_hash, display_name=clean_name(display_name), language=language
    )
    if user_id is None:
        raise EmailTakenError("There is an account with this address already; log in, or reset the password.")
    return get(tx, user_id=user_id)


def request_signup(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction, *, email: str, password_hash: str, display_name: str, language: Language, now: datetime
) -> UUID:
    """Store a sign-up, which becomes an account once its address is confirmed, and return its id (service transaction).

    Does the same for every address, so that its time does not reveal which ones have an account.
    """
    return signups.insert_signup(
        tx,
        email=email,
        password_hash=password_hash,
        display_name=clean_name(display_name),
        language=language,
        expires_at=now + VERIFY_FOR,
    )


def verify(tx: Transaction, *, token: str) -> Account:
    """Use a link that was mailed to an address (service transaction); InvalidFieldError if the link is invalid.

    It turns a sign-up into an account, or confirms or changes a user's address.
    """
    token_hash = secret_hash(token)
    if signup := signups.take_signup(tx, token_hash=token_hash):
        user_id = signups.insert_verified_user(tx, signup)
        if user_id is None:
            raise InvalidFieldError("token", "This address already has an account; log in.", reason="address_taken")
        return get(tx, user_id=user_id)
    if used := rows.use_token(tx, token_hash=token_hash, purpose="verify"):
        rows.update_email_verified(tx, user_id=used[0])
        return get(tx, user_id=used[0])
    if used := rows.use_token(tx, token_hash=token_hash, purpose="change_email"):
        return _change_email(tx, user_id=used[0], new_email=used[1] or "")
    raise InvalidFieldError(
        "token", "This link was used already or has expired; log in to be sent a new one.", reason="link_used"
    )


def reset(tx: Transaction, *, token: str, password_hash: str, now: datetime, keep_api_keys: bool = False) -> Account:
    """Set a new password by a reset link, and end all sessions, tokens and keys (service transaction).

    InvalidFieldError if the link is invalid.
    """
    used = rows.use_token(tx, token_hash=secret_hash(token), purpose="reset")
    if used is None:
        raise InvalidFieldError(
            "token", "This link was used already or has expired; ask for a new one.", reason="link_used"
        )
    user_id, _ = used
    rows.update_password(tx, user_id=user_id, password_hash=password_hash)
    sessions.end_everything(tx, user_id=user_id, now=now, keep_api_keys=keep_api_keys)
    # The link also proves that the user reads mail at this address.
    rows.update_email_verified(tx, user_id=user_id)
    account = get(tx, user_id=user_id)
    tell(tx, account, PasswordChanged())
    return account


def change_password(
    tx: Transaction, *, user_id: UUID, password_hash: str, now: datetime, keep_api_keys: bool = False
) -> None:
    """Set a new password after the old one was proved; ends all sessions, tokens and keys (service transaction)."""
    rows.update_password(tx, user_id=user_id, password_hash=password_hash)
    sessions.end_everything(tx, user_id=user_id, now=now, keep_api_keys=keep_api_keys)
    tell(tx, get(tx, user_id=user_id), PasswordChanged())


def rehash(tx: Transaction, *, user_id: UUID, password: str) -> None:
    """Store the same password under newer hash parameters (service transaction)."""
    rows.rehash_password(tx, user_id=user_id, password_hash=passwords.hash_password(password))


def change_profile(
    tx: Transaction,
    *,
    user_id: UUID,
    display_name: str | None = None,
    language: Language | None = None,
    mail_clips_ready: bool | None = None,
) -> Account:
    """Change a user's name, the language of their mails, and whether they get mails about finished clips."""
    rows.update_profile(
        tx,
        user_id=user_id,
        display_name=None if display_name is None else clean_name(display_name),
        language=language,
        mail_clips_ready=mail_clips_ready,
    )
    return get(tx, user_id=user_id)


def _change_email(tx: Transaction, *, user_id: UUID, new_email: str) -> Account:
    old = get(tx, user_id=user_id)
    if not rows.update_email(tx, user_id=user_id, email=new_email):
        raise InvalidFieldError("token", "This address already has an account of its own.", reason="address_taken")
    tell(tx, old, EmailChanged(new_email=new_email))
    customers.queue_update(tx, user_id=user_id)
    return get(tx, user_id=user_id)


def tell(tx: Transaction, account: Account, mail: Mail) -> None:
    """Send a user a mail about the account once the transaction commits (service transaction)."""
    if not account.email.endswith(PLACEHOLDER_DOMAIN):
        outbox.enqueue(tx, mail, recipient=account.email, unique_key=f"{kind_of(mail)}/{uuid4()}", user_id=account.id)
