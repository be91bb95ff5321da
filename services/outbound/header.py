"""Parses response headers of untrusted servers."""

from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

MAX_NAME_LENGTH: Final = 255
MAX_DIGITS: Final = 9


def file_name_of(disposition: str) -> str:
    """Return the file name of a Content-Disposition header (RFC 6266), without folders; empty when it has none."""
    message = Message()
    message["Content-Disposition"] = disposition
    try:
        name = message.get_filename("")
    except (LookupError, ValueError):  # an unknown character set, or bytes that are invalid in it
        return ""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    return "".join(character for character in last if character.isprintable())[:MAX_NAME_LENGTH].strip(". ")


def pause_of(retry_after: str, *, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 §10.2.3); None if it has none."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
