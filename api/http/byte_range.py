"""Range and conditional requests on one object (RFC 9110 §13, §14): pure decisions, no input or output."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from storage.store import ObjectStat

_SINGLE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)


class UnsatisfiableRangeError(Exception):
    """The range begins after the end of the object."""


def choose_range(headers: Mapping[str, str], described: ObjectStat) -> range | None:
    """Return the byte positions that a request asks for, or None for the whole object.

    Malformed and multiple ranges are ignored, as the RFC allows; so is a range whose If-Range does not hold.
    `headers` has lower-case names. UnsatisfiableRangeError when the range holds no byte of the object.
    """
    match = _SINGLE_RANGE.fullmatch(headers.get("range", "").strip())
    if match is None or not _if_range_holds(headers.get("if-range"), described):
        return None
    size_bytes = described.size_bytes
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        start, stop = max(0, size_bytes - int(last)), size_bytes
    else:
        start = int(first)
        stop = min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= stop:
        raise UnsatisfiableRangeError
    return range(start, stop)


def is_unchanged(headers: Mapping[str, str], described: ObjectStat) -> bool:
    """Return whether the client already has this version: If-None-Match, else If-Modified-Since."""
    known = headers.get("if-none-match")
    if known is not None:
        return known.strip() == "*" or described.etag in {_opaque(tag) for tag in known.split(",")}
    since = _http_date(headers.get("if-modified-since"))
    return since is not None and described.modified_at.replace(microsecond=0) <= since


def _if_range_holds(condition: str | None, described: ObjectStat) -> bool:
    if condition is None:
        return True
    if condition.strip().startswith('"'):
        return _opaque(condition) == described.etag
    return _http_date(condition) == described.modified_at.replace(microsecond=0)


def _opaque(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"')


def _http_date(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else None
