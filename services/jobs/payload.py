"""The payloads of jobs: one struct per kind, stored as JSON in `jobs.payload`. Kinds that are not listed have none."""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from db.jobs import Job

Bucket = Literal["recordings", "clips"]
BUCKETS: tuple[Bucket, ...] = ("recordings", "clips")


class Payload(Struct, frozen=True, kw_only=True):
    """The base of all payloads. New fields need a default, because rows of earlier versions remain."""


class ImportPayload(Payload, frozen=True, kw_only=True):
    """Fetch a recording from `url`."""

    url: str


class ScoreOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The options of a request for highlights; None where the service chooses."""

    sensitivity: float | None = None
    top: int | None = None
    min_s: float | None = None
    max_s: float | None = None
    weights: dict[str, float] | None = None


class AutoClips(Struct, frozen=True, kw_only=True):
    """The clips to make of the highlights that a detection finds."""

    sensitivity: float | None = None
    top: int | None = None
    preset: str | None = None
    formats: list[str] | None = None
    accuracy: str = "exact"
    loudness: float | None = None
    options: dict[str, Any] = {}


class DetectPayload(Payload, frozen=True, kw_only=True):
    """Score a recording's timeline. `store` replaces its highlights."""

    options: ScoreOptions = ScoreOptions()
    store: bool = True
    auto_clips: AutoClips | None = None


class DeleteObjectsPayload(Payload, frozen=True, kw_only=True):
    """Delete all objects under a prefix."""

    bucket: Bucket
    prefix: str


class TidyClipPayload(Payload, frozen=True, kw_only=True):
    """Delete the objects that earlier attempts left beside a clip's published ones."""

    clip_id: UUID


class RelocateClipPayload(Payload, frozen=True, kw_only=True):
    """Move these objects of a clip to other keys."""

    clip_id: UUID
    objects: dict[str, dict[str, Any]]


class DeliverWebhookPayload(Payload, frozen=True, kw_only=True):
    """Make one attempt at a delivery."""

    delivery_id: UUID


class MailWebhookDisabledPayload(Payload, frozen=True, kw_only=True):
    """Mail the owner of a webhook that it was disabled."""

    webhook_id: UUID


class SendMailPayload(Payload, frozen=True, kw_only=True):
    """Send a row of `mails`."""

    mail_id: UUID


class SyncSubscriptionPayload(Payload, frozen=True, kw_only=True):
    """Sync a user's subscription with Stripe."""

    user_id: UUID


class EndSubscriptionPayload(Payload, frozen=True, kw_only=True):
    """End a deleted account's subscriptions at Stripe."""

    customer_id: str


class UpdateCustomerPayload(Payload, frozen=True, kw_only=True):
    """Copy a user's address to their customer at Stripe."""

    user_id: UUID


class DeleteAccountPayload(Payload, frozen=True, kw_only=True):
    """Delete the rows of an account that was closed."""

    user_id: UUID


class ExportAccountPayload(Payload, frozen=True, kw_only=True):
    """Make the archive of a row of `exports`."""

    export_id: UUID


PAYLOADS: Mapping[str, type[Payload]] = {
    "import": ImportPayload,
    "detect": DetectPayload,
    "delete_objects": DeleteObjectsPayload,
    "tidy_clip": TidyClipPayload,
    "relocate_clip": RelocateClipPayload,
    "deliver_webhook": DeliverWebhookPayload,
    "mail_webhook_disabled": MailWebhookDisabledPayload,
    "send_mail": SendMailPayload,
    "export_account": ExportAccountPayload,
    "delete_account": DeleteAccountPayload,
    "sync_subscription": SyncSubscriptionPayload,
    "end_subscription": EndSubscriptionPayload,
    "update_customer": UpdateCustomerPayload,
}
"""Kind → payload."""

P = TypeVar("P", bound=Payload)


def as_json(kind: str, payload: Payload | None) -> dict[str, Any]:
    """Return the payload as `jobs.payload` stores it; TypeError if it belongs to another kind."""
    if payload is None:
        return {}
    if type(payload) is not PAYLOADS.get(kind):
        raise TypeError(f"a job of kind {kind} does not take a {type(payload).__name__}")
    builtins: dict[str, Any] = msgspec.to_builtins(payload)
    return builtins


def payload_of(job: Job, kind: type[P]) -> P:
    """Return the payload of a job; msgspec.ValidationError when the row does not fit."""
    return msgspec.convert(job.payload, kind)
