"""Answers' fields that give access are marked, and taken out of what is stored."""

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import Struct

from api import schemas
from api.schemas.credentials import credentials_of, without_credentials
from api.schemas.recordings import UploadPartView, UploadView

SPEAKING = ("token", "secret", "key", "uri", "url", "recovery_codes")
PUBLIC = {
    # Relative addresses, public pages, what the owner gave us, and Stripe's own invoice page.
    *(("CheckQuotaView", "upgrade_url"), ("UsageView", "upgrade_url"), ("AccountView", "usage_url")),
    *(("ShareView", "url"), ("ShareView", "embed_url"), ("ShareView", "share_url")),
    *(("OEmbedView", "provider_url"), ("OEmbedView", "thumbnail_url")),
    *(
        ("RecordingView", "source_url"),
        ("WebhookView", "url"),
        ("NewWebhookView", "url"),
        ("OperatorDeliveryView", "url"),
    ),
    ("PaymentView", "invoice_url"),
}


def views() -> Iterator[type[Struct]]:
    for module in pkgutil.walk_packages(schemas.__path__, "api.schemas."):
        for kind in vars(importlib.import_module(module.name)).values():
            is_ours = isinstance(kind, type) and kind.__module__ == module.name and issubclass(kind, Struct)
            if is_ours and not kind.__name__.endswith("Request"):
                yield kind


def test_every_field_that_sounds_like_a_credential_is_marked_or_known_to_be_public() -> None:
    for kind in views():
        for field in msgspec.structs.fields(kind):
            if field.name in SPEAKING or field.name.endswith(("_url", "_token", "_secret", "_key")):
                is_marked = field.name in credentials_of(kind)
                assert is_marked != ((kind.__name__, field.name) in PUBLIC), f"{kind.__name__}.{field.name}"


def test_credentials_are_taken_out_at_any_depth() -> None:
    part = UploadPartView(number=1, url="https://storage.example/?X-Amz-Signature=1", expires_at=datetime.now(UTC))
    plain, has_any = without_credentials({"upload": UploadView(part_size_bytes=5, parts=[part])})
    assert has_any
    assert plain["upload"]["parts"][0] == {"number": 1, "url": None, "expires_at": msgspec.to_builtins(part.expires_at)}


@pytest.mark.parametrize("value", [None, 1, "text", [1, {"a": "b"}], datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_holds_no_credential_is_plain_data(value: object) -> None:
    assert without_credentials(value) == (msgspec.to_builtins(value), False)
