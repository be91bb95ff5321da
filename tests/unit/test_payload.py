from typing import Any
from uuid import uuid4

import msgspec
import pytest
from support.jobs import job

from services.jobs.payload import (
    PAYLOADS,
    DeleteObjectsPayload,
    DetectPayload,
    ImportPayload,
    ScoreOptions,
    TidyClipPayload,
    as_json,
    payload_of,
)
from services.jobs.service import KINDS

CLIP_ID = uuid4()


@pytest.mark.parametrize(
    ("kind", "payload", "stored"),
    [
        ("import", ImportPayload(url="https://example.org/a"), {"url": "https://example.org/a"}),
        ("tidy_clip", TidyClipPayload(clip_id=CLIP_ID), {"clip_id": str(CLIP_ID)}),
        (
            "detect",
            DetectPayload(options=ScoreOptions(min_s=8.0)),
            {"options": {"min_s": 8.0}, "store": True, "auto_clips": None},
        ),
    ],
)
def test_payload_survives_its_row(kind: str, payload: Any, stored: dict[str, Any]) -> None:
    assert as_json(kind, payload) == stored
    assert payload_of(job(kind=kind, payload=stored), type(payload)) == payload


def test_payload_of_another_kind_raises() -> None:
    with pytest.raises(TypeError, match="delete_objects does not take a TidyClipPayload"):
        as_json("delete_objects", TidyClipPayload(clip_id=CLIP_ID))


def test_row_that_does_not_fit_raises() -> None:
    with pytest.raises(msgspec.ValidationError):
        payload_of(job(payload={"bucket": "secrets", "prefix": "x/"}), DeleteObjectsPayload)


def test_payload_of_a_row_without_options_has_defaults() -> None:
    assert payload_of(job(payload={}), DetectPayload) == DetectPayload()


def test_every_payload_belongs_to_a_kind() -> None:
    assert set(PAYLOADS) <= set(KINDS)
