"""Pages of a list: an opaque cursor names the last row of a page, so rows that come or go move nothing."""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from services.errors import InvalidFieldError

T = TypeVar("T")
TimeCursor = tuple[datetime, UUID]
ScoreCursor = tuple[float, UUID]
MAX_CURSOR_LENGTH = 200  # ours have about 90 characters


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """Some rows, and the cursor of the next ones; None when these were the last."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(position: TimeCursor | ScoreCursor) -> str:
    """Write a position as text that a client hands back unread."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_time_cursor(text: str | None) -> TimeCursor | None:
    """Read a cursor of a list by time; InvalidFieldError when it is invalid."""
    if text is None:
        return None
    at, row_id = _decode(text, tuple[datetime, UUID])
    # A moment without its zone would be read as the server's own.
    return (at if at.tzinfo else at.replace(tzinfo=UTC), row_id)


def decode_score_cursor(text: str | None) -> ScoreCursor | None:
    """Read a cursor of a list by score; InvalidFieldError when it is invalid."""
    return None if text is None else _decode(text, tuple[float, UUID])


def page_of(rows: Sequence[T], limit: int, positions: Sequence[TimeCursor] | Sequence[ScoreCursor]) -> Page[T]:
    """Make a page of up to `limit` rows out of `limit + 1` that were asked for; `positions` are the rows' own."""
    if len(rows) <= limit:
        return Page(items=list(rows), next_cursor=None)
    return Page(items=list(rows[:limit]), next_cursor=encode_cursor(positions[limit - 1]))


def _decode(text: str, kind: type[T]) -> T:
    try:
        data = base64.b64decode(
            text[:MAX_CURSOR_LENGTH].encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        return msgspec.json.decode(data, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise InvalidFieldError("cursor", "This cursor is not one of ours; start again without it.") from error
