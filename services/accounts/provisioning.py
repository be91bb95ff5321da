"""Accounts made by an operator: without a mail to confirm, of any tier, perhaps with an operator's rights."""

import secrets
from uuid import UUID

from db import accounts as account_rows
from db import provisioning as rows
from db.connection import Transaction
from services.accounts import password as passwords
from services.accounts import service as accounts
from services.accounts.email_address import clean_email
from services.accounts.service import Account
from services.errors import InvalidFieldError, NotFoundError


def create_user(tx: Transaction, *, email: str, password: str | None, tier: str, is_admin: bool) -> Account:
    """Make an account whose address counts as confirmed (service transaction).

    Without a password nobody can log in until it is reset by mail, but tokens can be made.
    InvalidFieldError for an invalid address, password or tier, EmailTakenError for an address in use.
    """
    tiers = rows.list_tiers(tx)
    if tier not in tiers:
        raise InvalidFieldError("tier", f"There is no tier {tier!r}; choose one of {', '.join(tiers)}.")
    secret = password if password is not None else secrets.token_urlsafe()
    passwords.check_password(secret)
    password_hash = passwords.hash_password(secret)
    user_id = accounts.signup(tx, email=email, password_hash=password_hash, display_name="").id
    account_rows.update_email_verified(tx, user_id=user_id)
    rows.grant_tier(tx, user_id=user_id, tier=tier)
    if is_admin:
        rows.update_admin(tx, user_id=user_id, is_admin=True)
    return accounts.get(tx, user_id=user_id)


def find_user_id(tx: Transaction, *, email: str) -> UUID:
    """Return the account with this address (service transaction). Raises NotFoundError."""
    found = account_rows.find_credentials(tx, email=clean_email(email))
    if found is None:
        raise NotFoundError(f"There is no account with the address {email}; make one with `snuggles user create`.")
    return found[0]
