"""The orders that recordings and clips are listed in."""

from datetime import datetime
from typing import Literal
from uuid import UUID

Sort = Literal["newest", "oldest", "longest", "name"]
SortKey = datetime | float | str
"""What a row is sorted by: its creation, its length in seconds or its title; rows with the same key follow their id."""
Position = tuple[SortKey, UUID]
"""The end of a page: key and id of its last row."""


def newest() -> str:
    """Return the end of a query that lists the newest first, from after the position `after`, `after_id`."""
    return _ordered("created_at", "%(after)s::timestamptz", "DESC")


def oldest() -> str:
    """Return the same for the oldest first."""
    return _ordered("created_at", "%(after)s::timestamptz", "ASC")


def longest(length: str) -> str:
    """Return the same by the length that an expression gives, longest first."""
    return _ordered(length, "%(after)s::double precision", "DESC")


def by_name() -> str:
    """Return the same by the title, in upper or lower case."""
    # The database folds the title of the position itself: Python folds some letters in another way.
    return _ordered("lower(title)", "lower(%(after)s::text)", "ASC")


def _ordered(key: str, after: str, direction: Literal["ASC", "DESC"]) -> str:
    operator = "<" if direction == "DESC" else ">"
    return f"""
  AND (%(after_id)s::uuid IS NULL OR ({key}, id) {operator} ({after}, %(after_id)s::uuid))
ORDER BY {key} {direction}, id {direction} LIMIT %(limit)s
"""
