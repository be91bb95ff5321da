"""Sessions of the app, one row a login, and tokens without a session."""

from datetime import datetime, timedelta
from uuid import UUID

from db import accounts as account_rows
from db import api_keys as key_rows
from db import sessions as rows
from db.accounts import Account
from db.connection import Transaction
from db.sessions import Method, SessionRow
from services.accounts.token import Claims, Session, Tokens
from services.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from services.paging import Page, TimeCursor, page_of
from services.sanitising import clean_name

__all__ = ["Method", "SessionRow"]

BEARER_FOR = timedelta(days=1)
"""For a token in the memory of a script."""
COOKIE_FOR = timedelta(days=14)
"""For a browser's cookie: hidden from scripts, and the user can end the session from another device."""
FRESH_FOR = timedelta(minutes=10)
"""How long a login proves that its user is still at the device."""
MAX_USER_AGENT = 300


def begin(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    tokens: Tokens,
    *,
    account: Account,
    method: Method,
    user_agent: str,
    address: str,
    lasts: timedelta,
    now: datetime,
) -> Session:
    """Add a session for a user who has proved who they are, and return its token (service transaction)."""
    expires_at = (now + lasts).replace(microsecond=0)
    session_id = rows.insert_session(
        tx,
        user_id=account.id,
        method=method,
        user_agent=clean_name(user_agent)[:MAX_USER_AGENT],
        address=address,
        now=now,
        expires_at=expires_at,
    )
    return tokens.issue(account.id, email=account.email, session_id=session_id, expires_at=expires_at)


def authenticate(tx: Transaction, claims: Claims) -> tuple[Account, SessionRow | None]:
    """Return the account behind a token that was checked, with its session if it has one (service transaction).

    A user of another issuer gets a row with their first token. UnauthenticatedError if the account is gone or the
    session has ended.
    """
    session = None
    if claims.session_id is not None:
        session = rows.find_session(tx, session_id=claims.session_id)
        if session is None or session.user_id != claims.user_id:
            raise UnauthenticatedError("This session was ended; log in again.")
    elif rows.token_is_revoked(tx, token_hash=claims.token_hash):
        raise UnauthenticatedError("This session was logged out; log in again.")
    account = account_rows.find_account(tx, user_id=claims.user_id)
    if account is None and claims.is_foreign:
        account = _add_foreign(tx, claims)
    if account is None:
        raise UnauthenticatedError("The account of this token no longer exists; sign up again.")
    valid_from = account.sessions_valid_from
    if session is None and valid_from and (claims.issued_at is None or claims.issued_at < valid_from):
        raise UnauthenticatedError("This session was ended; log in again.")
    return account, session


def end(tx: Transaction, claims: Claims) -> None:
    """End the session of a token, or refuse the token itself when it has none (service transaction)."""
    if claims.session_id is not None:
        rows.end_session(tx, user_id=claims.user_id, session_id=claims.session_id)
    else:
        rows.revoke_token(tx, token_hash=claims.token_hash, user_id=claims.user_id, expires_at=claims.expires_at)


def end_one(tx: Transaction, *, user_id: UUID, session_id: UUID) -> None:
    """End one of a user's sessions (service transaction). Raises NotFoundError."""
    if not rows.end_session(tx, user_id=user_id, session_id=session_id):
        raise NotFoundError("There is no such session; it may have ended already.")


def end_others(tx: Transaction, claims: Claims, *, now: datetime) -> int:
    """End every session of a user except the calling one; return the number of ended ones (service transaction)."""
    ended = rows.end_sessions(tx, user_id=claims.user_id, but=claims.session_id)
    if claims.session_id is not None:  # else the caller's own token would be refused too
        rows.refuse_older_tokens(tx, user_id=claims.user_id, valid_from=now)
    return ended


def end_everything(tx: Transaction, *, user_id: UUID, now: datetime, keep_api_keys: bool = False) -> None:
    """End all sessions, tokens, reset links and API keys made before now (service transaction)."""
    rows.end_sessions(tx, user_id=user_id)
    rows.refuse_older_tokens(tx, user_id=user_id, valid_from=now)
    account_rows.forget_tokens(tx, user_id=user_id, purpose="reset")
    if not keep_api_keys:
        key_rows.revoke_all(tx, user_id=user_id)


def list_sessions(tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None) -> Page[SessionRow]:
    """List a user's sessions, newest first."""
    found = rows.list_sessions(tx, user_id=user_id, limit=limit + 1, before=cursor)
    return page_of(found, limit, [(session.created_at, session.id) for session in found])


def require_fresh_login(authenticated_at: datetime | None, *, now: datetime) -> None:
    """Raise ForbiddenError unless the user logged in within the last ten minutes."""
    if authenticated_at is None or now - authenticated_at > FRESH_FOR:
        raise FreshLoginRequiredError("Send the password, or log in again and repeat this within ten minutes.")


class FreshLoginRequiredError(ForbiddenError):
    """The login was too long ago for this."""

    code = "fresh_login_required"


def _add_foreign(tx: Transaction, claims: Claims) -> Account | None:
    # Never join two accounts because of their address: the other issuer may not have confirmed it.
    own = f"{claims.user_id}@users.invalid"
    for address in [claims.email, own] if claims.email else [own]:
        if account_rows.insert_foreign_user(tx, user_id=claims.user_id, email=address, verified_at=None):
            break
        # Nothing inserted: the address is taken, or a concurrent request inserted the same user.
        if account := account_rows.find_account(tx, user_id=claims.user_id):
            return account
    return account_rows.find_account(tx, user_id=claims.user_id)
