"""Pages of a list. An opaque cursor names the last row of a page, so added or deleted rows do not shift pages."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from db.sorting import Position, Sort, SortKey
from services.errors import InvalidFieldError

T = TypeVar("T")
TimeCursor = tuple[datetime, UUID]
ScoreCursor = tuple[float, UUID]
MAX_CURSOR_LENGTH = 2000  # ours have about 90 characters, and with a title up to 1,700


class Listed(Protocol):
    """A row of a list that can be sorted."""

    @property
    def id(self) -> UUID:
        """Return the id."""

    @property
    def created_at(self) -> datetime:
        """Return the time of creation."""

    @property
    def title(self) -> str:
        """Return the title."""


L = TypeVar("L", bound=Listed)


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """A page of rows, and the cursor of the next page; None on the last one."""

    items: list[T]
    next_cursor: str | None


def encode_cursor(position: TimeCursor | ScoreCursor) -> str:
    """Encode a position as a cursor, which is opaque to clients."""
    return _encode(position)


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


def decode_sort_cursor(text: str | None, sort: Sort) -> Position | None:
    """Read a cursor of a list in this order; InvalidFieldError when it is invalid, or of another order."""
    match sort:
        case "newest":
            return decode_time_cursor(text)
        case _ if text is None:
            return None
        case "oldest":
            _, at, row_id = _decode(text, tuple[Literal["oldest"], datetime, UUID])
            return at if at.tzinfo else at.replace(tzinfo=UTC), row_id
        case "longest":
            _, length_s, row_id = _decode(text, tuple[Literal["longest"], float, UUID])
            return length_s, row_id
        case "name":
            _, title, row_id = _decode(text, tuple[Literal["name"], str, UUID])
            if "\0" in title:
                raise _invalid()
            return title, row_id


def sorted_page_of(rows: Sequence[L], limit: int, sort: Sort, *, length_s: Callable[[L], float]) -> Page[L]:
    """Make a page as `page_of` does, with a cursor that continues this order."""
    if len(rows) <= limit:
        return Page(items=list(rows), next_cursor=None)
    last = rows[limit - 1]
    keys: dict[Sort, SortKey] = {"longest": length_s(last), "name": last.title}
    key = keys.get(sort, last.created_at)
    position = (key, last.id) if sort == "newest" else (sort, key, last.id)
    return Page(items=list(rows[:limit]), next_cursor=_encode(position))


def page_of(rows: Sequence[T], limit: int, positions: Sequence[TimeCursor] | Sequence[ScoreCursor]) -> Page[T]:
    """Make a page of up to `limit` rows from a query for `limit + 1`; `positions` are the cursors of the rows."""
    if len(rows) <= limit:
        return Page(items=list(rows), next_cursor=None)
    return Page(items=list(rows[:limit]), next_cursor=encode_cursor(positions[limit - 1]))


def _encode(position: tuple[object, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).rstrip(b"=").decode()


def _invalid() -> InvalidFieldError:
    return InvalidFieldError("cursor", "This cursor is not one of ours; start again without it.")


def _decode(text: str, kind: type[T]) -> T:
    try:
        data = base64.b64decode(
            text[:MAX_CURSOR_LENGTH].encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        return msgspec.json.decode(data, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise _invalid() from error
