"""Accounts, sessions and API keys, as clients see them."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from api.schemas.fields import Email, Id, Password, Time
from services.accounts.service import Account, ApiKey
from services.accounts.token import Session

DisplayName = Annotated[str, Meta(max_length=100, examples=["Ada"])]
LinkToken = Annotated[
    str, Meta(min_length=1, max_length=200, description="The last part of the link in the mail.", examples=["k3Jd…"])
]
USAGE_URL = "/api/subscription/usage"
UseCookie = Annotated[
    bool,
    Meta(description="Also set an HttpOnly session cookie and its CSRF token, for web pages.", examples=[False]),
]


class SignupRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A new account."""

    email: Email
    password: Password
    display_name: DisplayName = ""
    cookie: UseCookie = False


class LoginRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Who wants in."""

    email: Annotated[str, Meta(max_length=254, examples=["ada@example.com"])]
    password: Annotated[str, Meta(max_length=1000, examples=["correct horse battery staple"])]
    cookie: UseCookie = False


class LogoutRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which sessions end."""

    everywhere: Annotated[bool, Meta(description="End every session of the account.", examples=[False])] = False


class VerifyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The token of a verification link."""

    token: LinkToken


class ForgotRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose password was forgotten."""

    email: Annotated[str, Meta(max_length=254, examples=["ada@example.com"])]


class ResetRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The token of a reset link, and the new password."""

    token: LinkToken
    password: Password


class ProfileRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """What shall change; a new password needs the current one and ends every session."""

    display_name: DisplayName | None = None
    password: Password | None = None
    current_password: Annotated[str, Meta(max_length=1000, examples=["correct horse battery staple"])] | None = None


class DeleteAccountRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Proof that it is the owner who wants the account gone."""

    password: Annotated[str, Meta(max_length=1000, examples=["correct horse battery staple"])] | None = None


class ApiKeyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A new API key."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["uploader"])]


class AccountView(Struct, kw_only=True):
    """An account."""

    id: Id
    email: Email
    status: Literal["active", "unverified"]
    created_at: Time
    display_name: DisplayName
    tier: Annotated[str, Meta(examples=["free"])]
    features: Annotated[
        dict[str, Any], Meta(description="Allowances (-1: no limit) and abilities.", examples=[{"clips_per_month": 5}])
    ]
    usage_url: Annotated[str, Meta(description="Says what is left of the allowances.")]
    is_admin: Annotated[bool, Meta(examples=[False])]
    email_verified_at: Annotated[datetime | None, Meta(examples=[None])]


class SessionView(AccountView, kw_only=True):
    """An account and a token for it."""

    token: Annotated[
        str, Meta(description="Send it as `Authorization: Bearer …`.", examples=["eyJhbGciOiJIUzI1NiJ9.…"])
    ]
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the kind of token, no secret
    expires_at: Time


class ApiKeyView(Struct, kw_only=True):
    """An API key, without its secret."""

    id: Id
    name: Annotated[str, Meta(examples=["uploader"])]
    prefix: Annotated[str, Meta(description="The key's first characters.", examples=["snk_3fK9xQ"])]
    status: Literal["active", "revoked"]
    created_at: Time
    last_used_at: Annotated[datetime | None, Meta(examples=[None])]


class NewApiKeyView(ApiKeyView, kw_only=True):
    """An API key; this is the only time that its secret is shown."""

    key: Annotated[str, Meta(examples=["snk_3fK9xQ…"])]


def account_fields(account: Account) -> dict[str, Any]:
    """Return what an account shows of itself, by field."""
    return {
        "id": account.id,
        "email": account.email,
        "status": "active" if account.email_verified_at else "unverified",
        "created_at": account.created_at,
        "display_name": account.display_name,
        "tier": account.tier,
        "features": account.features,
        "usage_url": USAGE_URL,
        "is_admin": account.is_admin,
        "email_verified_at": account.email_verified_at,
    }


def account_view(account: Account) -> AccountView:
    """Show an account."""
    return AccountView(**account_fields(account))


def session_view(account: Account, session: Session) -> SessionView:
    """Show an account with a new token."""
    return SessionView(**account_fields(account), token=session.token, expires_at=session.expires_at)


def api_key_view(key: ApiKey) -> ApiKeyView:
    """Show a key without its secret."""
    return ApiKeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        status="revoked" if key.revoked_at else "active",
        created_at=key.created_at,
        last_used_at=key.last_used_at,
    )


def new_api_key_view(key: ApiKey, secret: str) -> NewApiKeyView:
    """Show a key with its secret, once."""
    return NewApiKeyView(**msgspec.structs.asdict(api_key_view(key)), key=secret)
