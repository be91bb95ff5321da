"""Accounts, sessions and API keys, as clients see them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Email, Id, Password, Time, TimeText
from api.schemas.jobs import JobView
from services.accounts.api_key import ApiKey, Scope
from services.accounts.export import Export
from services.accounts.service import Account
from services.accounts.session import SessionRow
from services.accounts.token import Session
from services.language import Language

DisplayName = Annotated[str, Meta(max_length=100, examples=["Ada"])]
LinkToken = Annotated[
    str, Meta(min_length=1, max_length=200, description="The last part of the link in the mail.", examples=["k3Jd…"])
]
USAGE_URL = "/api/subscription/usage"
UseCookie = Annotated[
    bool,
    Meta(
        description="Set an HttpOnly session cookie and its CSRF token, for web pages; the body then holds no token.",
        examples=[False],
    ),
]
KeepApiKeys = Annotated[
    bool, Meta(description="Keep API keys; otherwise they end with the sessions.", examples=[False])
]
AccountLanguage = Annotated[Language, Meta(description="The language of mails.", examples=["en"])]
MailClipsReady = Annotated[
    bool,
    Meta(description="Mail the user once all clips of a recording that were asked for are made.", examples=[False]),
]
CurrentPassword = Annotated[str, Meta(max_length=1000, examples=["correct horse battery staple"])]


class SignupRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A new account."""

    email: Email
    password: Password
    display_name: DisplayName = ""
    cookie: UseCookie = False


class LoginRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Credentials of a login."""

    email: Annotated[str, Meta(max_length=254, examples=["ada@example.com"])]
    password: Annotated[str, Meta(max_length=1000, examples=["correct horse battery staple"])]
    code: (
        Annotated[
            str,
            Meta(max_length=40, description="A one-time or recovery code, where one is needed.", examples=["123456"]),
        ]
        | None
    ) = None
    cookie: UseCookie = False


class ExchangeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A token of another issuer."""

    access_token: Annotated[str, Meta(min_length=1, max_length=8192, examples=["eyJhbGciOiJFUzI1NiJ9…"])]
    cookie: UseCookie = True


class LogoutRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The extent of a logout."""

    everywhere: Annotated[
        bool, Meta(description="End every session, reset link and API key of the account.", examples=[False])
    ] = False
    keep_api_keys: KeepApiKeys = False


class VerifyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The token of a verification link."""

    token: LinkToken


class ForgotRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The address of an account whose password was forgotten."""

    email: Annotated[str, Meta(max_length=254, examples=["ada@example.com"])]


class ResetRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The token of a reset link, and the new password."""

    token: LinkToken
    password: Password
    keep_api_keys: KeepApiKeys = False


class ProfileRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes to the account; a new address or password needs the current password."""

    display_name: DisplayName | None = None
    email: Email | None = None
    password: Password | None = None
    current_password: CurrentPassword | None = None
    keep_api_keys: KeepApiKeys = False
    language: AccountLanguage | None = None
    mail_clips_ready: MailClipsReady | None = None


class DeleteAccountRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Proof of the owner for deleting the account; not needed within ten minutes of a login."""

    password: CurrentPassword | None = None


class ApiKeyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A new API key."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["uploader"])]
    scopes: Annotated[
        list[Scope],
        Meta(min_length=1, max_length=2, description="`read` alone allows GET; `write` the rest.", examples=[["read"]]),
    ] = msgspec.field(default_factory=lambda: ["read", "write"])
    expires_at: (
        Annotated[
            TimeText, Meta(description="When the key stops working; null: never.", examples=["2027-01-31T12:00:00Z"])
        ]
        | None
    ) = None


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
    usage_url: Annotated[str, Meta(description="Shows the remaining allowances.")]
    is_admin: Annotated[bool, Meta(examples=[False])]
    email_verified_at: Annotated[datetime | None, Meta(examples=[None])]
    language: AccountLanguage
    mail_clips_ready: MailClipsReady
    pending_email: Annotated[
        str | None,
        Meta(
            description="A new address that a link was mailed to; it takes effect when the link is opened.",
            examples=[None],
        ),
    ] = None


class SessionView(Struct, kw_only=True):
    """A session that was just begun; `id`, `status` and `created_at` are the account's."""

    id: Id
    status: Literal["active", "unverified"]
    created_at: Time
    user: AccountView
    token: Annotated[
        Annotated[
            str,
            Meta(
                description="Send it as `Authorization: Bearer …`. Left out where the session is in a cookie.",
                examples=["eyJhbGciOiJIUzI1NiJ9.…"],
            ),
        ]
        | UnsetType,
        CREDENTIAL,
    ] = UNSET
    token_type: Literal["bearer", "cookie"] = "bearer"  # noqa: S105 - the kind of token, no secret
    expires_at: Time


