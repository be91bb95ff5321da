"""Links sent by mail: each works once, for a time, and only its hash is stored."""

from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from db import accounts as rows
from db import signups
from db.connection import Transaction
from services.accounts.token import new_link_token, secret_hash
from services.mail.message import ConfirmEmail, Mail, PasswordReset, SignupKnown, Verification

VERIFY_FOR = timedelta(days=2)
RESET_FOR = timedelta(hours=1)


class Prepared(Struct, frozen=True, kw_only=True):
    """A mail that is to be sent now, and the token of its link."""

    mail: Mail
    token: str | None = None


def prepare(tx: Transaction, mail: Mail, *, recipient: str, user_id: UUID | None, now: datetime) -> Prepared | None:
    """Return the mail to send to an address, with a new link if it needs one (service transaction).

    None if there is no reason to send it, such as a reset for an address without an account. This is decided here and
    not in the request, so that the time of an HTTP answer does not reveal which addresses have an account.
    """
    if isinstance(mail, Verification):
        return _verification(tx, mail, recipient=recipient, user_id=user_id, now=now)
    if isinstance(mail, PasswordReset):
        found = rows.find_credentials(tx, email=recipient)
        return Prepared(mail=mail, token=reset_link(tx, user_id=found[0], now=now)) if found else None
    if isinstance(mail, ConfirmEmail):
        if user_id is None or rows.find_credentials(tx, email=recipient):
            return None
        token = email_link(tx, user_id=user_id, new_email=recipient, now=now)
        return Prepared(mail=mail, token=token)
    return Prepared(mail=mail)


def verification_link(tx: Transaction, *, user_id: UUID, now: datetime) -> str:
    """Return a token that confirms a user's address."""
    return _new(tx, user_id=user_id, purpose="verify", expires_at=now + VERIFY_FOR)


def reset_link(tx: Transaction, *, user_id: UUID, now: datetime) -> str:
    """Return a token that sets a new password; earlier ones stop working."""
    return _new(tx, user_id=user_id, purpose="reset", expires_at=now + RESET_FOR)


def email_link(tx: Transaction, *, user_id: UUID, new_email: str, now: datetime) -> str:
    """Return a token that makes an address the user's; earlier ones stop working."""
    return _new(tx, user_id=user_id, purpose="change_email", expires_at=now + VERIFY_FOR, new_email=new_email)


def _verification(
    tx: Transaction, mail: Verification, *, recipient: str, user_id: UUID | None, now: datetime
) -> Prepared | None:
    if mail.signup_id is None:
        return Prepared(mail=mail, token=verification_link(tx, user_id=user_id, now=now)) if user_id else None
    if rows.find_credentials(tx, email=recipient):
        return Prepared(mail=SignupKnown())
    token = new_link_token()
    is_waiting = signups.set_token(tx, signup_id=UUID(mail.signup_id), token_hash=secret_hash(token))
    return Prepared(mail=mail, token=token) if is_waiting else None


def _new(tx: Transaction, *, user_id: UUID, purpose: str, expires_at: datetime, new_email: str | None = None) -> str:
    token = new_link_token()
    rows.insert_token(
        tx,
        token_hash=secret_hash(token),
        user_id=user_id,
        purpose=purpose,
        expires_at=expires_at,
        new_email=new_email,
    )
    return token
