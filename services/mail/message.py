"""The kinds of mail: one struct each, with the fields of its template."""

from datetime import datetime
from typing import Literal, get_args

import msgspec
from msgspec import Struct


class Verification(Struct, frozen=True, kw_only=True, tag="verification"):
    """To a new user, to confirm the address. The link is made when the mail is sent."""

    signup_id: str | None = None
    """The sign-up to confirm; None for a user who has an account already."""


class SignupKnown(Struct, frozen=True, kw_only=True, tag="signup_known"):
    """To the owner of an address that somebody signed up with again."""


class PasswordReset(Struct, frozen=True, kw_only=True, tag="password_reset"):
    """To a user who forgot the password. The link is made when the mail is sent."""


class PasswordChanged(Struct, frozen=True, kw_only=True, tag="password_changed"):
    """To a user whose password was changed or reset."""


class ConfirmEmail(Struct, frozen=True, kw_only=True, tag="confirm_email"):
    """To the new address of a user. The link is made when the mail is sent."""


class EmailChanged(Struct, frozen=True, kw_only=True, tag="email_changed"):
    """To the old address of a user."""

    new_email: str


class NewSignInMethod(Struct, frozen=True, kw_only=True, tag="new_sign_in_method"):
    """To a user who added or removed a passkey or one-time codes."""

    method: Literal["totp", "passkey"]
    name: str = ""
    """Of the passkey."""


class TrialEnding(Struct, frozen=True, kw_only=True, tag="trial_ending"):
    """To a user whose trial is about to become a paid subscription, or to end."""

    tier: str
    ends_at: datetime
    amount_cents: int
    currency: str
    will_renew: bool


class PaymentFailed(Struct, frozen=True, kw_only=True, tag="payment_failed"):
    """To a user whose payment was declined."""

    tier: str
    amount_cents: int
    currency: str
    grace_ends_at: datetime | None = None
    next_attempt_at: datetime | None = None


class SubscriptionEnded(Struct, frozen=True, kw_only=True, tag="subscription_ended"):
    """To a user who is back on the free tier."""

    tier: str


class WithdrawalConfirmed(Struct, frozen=True, kw_only=True, tag="withdrawal_confirmed"):
    """To a consumer who withdrew from the contract: time, tier and refund."""

    tier: str
    received_at: datetime
    refund_cents: int
    currency: str


class ExportReady(Struct, frozen=True, kw_only=True, tag="export_ready"):
    """To a user whose archive can be downloaded."""

    expires_at: datetime


class ClipsReady(Struct, frozen=True, kw_only=True, tag="clips_ready"):
    """To a user whose recording has its clips."""

    recording_title: str
    recording_id: str
    clips: int


class WebhookDisabled(Struct, frozen=True, kw_only=True, tag="webhook_disabled"):
    """To the owner of a webhook that was disabled."""

    host: str
    reason: str


Mail = (
    Verification
    | SignupKnown
    | PasswordReset
    | PasswordChanged
    | ConfirmEmail
    | EmailChanged
    | NewSignInMethod
    | TrialEnding
    | PaymentFailed
    | SubscriptionEnded
    | WithdrawalConfirmed
    | ExportReady
    | ClipsReady
    | WebhookDisabled
)
KINDS: dict[str, type[Mail]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Mail)}


def kind_of(mail: Mail) -> str:
    """Return the name of a mail's kind."""
    return str(type(mail).__struct_config__.tag)


def to_payload(mail: Mail) -> dict[str, object]:
    """Return a mail as plain JSON data."""
    payload: dict[str, object] = msgspec.to_builtins(mail)
    return payload


def from_payload(payload: dict[str, object]) -> Mail:
    """Return the mail of a payload made by `to_payload`; msgspec.ValidationError when it is invalid."""
    mail: Mail = msgspec.convert(payload, Mail)
    return mail
