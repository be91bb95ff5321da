"""The orders that recordings and clips are listed in."""

from datetime import datetime
from typing import Literal
from uuid import UUID

Sort = Literal["newest", "oldest", "longest", "name"]
SortKey = datetime | float | str
"""Time of creation, length in seconds or title of a row. Rows with the same key are sorted by id."""
Position = tuple[SortKey, UUID]
"""The end of a page: key and id of its last row."""


def newest() -> str:
    """Return the end of a query that lists the newest first, starting after the key `after` and id `after_id`."""
    return _ordered("created_at", "%(after)s::timestamptz", "DESC")


def oldest() -> str:
    """Return the end of such a query that lists the oldest first."""
    return _ordered("created_at", "%(after)s::timestamptz", "ASC")


def longest(length: str) -> str:
    """Return the end of such a query that lists the longest first; `length` is an expression for the length."""
    return _ordered(length, "%(after)s::double precision", "DESC")


def by_name() -> str:
    """Return the end of such a query that sorts by title, ignoring upper and lower case."""
    # The database lowers the key as well: Python lowers some letters differently.
    return _ordered("lower(title)", "lower(%(after)s::text)", "ASC")


def _ordered(key: str, after: str, direction: Literal["ASC", "DESC"]) -> str:
    operator = "<" if direction == "DESC" else ">"
    return f"""
  AND (%(after_id)s::uuid IS NULL OR ({key}, id) {operator} ({after}, %(after_id)s::uuid))
ORDER BY {key} {direction}, id {direction} LIMIT %(limit)s
"""
