"""Who is asking: a session's token (header or cookie), an API key, or an operator's token."""

import hmac
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

import structlog
from litestar.concurrency import sync_to_thread
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from msgspec import Struct

from api.deps import Deps
from api.limits.metering import METERED, UNMETERED, metered_headers
from db.connection import SERVICE, Identity, allow_loss, user_identity
from services.accounts import service as accounts
from services.accounts.service import Account
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


class Asker(Struct, frozen=True, kw_only=True):
    """Who is asking, and how he proved it. `account` is None for the operator's token."""

    via: Literal["session", "cookie", "api_key", "operator", "guest"]
    account: Account | None = None
    claims: Claims | None = None
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
        """The tier that is in force."""
        return accounts.tier_of(self.user)

    @property
    def identity(self) -> Identity:
        """What row-level security sees."""
        return user_identity(self.user_id, is_admin=self.user.is_admin)

    @property
    def person(self) -> Person:
        """Who acts in a room: the account, or the guest of one room; ForbiddenError for the operator's token."""
        return self.guest.person if self.guest is not None else Person(user_id=self.user_id)

    @property
    def is_operator(self) -> bool:
        """Whether the routes for operators are open."""
        return self.via == "operator" or (self.account is not None and self.account.is_admin)


class Authentication(AbstractAuthenticationMiddleware):
    """Finds out who is asking before anything else of the request is looked at."""

    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        """Return the asker; UnauthenticatedError when nobody, or nobody we can believe."""
        deps: Deps = connection.app.state.deps
        asker = await sync_to_thread(_authenticate_and_count, deps, connection)
        if asker.account is not None:
            structlog.contextvars.bind_contextvars(owner=str(asker.account.id))
        return AuthenticationResult(user=asker, auth=asker.via)


def _authenticate_and_count(deps: Deps, connection: ASGIConnection[Any, Any, Any, Any]) -> Asker:
    asker = authenticate(deps, connection)
    if asker.account is None or asker.via == "cookie" or connection.route_handler.opt.get(UNMETERED):
        return asker
    now = deps.clock()
    with deps.database.transaction(SERVICE) as tx:
        allow_loss(tx)  # a crash of PostgreSQL may give a second's calls back
        usage = quotas.count_call(tx, asker.tier, user_id=asker.user_id, now=now)
    connection.scope["state"][METERED] = metered_headers(usage, now)
    return asker


def authenticate(deps: Deps, connection: ASGIConnection[Any, Any, Any, Any]) -> Asker:
    """Return who sent a request; UnauthenticatedError, or ForbiddenError for a cookie without its CSRF token."""
    header = connection.headers.get("authorization")
    if header is None:
        return _by_cookie(deps, connection)
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("Send the token as `Authorization: Bearer …`.")
    return believe(deps, token)


def believe(deps: Deps, token: str) -> Asker:
    """Return whom a token belongs to; UnauthenticatedError when it is not one of ours, or not valid any more."""
    if deps.settings.admin_token and is_same_secret(token, deps.settings.admin_token):
        return Asker(via="operator")
    if token.startswith(API_KEY_START):
        with deps.database.transaction(SERVICE) as tx:
            return Asker(via="api_key", account=accounts.key_owner(tx, secret=token))
    if is_guest_token(token):
        return Asker(via="guest", guest=check_guest_token(deps.settings.jwt_secret, token, now=deps.clock()))
    return _by_token(deps, token, via="session")


def operators_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of the routes for operators: the operator's token, or a user with is_admin."""
    if not connection.user.is_operator:
        raise ForbiddenError("This is for operators only.")


def people_only(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of what an API key may not do, such as making more keys or deleting the account."""
    if connection.user.via == "api_key":
        raise ForbiddenError("An API key cannot do this; log in and use the session's token.")


def session_cookies(deps: Deps, session: Session) -> list[Cookie]:
    """Return the cookies of a browser's session: the token, unseen by scripts, and the proof of a same-site form."""
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


def csrf_token(deps: Deps, claims: Claims) -> str:
    """Return the token that belongs to one session: another site can neither read nor compute it."""
    return hmac.digest(deps.settings.jwt_secret.encode(), b"csrf\n" + claims.token_hash, sha256).hex()


def _by_cookie(deps: Deps, connection: ASGIConnection[Any, Any, Any, Any]) -> Asker:
    token = connection.cookies.get(SESSION_COOKIE)
    if not token:
        raise UnauthenticatedError("Log in first, and send the token as `Authorization: Bearer …`.")
    asker = _by_token(deps, token, via="cookie")
    if connection.scope.get("method") not in SAFE_METHODS and asker.claims is not None:
        given = connection.headers.get(CSRF_HEADER, "")
        if not is_same_secret(given, csrf_token(deps, asker.claims)):
            raise ForbiddenError(
                f"A request by cookie needs the header X-CSRF-Token with the value of the cookie {CSRF_COOKIE}."
            )
    return asker


def _by_token(deps: Deps, token: str, *, via: Literal["session", "cookie"]) -> Asker:
    claims = deps.tokens.check(token)
    with deps.database.transaction(SERVICE) as tx:
        return Asker(via=via, account=accounts.asker(tx, claims), claims=claims)
