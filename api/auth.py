"""Authentication: a session's token (header or cookie), an API key, or the operator's token."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal
from uuid import UUID

import msgspec
import structlog
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import HttpMethod
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from msgspec import Struct

from api.base_deps import BaseDeps
from api.limits.metering import METERED, UNMETERED, metered_headers
from db.connection import SERVICE, Identity, allow_loss, user_identity
from services.accounts import api_key as api_keys
from services.accounts import service as accounts
from services.accounts import session as sessions
from services.accounts.api_key import ApiKey
from services.accounts.service import Account
from services.accounts.session import SessionRow
from services.accounts.token import API_KEY_START, Claims, Session, is_same_secret
from services.billing import quota as quotas
from services.billing.tier import Tier
from services.errors import ForbiddenError, UnauthenticatedError
from services.rooms.person import GuestClaims, Person, check_guest_token, is_guest_token

SESSION_COOKIE = "snuggles_session"
CSRF_COOKIE = "snuggles_csrf"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
PUBLIC = "public"
"""`opt` key of the routes that anybody may call."""
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""Headers that proxies add: a request with one of these comes from another machine."""


class Principal(Struct, frozen=True, kw_only=True):
    """The caller, and how they proved who they are. `account` is None for the operator's token."""

    via: Literal["session", "cookie", "token", "api_key", "operator", "guest"]
    """`token` is a bearer token without a session: one of `snuggles token`, or of another issuer."""
    account: Account | None = None
    claims: Claims | None = None
    session: SessionRow | None = None
    key: ApiKey | None = None
    guest: GuestClaims | None = None

    @property
    def user(self) -> Account:
        """The account; ForbiddenError for the operator's token, which belongs to nobody."""
        if self.account is None:
            raise ForbiddenError("This needs a user's token; the operator's token belongs to no user.")
        return self.account

    @property
    def user_id(self) -> UUID:
        """The account's id."""
        return self.user.id

    @property
    def tier(self) -> Tier:
        """The tier in force."""
        return accounts.tier_of(self.user)

    @property
    def identity(self) -> Identity:
        """The identity that row-level security checks."""
        return user_identity(self.user_id, is_admin=self.user.is_admin)

    @property
    def person(self) -> Person:
        """The person who acts in a room: an account, or a guest; ForbiddenError for the operator's token."""
        return self.guest.person if self.guest is not None else Person(user_id=self.user_id)

    @property
    def is_operator(self) -> bool:
        """Whether the routes for operators are open."""
        return self.via == "operator" or (self.account is not None and self.account.is_admin and self.key is None)

    @property
    def is_metered(self) -> bool:
        """Whether calls count as `api_calls_per_day`; those of the app's own sessions do not."""
        return self.via in ("token", "api_key")

    @property
    def authenticated_at(self) -> datetime | None:
        """When the user last proved who they are; None if that is unknown."""
        if self.session is not None:
            return self.session.created_at
        return self.claims.authenticated_at if self.claims else None


class Authentication(AbstractAuthenticationMiddleware):
    """Authenticates requests before anything else in them is read."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """Return the principal; UnauthenticatedError without valid credentials."""
        deps: BaseDeps = connection.app.state.deps
        principal = await sync_to_thread(_authenticate_and_count, deps, connection)
        if principal.account is not None:
            structlog.contextvars.bind_contextvars(owner=str(principal.account.id))
        return AuthenticationResult(user=principal, auth=principal.via)


def _authenticate_and_count(deps: BaseDeps, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    principal = authenticate(deps, connection)
    if not principal.is_metered or connection.route_handler.opt.get(UNMETERED):
        return principal
    now = deps.clock()
    with deps.database.transaction(SERVICE) as tx:
        allow_loss(tx)  # a crash of PostgreSQL may give a second's calls back
        usage = quotas.count_call(tx, principal.tier, user_id=principal.user_id, now=now)
    connection.scope["state"][METERED] = metered_headers(usage, now)
    return principal


def authenticate(deps: BaseDeps, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Return who sent a request.

    UnauthenticatedError; ForbiddenError for a cookie without its CSRF token, or an API key that may only read.
    """
    header = connection.headers.get("authorization")
    is_safe = connection.scope.get("method") in SAFE_METHODS
    if header is None:
        return _by_cookie(deps, connection, needs_csrf=not is_safe)
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("Send the token as `Authorization: Bearer …`.")
    principal = authenticate_token(deps, token)
    if principal.key is not None and not is_safe and "write" not in principal.key.scopes:
        raise ForbiddenError("This API key may only read; make one with the scope `write`.")
    return principal


