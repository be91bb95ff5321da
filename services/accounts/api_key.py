"""API keys: made by people, for scripts; shown once, kept as a hash, revoked at once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from db import accounts as account_rows
from db import api_keys as rows
from db.accounts import Account
from db.api_keys import ApiKey, Scope
from db.connection import Transaction
from services.accounts.token import API_KEY_PREFIX_LENGTH, secret_hash
from services.billing import tier as tiers
from services.billing.tier import Tier
from services.errors import ConflictError, InvalidFieldError, NotFoundError, UnauthenticatedError
from services.paging import Page, TimeCursor, page_of
from services.sanitising import clean_name

__all__ = ["ApiKey", "Scope"]

MAX_API_KEYS = 50  # a person can still tell them apart


def create(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    account: Account,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    secret: str,
    now: datetime,
) -> ApiKey:
    """Store the hash of a new key (service transaction).

    TierRequiredError without `api_access`, ConflictError when there are too many, InvalidFieldError for an end that has
    passed or a name without a visible character.
    """
    tiers.require(_tier_of(account), "api_access")
    if expires_at is not None and expires_at <= now:
        raise InvalidFieldError("expires_at", "expires_at is in the past; choose a later time.")
    name = clean_name(name)
    if not name:
        raise InvalidFieldError("name", "A name has at least one visible character.")
    if rows.count_api_keys(tx, user_id=account.id) >= MAX_API_KEYS:
        raise ConflictError(
            f"An account has at most {MAX_API_KEYS} API keys; delete one that is not used.", reason="too_many"
        )
    return rows.insert_api_key(
        tx,
        user_id=account.id,
        name=name,
        key_hash=secret_hash(secret),
        prefix=secret[:API_KEY_PREFIX_LENGTH],
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )


def get(tx: Transaction, *, user_id: UUID, key_id: UUID) -> ApiKey:
    """Return a user's key, revoked or not. Raises NotFoundError."""
    key = rows.find_api_key(tx, user_id=user_id, key_id=key_id)
    if key is None:
        raise NotFoundError("There is no such API key.")
    return key


def list_keys(tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None) -> Page[ApiKey]:
    """List the keys that were not revoked, newest first."""
    keys = rows.list_api_keys(tx, user_id=user_id, limit=limit + 1, before=cursor)
    return page_of(keys, limit, [(key.created_at, key.id) for key in keys])


def revoke(tx: Transaction, *, user_id: UUID, key_id: UUID) -> ApiKey:
    """Stop a key from working (service transaction); NotFoundError when it was revoked already."""
    key = rows.revoke_api_key(tx, user_id=user_id, key_id=key_id)
    if key is None:
        raise NotFoundError("There is no such API key.")
    return key


def authenticate(tx: Transaction, *, secret: str) -> tuple[Account, ApiKey]:
    """Return a key and its owner (service transaction); UnauthenticatedError, or TierRequiredError."""
    key = rows.find_working_key(tx, key_hash=secret_hash(secret))
    account = account_rows.find_account(tx, user_id=key.user_id) if key else None
    if key is None or account is None:
        raise UnauthenticatedError("This API key does not exist, has expired or was deleted; make a new one.")
    tiers.require(_tier_of(account), "api_access")
    return account, key


def check(tx: Transaction, key: ApiKey, *, now: datetime) -> None:
    """Raise UnauthenticatedError if a key is no longer valid (service transaction)."""
    current = rows.find_api_key(tx, user_id=key.user_id, key_id=key.id)
    if current is None or current.revoked_at is not None or (current.expires_at and current.expires_at <= now):
        raise UnauthenticatedError("This API key has expired or was deleted; make a new one.")


def _tier_of(account: Account) -> Tier:
    return Tier(name=account.tier, display_name=account.tier_name, features=account.features, limits=account.limits)
