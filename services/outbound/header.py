"""Values of response headers that strangers' servers send."""

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
    except (LookupError, ValueError):  # a character set that does not exist, or bytes that are not of it
        return ""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    return "".join(character for character in last if character.isprintable())[:MAX_NAME_LENGTH].strip(". ")


def pause_of(retry_after: str, *, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header (RFC 9110 §10.2.3) asks to wait; None when it asks for none."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, (at - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None
