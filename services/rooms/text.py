"""Checks names and messages: they need a visible character and are otherwise kept as written."""

import unicodedata

from services.errors import InvalidFieldError

MAX_NAME = 100
MAX_MODE = 200
MAX_CONTENT = 2000
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Co", "Cn"})
"""Unicode categories of invisible characters: controls, formats (such as bidirectional marks), spaces."""


def has_visible(text: str) -> bool:
    """Return whether a text has a visible character."""
    return any(unicodedata.category(char) not in INVISIBLE for char in text)


def clean_name(name: str, *, field: str = "name") -> str:
    """Return a name without outer spaces; InvalidFieldError if it has no visible character or is too long."""
    limit = MAX_MODE if field == "mode" else MAX_NAME
    return _clean(name, field=field, limit=limit)


def clean_display_name(name: str) -> str:
    """Return a person's displayed name; InvalidFieldError if it has no visible character."""
    return _clean(name, field="display_name", limit=MAX_NAME)


def clean_content(content: str) -> str:
    """Return a message unchanged; InvalidFieldError if it has no visible character or is too long."""
    if len(content) > MAX_CONTENT or not has_visible(content):
        raise InvalidFieldError(
            "content", f"A message has 1 to {MAX_CONTENT} characters, at least one of them visible."
        )
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
