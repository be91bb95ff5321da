"""Pages of a list. An opaque cursor names the last row of a page, so added or deleted rows do not shift pages."""

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
    """A page of rows, and the cursor of the next page; None on the last one."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(position: TimeCursor | ScoreCursor) -> str:
    """Encode a position as a cursor, which is opaque to clients."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def decode_time_cursor(text: str | None) -> TimeCursor | None:
    """Decode a cursor of a list by time; InvalidFieldError if it is invalid."""
    if text is None:
        return None
    at, row_id = _decode(text, tuple[datetime, UUID])
    # A time without its zone would be read in the server's zone.
    return (at if at.tzinfo else at.replace(tzinfo=UTC), row_id)


def decode_score_cursor(text: str | None) -> ScoreCursor | None:
    """Decode a cursor of a list by score; InvalidFieldError if it is invalid."""
    return None if text is None else _decode(text, tuple[float, UUID])


def page_of(rows: Sequence[T], limit: int, positions: Sequence[TimeCursor] | Sequence[ScoreCursor]) -> Page[T]:
    """Make a page of up to `limit` rows from a query for `limit + 1`; `positions` are the cursors of the rows."""
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
