from typing import Any

import msgspec
import pytest

from api.http.validation import invalid_body
from api.schemas.clips import AutoGenerateRequest, ClipRequest
from api.schemas.recordings import CompleteRequest, RecordingRequest, ScoreRequest

ID = "0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e"
CLIP = {"recording_id": ID, "start_s": 1, "end_s": 9}
RECORDING = {"filename": "a.mp4", "size_bytes": 5, "content_type": "video/mp4"}


@pytest.mark.parametrize(
    ("schema", "body", "field", "message"),
    [
        (ClipRequest, {"recording_id": ID, "start_s": 1}, "end_s", "end_s is missing."),
        (ClipRequest, {**CLIP, "start_s": "1"}, "start_s", "start_s must be a number, not text."),
        (ClipRequest, {**CLIP, "start_s": -1}, "start_s", "start_s must be at least 0."),
        (
            RecordingRequest,
            {**RECORDING, "size_bytes": 5.5},
            "size_bytes",
            "size_bytes must be a whole number, without a fraction.",
        ),
        (ClipRequest, {**CLIP, "start_s": None}, "start_s", "start_s must be a number, not null."),
        (ClipRequest, {**CLIP, "begin": 1}, "begin", "There is no field begin here; check the spelling."),
        (ClipRequest, {**CLIP, "recording_id": "7"}, "recording_id", "recording_id must be an id (a UUID)."),
        (
            ClipRequest,
            {**CLIP, "preset": "wide"},
            "preset",
            "preset must be one of original, 720p, vertical, square, audiogram.",
        ),
        (ClipRequest, {**CLIP, "formats": ["mp4", "avi"]}, "formats", "formats[1] must be one of mp4, webm, mp3."),
        (ClipRequest, {**CLIP, "formats": []}, "formats", "formats must have at least 1 entry."),
        (ClipRequest, {**CLIP, "formats": "mp4"}, "formats", "formats must be a list or null, not text."),
        (ClipRequest, {**CLIP, "title": "x" * 301}, "title", "title must have at most 300 characters."),
        (ClipRequest, [], "body", "body must be an object, not a list."),
        (
            AutoGenerateRequest,
            {"recording_id": ID, "sensitivity": 1.5},
            "sensitivity",
            "sensitivity must be at most 1.",
        ),
        (
            AutoGenerateRequest,
            {"recording_id": ID, "top": 2.5},
            "top",
            "top must be a whole number, without a fraction.",
        ),
        (RecordingRequest, {**RECORDING, "size_bytes": 0}, "size_bytes", "size_bytes must be at least 1."),
        (
            RecordingRequest,
            {**RECORDING, "size_bytes": True},
            "size_bytes",
            "size_bytes must be a whole number, not true or false.",
        ),
        (CompleteRequest, {"parts": [{"number": 1}]}, "parts", "parts[0].etag is missing."),
        (ScoreRequest, {"weights": {"laughter": "loud"}}, "weights", "weights[...] must be a number, not text."),
    ],
)
def test_wrong_body_is_described_by_field_in_a_sentence(schema: Any, body: Any, field: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(body), type=schema)
    error = invalid_body(caught.value, schema)
    assert (error.details["field"], error.message) == (field, message)
    assert "`" not in error.message


def test_place_inside_a_list_is_told_beside_the_field() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(b'{"parts": [{"number": 0, "etag": "x"}]}', type=CompleteRequest)
    assert invalid_body(caught.value, CompleteRequest).details == {"field": "parts", "path": "parts[0].number"}
