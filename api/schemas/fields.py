"""Fields that many schemas share, with bounds, meaning and an example."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from db.sorting import Sort
from services.errors import InvalidFieldError
from services.jobs.service import JobError

Id = Annotated[UUID, Meta(description="Never changes.", examples=["0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e"])]
Time = Annotated[datetime, Meta(description="UTC.", examples=["2026-01-31T12:00:00Z"])]
TimeText = Annotated[
    str,
    Meta(
        max_length=40,
        description="A time with its zone, or a date, which stands for its midnight in UTC.",
        examples=["2026-12-31T12:00:00Z"],
    ),
]
PictureUrl = Annotated[str | None, CREDENTIAL, Meta(description="A picture, for some hours.", examples=[None])]
Title = Annotated[str, Meta(min_length=1, max_length=300, examples=["Friday talk"])]
Description = Annotated[str, Meta(max_length=5000, examples=["The moment when the demo worked."])]
Seconds = Annotated[float, Meta(ge=0, description="Seconds from the start of the recording.", examples=[12.5])]
EndSeconds = Annotated[float, Meta(ge=0, description="Seconds from the start of the recording.", examples=[34.0])]
CoreSeconds = Annotated[float, Meta(ge=0, description="Seconds from the start of the recording.", examples=[21.5])]
Score = Annotated[float, Meta(ge=0, le=1, examples=[0.82])]
Sensitivity = Annotated[
    float,
    Meta(
        ge=0,
        le=1,
        description="The least score that counts: 0.5 takes most moments, 0.7 is balanced, 0.9 takes only peaks.",
        examples=[0.7],
    ),
]
Top = Annotated[int, Meta(ge=1, le=500, description="At most so many, best first.", examples=[5])]
Loudness = Annotated[float, Meta(ge=-70, le=-5, description="Target in LUFS (EBU R128).", examples=[-14.0])]
Email = Annotated[str, Meta(min_length=3, max_length=254, examples=["ada@example.com"])]
Password = Annotated[
    str,
    Meta(min_length=8, max_length=200, description="8 to 200 characters.", examples=["correct horse battery staple"]),
]


class ErrorDetails(Struct, kw_only=True):
    """An error in plain words, with a remedy."""

    code: Annotated[str, Meta(examples=["not_media"])]
    message: Annotated[str, Meta(examples=["This is not a media file that can be read."])]
    remedy: Annotated[str, Meta(examples=["Send a video or audio file such as MP4."])]
    retryable: Annotated[bool, Meta(description="Whether trying again can help.", examples=[False])]
    stream: Annotated[int | None, Meta(description="The stream of the file that it is about.", examples=[None])]
    time_s: Annotated[float | None, Meta(description="Where in the recording, if that is known.", examples=[None])]


def error_details(error: JobError | None) -> ErrorDetails | None:
    """Return an error as clients see it."""
    return None if error is None else msgspec.convert(error, ErrorDetails, from_attributes=True)


RecordingStatus = Literal["uploading", "live", "processing", "ready", "failed"]
ClipStatus = Literal["queued", "processing", "completed", "failed", "cancelled", "expired"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Platform = Literal["twitter", "facebook", "whatsapp", "reddit", "direct_link", "embed", "download"]

Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many a page holds.")]
SortParameter = Annotated[
    Sort, QueryParameter(description="The order. A cursor continues the order that it was given in, and no other.")
]
CursorParameter = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]
Search = Annotated[
    str | None,
    QueryParameter(min_length=1, max_length=200, description="A part of it; case is ignored."),
]
TimeParameter = Annotated[
    str | None,
    QueryParameter(max_length=40, description="A time with its zone, or a date, which stands for its midnight in UTC."),
]
OwnerParameter = Annotated[str | None, QueryParameter(max_length=254, description="The owner's id or email address.")]
DEFAULT_LIMIT = 50


def owner_of(text: str | None) -> tuple[UUID | None, str | None]:
    """Return an owner's id or address, whichever was given."""
    if text is None:
        return None, None
    try:
        return UUID(text), None
    except ValueError:
        return None, text


def time_of(field: str, text: str | None) -> datetime | None:
    """Return a time given as RFC 3339 with its zone, or midnight in UTC of a plain date. Raises InvalidFieldError."""
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{field} must be a date such as 2026-01-31 or a time such as 2026-01-31T12:00:00Z."
        raise InvalidFieldError(field, message) from error
    if found.tzinfo is None:
        message = f"{field} must say its time zone: 2026-01-31T12:00:00Z for UTC, or 2026-01-31T13:00:00+01:00."
        raise InvalidFieldError(field, message)
    try:
        return found.astimezone(UTC)
    except OverflowError as error:
        raise InvalidFieldError(field, f"{field} must be a time between the years 1 and 9999.") from error
