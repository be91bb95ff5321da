"""Webhooks and their deliveries, as clients see them."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Id, Time
from services.webhooks.service import Delivery, EventType, Webhook

WebhookUrl = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        description="An http(s) address on the public Internet. It gets a POST for each event.",
        examples=["https://app.example.com/hooks/snuggles"],
    ),
]
WebhookEvents = Annotated[
    list[EventType],
    Meta(min_length=1, max_length=20, description="The events to send.", examples=[["clip.completed", "clip.failed"]]),
]
DeliveryStatus = Literal["pending", "delivered", "failed"]


class WebhookRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A receiver of events."""

    url: WebhookUrl
    events: WebhookEvents


class WebhookView(Struct, kw_only=True):
    """A webhook."""

    id: Id
    status: Annotated[Literal["enabled", "disabled"], Meta(description="Disabled after three days without a success.")]
    created_at: Time
    url: WebhookUrl
    events: WebhookEvents
    disabled_at: Time | None
    disabled_reason: Annotated[str | None, Meta(examples=[None])]
    failing_since: Annotated[Time | None, Meta(description="The time of the first failure since the last success.")]
    last_success_at: Time | None


class NewWebhookView(WebhookView, kw_only=True):
    """A new webhook."""

    secret: Annotated[
        str | None,
        CREDENTIAL,
        Meta(
            description="The secret of the signatures. Keep it: it is shown once, and null in the answer to a repeat.",
            examples=["whsec_Zk3v…"],
        ),
    ]


class DeliveryErrorView(Struct, kw_only=True):
    """Why an attempt at a delivery failed."""

    code: Annotated[str, Meta(examples=["refused"])]
    message: Annotated[str, Meta(examples=["The receiver answered 500; it must answer with a 2xx status."])]


class DeliveryView(Struct, kw_only=True):
    """A delivery of an event to a webhook, with the receiver's answer."""

    id: Annotated[UUID, Meta(description="Sent as Idempotency-Key; the same at every attempt.")]
    status: DeliveryStatus
    created_at: Time
    webhook_id: UUID
    event_id: UUID
    event: Annotated[str, Meta(examples=["clip.completed"])]
    recording_id: UUID | None
    clip_id: UUID | None
    replay_of: Annotated[UUID | None, Meta(description="The delivery that this one repeats.", examples=[None])]
    attempts: Annotated[int, Meta(examples=[1])]
    next_attempt_at: Annotated[
        Time | None, Meta(description="Null while it waits for an earlier event of the same clip.")
    ]
    last_attempt_at: Time | None
    duration_ms: Annotated[int | None, Meta(description="Of the last attempt.", examples=[84])]
    response_status: Annotated[int | None, Meta(examples=[200])]
    response_excerpt: Annotated[str | None, Meta(description="The first KiB of the answer.", examples=["ok"])]
    error: Annotated[DeliveryErrorView | None, Meta(description="Why the last attempt failed.")]
    finished_at: Time | None


def webhook_view(webhook: Webhook) -> WebhookView:
    """Return a webhook as clients see it."""
    return WebhookView(**_fields(webhook))


def new_webhook_view(webhook: Webhook, secret: str | None) -> NewWebhookView:
    """Return a new webhook with its secret."""
    return NewWebhookView(**_fields(webhook), secret=secret)


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return a delivery as clients see it."""
    return DeliveryView(
        id=delivery.id,
        status=delivery.status,
        created_at=delivery.created_at,
        webhook_id=delivery.webhook_id,
        event_id=delivery.event_id,
        event=delivery.event_type,
        recording_id=delivery.recording_id,
        clip_id=delivery.clip_id,
        replay_of=delivery.replay_of,
        attempts=delivery.attempts,
        next_attempt_at=delivery.next_attempt_at,
        last_attempt_at=delivery.last_attempt_at,
        duration_ms=delivery.duration_ms,
        response_status=delivery.response_status,
        response_excerpt=delivery.response_excerpt,
        error=msgspec.convert(delivery.error, DeliveryErrorView | None, from_attributes=True),
        finished_at=delivery.finished_at,
    )


def _fields(webhook: Webhook) -> dict[str, Any]:
    shown = msgspec.structs.asdict(webhook)
    return {name: shown[name] for name in WebhookView.__struct_fields__}
