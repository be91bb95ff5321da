"""One-time codes and passkeys, as clients see them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from api.schemas.accounts.account import CurrentPassword, UseCookie
from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Id, Time
from db.second_factors import Passkey

Code = Annotated[str, Meta(min_length=6, max_length=40, examples=["123456"])]
Credential = Annotated[
    dict[str, Any],
    Meta(
        description="What the browser returned, as JSON (`PublicKeyCredential.toJSON()`).",
        examples=[{"id": "k3Jd…", "rawId": "k3Jd…", "type": "public-key", "response": {}}],
    ),
]


class ProofRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Proof of the owner; not needed within ten minutes of a login."""

    password: CurrentPassword | None = None


class CodeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A one-time code."""

    code: Code


class TotpView(Struct, kw_only=True):
    """The state of one-time codes."""

    status: Literal["off", "active"]
    recovery_codes_left: Annotated[int, Meta(examples=[10])]


class EnrolmentView(Struct, kw_only=True):
    """The secret for an authenticator app; it takes effect when a code is confirmed."""

    secret: Annotated[str, CREDENTIAL, Meta(examples=["JBSWY3DPEHPK3PXP"])]
    uri: Annotated[
        str,
        CREDENTIAL,
        Meta(description="To be shown as a QR code.", examples=["otpauth://totp/Big%20Snuggles:ada@example.com"]),
    ]
    status: Literal["pending"] = "pending"


class RecoveryCodesView(Struct, kw_only=True):
    """Codes that each work once instead of one of the app; shown in this answer only."""

    recovery_codes: Annotated[list[str], CREDENTIAL, Meta(examples=[["K7QHW2MNPX"]])]
    status: Literal["active"] = "active"


class PasskeyRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A passkey that the browser has made."""

    name: Annotated[str, Meta(min_length=1, max_length=100, examples=["Laptop"])]
    credential: Credential
    password: CurrentPassword | None = None


class PasskeyLoginRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A passkey's answer to the challenge."""

    credential: Credential
    cookie: UseCookie = False


class PasskeyView(Struct, kw_only=True):
    """A passkey."""

    id: Id
    name: Annotated[str, Meta(examples=["Laptop"])]
    status: Literal["active"] = "active"
    created_at: Time
    last_used_at: Annotated[datetime | None, Meta(examples=[None])]


def passkey_view(passkey: Passkey) -> PasskeyView:
    """Show a passkey."""
    return PasskeyView(
        id=passkey.id, name=passkey.name, created_at=passkey.created_at, last_used_at=passkey.last_used_at
    )