class ListedSessionView(Struct, kw_only=True):
    """One session of the account."""

    id: Id
    status: Literal["active"] = "active"
    created_at: Time
    method: Annotated[
        Literal["signup", "password", "totp", "recovery_code", "passkey", "external"],
        Meta(description="How its user proved who they are."),
    ]
    user_agent: Annotated[str, Meta(examples=["Mozilla/5.0 (X11; Linux x86_64) …"])]
    address: Annotated[str, Meta(examples=["203.0.113.7"])]
    last_seen_at: Time
    expires_at: Time
    is_current: Annotated[bool, Meta(description="Whether this request belongs to it.", examples=[True])]


class ApiKeyView(Struct, kw_only=True):
    """An API key, without its secret."""

    id: Id
    name: Annotated[str, Meta(examples=["uploader"])]
    prefix: Annotated[str, Meta(description="The key's first characters.", examples=["snk_3fK9xQ"])]
    status: Literal["active", "revoked", "expired"]
    created_at: Time
    scopes: Annotated[list[Scope], Meta(examples=[["read", "write"]])]
    expires_at: Annotated[datetime | None, Meta(examples=[None])]
    last_used_at: Annotated[datetime | None, Meta(examples=[None])]


class NewApiKeyView(ApiKeyView, kw_only=True):
    """An API key; this is the only time that its secret is shown."""

    key: Annotated[
        str | None,
        CREDENTIAL,
        Meta(
            description="Null in the answer to a repeated request: a secret is shown once and not stored.",
            examples=["snk_3fK9xQ…"],
        ),
    ]


class ExportView(Struct, kw_only=True):
    """An archive of everything that the service has of the user."""

    id: Id
    status: Literal["queued", "ready", "failed", "expired"]
    created_at: Time
    size_bytes: Annotated[int | None, Meta(examples=[1048576])]
    expires_at: Annotated[datetime | None, Meta(description="When it is deleted.", examples=[None])]
    url: Annotated[
        str | None,
        CREDENTIAL,
        Meta(description="Where to download it, for an hour; null until it is ready.", examples=[None]),
    ]


class ExportJobView(Struct, kw_only=True):
    """An archive, and the job that makes it."""

    export: ExportView
    job: JobView


def export_view(export: Export, *, url: str | None) -> ExportView:
    """Show an archive."""
    return ExportView(
        id=export.id,
        status=export.status,
        created_at=export.created_at,
        size_bytes=export.size_bytes,
        expires_at=export.expires_at,
        url=url,
    )


def account_fields(account: Account) -> dict[str, Any]:
    """Return the fields of an account that clients see."""
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
        "language": account.language,
        "mail_clips_ready": account.mail_clips_ready,
    }


def account_view(account: Account, *, pending_email: str | None = None) -> AccountView:
    """Show an account."""
    return AccountView(**account_fields(account), pending_email=pending_email)


def session_view(account: Account, session: Session, *, in_body: bool) -> SessionView:
    """Show a new session, with its token unless that is in a cookie."""
    user = account_view(account)
    return SessionView(
        id=user.id,
        status=user.status,
        created_at=user.created_at,
        user=user,
        token=session.token if in_body else UNSET,
        token_type="bearer" if in_body else "cookie",
        expires_at=session.expires_at,
    )


def listed_session_view(session: SessionRow, *, current_id: UUID | None) -> ListedSessionView:
    """Show one of a user's sessions."""
    return ListedSessionView(
        id=session.id,
        created_at=session.created_at,
        method=session.method,
        user_agent=session.user_agent,
        address=session.address,
        last_seen_at=session.last_seen_at,
        expires_at=session.expires_at,
        is_current=session.id == current_id,
    )


def api_key_view(key: ApiKey, *, now: datetime) -> ApiKeyView:
    """Show a key without its secret."""
    return ApiKeyView(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        status=_status_of(key, now),
        created_at=key.created_at,
        scopes=key.scopes,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def new_api_key_view(key: ApiKey, secret: str | None, *, now: datetime) -> NewApiKeyView:
    """Show a key with its secret, once."""
    return NewApiKeyView(**msgspec.structs.asdict(api_key_view(key, now=now)), key=secret)


def _status_of(key: ApiKey, now: datetime) -> Literal["active", "revoked", "expired"]:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"
