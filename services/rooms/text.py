"""Names and messages as people write them: kept as they are, as long as there is something to see."""

import unicodedata

from services.errors import InvalidFieldError

MAX_NAME = 100
MAX_MODE = 200
MAX_CONTENT = 2000
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Co", "Cn"})
"""Unicode categories that show nothing: controls, formats (bidirectional marks among them), spaces."""


def has_visible(text: str) -> bool:
    """Say whether any character of a text shows."""
    return any(unicodedata.category(char) not in INVISIBLE for char in text)


def clean_name(name: str, *, field: str = "name") -> str:
    """Return a name without outer spaces; InvalidFieldError when nothing of it shows or it is too long."""
    limit = MAX_MODE if field == "mode" else MAX_NAME
    return _clean(name, field=field, limit=limit)


def clean_display_name(name: str) -> str:
    """Return the name that somebody is seen under; InvalidFieldError when nothing of it shows."""
    return _clean(name, field="display_name", limit=MAX_NAME)


def clean_content(content: str) -> str:
    """Return a message as it was written; InvalidFieldError when nothing of it shows or it is too long."""
    if len(content) > MAX_CONTENT or not has_visible(content):
        raise InvalidFieldError("content", f"A message has 1 to {MAX_CONTENT} characters, and something to see.")
    _refuse_nul("content", content)
    return content


def _clean(text: str, *, field: str, limit: int) -> str:
    cleaned = text.strip()
    if len(cleaned) > limit or not has_visible(cleaned):
        raise InvalidFieldError(field, f"{field} must have 1 to {limit} characters, and something to see.")
    _refuse_nul(field, cleaned)
    return cleaned


def _refuse_nul(field: str, text: str) -> None:
    if "\0" in text:
        raise InvalidFieldError(field, "Text must not hold the character U+0000.")