def authenticate_token(deps: BaseDeps, token: str) -> Principal:
    """Return the owner of a bearer token; UnauthenticatedError if it is invalid or has expired."""
    if deps.settings.admin_token and is_same_secret(token, deps.settings.admin_token):
        return Principal(via="operator")
    if token.startswith(API_KEY_START):
        with deps.database.transaction(SERVICE) as tx:
            account, key = api_keys.authenticate(tx, secret=token)
        return Principal(via="api_key", account=account, key=key)
    if is_guest_token(token):
        return Principal(via="guest", guest=check_guest_token(deps.settings.jwt_secret, token, now=deps.clock()))
    return _by_claims(deps, deps.tokens.check(token))


def authenticate_cookie(deps: BaseDeps, cookies: Mapping[str, str]) -> Principal:
    """Return the owner of a session cookie; UnauthenticatedError. For requests that change nothing."""
    token = cookies.get(SESSION_COOKIE)
    if not token:
        raise UnauthenticatedError("Log in first, and send the token as `Authorization: Bearer …`.")
    return msgspec.structs.replace(_by_claims(deps, deps.tokens.check(token)), via="cookie")


def check_again(deps: BaseDeps, principal: Principal) -> None:
    """Raise UnauthenticatedError if the credentials that opened a stream are no longer valid."""
    if principal.claims is not None:
        if principal.claims.expires_at <= deps.clock():
            raise UnauthenticatedError("The token has expired; log in again.")
        _by_claims(deps, principal.claims)
    if principal.key is not None:
        with deps.database.transaction(SERVICE) as tx:
            api_keys.check(tx, principal.key, now=deps.clock())


def operators_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Admit only operators: the operator's token, or a user with is_admin."""
    if not _asks_for_options(connection) and not connection.user.is_operator:
        raise ForbiddenError("This is for operators only.")


def people_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse API keys, for actions such as making more keys or deleting the account."""
    if not _asks_for_options(connection) and connection.user.via == "api_key":
        raise ForbiddenError("An API key cannot do this; log in and use the session's token.")


def scrapers_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Admit readers of the metrics: the operator's token, or a client on this machine that uses no proxy.

    Other spellings of the address (`/metrics/`, `//metrics`) pass a proxy's rule, so this does not rely on one.
    """
    if _asks_for_options(connection):
        return
    admin_token = connection.app.state.deps.settings.admin_token
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if admin_token and scheme.lower() == "bearer":
        may_read = is_same_secret(token.strip(), admin_token)
    else:
        may_read = _is_local(connection) and not any(name in connection.headers for name in FORWARDED)
    if not may_read:
        raise UnauthenticatedError(
            "Send the operator's token as `Authorization: Bearer …`, or ask the API itself from the machine it runs on."
        )


def _is_local(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    try:
        return ip_address(connection.client.host if connection.client else "").is_loopback
    except ValueError:
        return False


def _asks_for_options(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Return whether this is a CORS preflight, which carries no credentials and is told nothing."""
    return connection.scope.get("method") == HttpMethod.OPTIONS


def session_cookies(deps: BaseDeps, session: Session) -> list[Cookie]:
    """Return the cookies of a browser's session: the token, hidden from scripts, and the CSRF token."""
    is_secure = deps.settings.public_url.startswith("https://")
    max_age_s = max(0, int((session.expires_at - deps.clock()).total_seconds()))
    claims = deps.tokens.check(session.token)
    return [
        Cookie(
            key=SESSION_COOKIE,
            value=session.token,
            max_age=max_age_s,
            path="/",
            secure=is_secure,
            httponly=True,
            samesite="lax",
        ),
        Cookie(
            key=CSRF_COOKIE,
            value=csrf_token(deps, claims),
            max_age=max_age_s,
            path="/",
            secure=is_secure,
            httponly=False,
            samesite="lax",
        ),
    ]


def ended_cookies() -> list[Cookie]:
    """Return cookies that make a browser forget its session."""
    return [Cookie(key=key, value="", max_age=0, path="/", samesite="lax") for key in (SESSION_COOKIE, CSRF_COOKIE)]


def csrf_token(deps: BaseDeps, claims: Claims) -> str:
    """Return the CSRF token of a session: another site can neither read nor compute it."""
    return hmac.digest(deps.settings.jwt_secret.encode(), b"csrf\n" + claims.token_hash, sha256).hex()


def _by_cookie(deps: BaseDeps, connection: ASGIConnection[Any, Any, Any, Any], *, needs_csrf: bool) -> Principal:
    principal = authenticate_cookie(deps, connection.cookies)
    if needs_csrf and principal.claims is not None:
        given = connection.headers.get(CSRF_HEADER, "")
        if not is_same_secret(given, csrf_token(deps, principal.claims)):
            raise ForbiddenError(
                f"A request by cookie needs the header X-CSRF-Token with the value of the cookie {CSRF_COOKIE}."
            )
    return principal


def _by_claims(deps: BaseDeps, claims: Claims) -> Principal:
    with deps.database.transaction(SERVICE) as tx:
        account, session = sessions.authenticate(tx, claims)
    return Principal(via="session" if session else "token", account=account, claims=claims, session=session)
