"""The languages that mails and public pages are written in."""

import re
from datetime import datetime
from typing import get_args

from db.mails import Language

__all__ = ["Language"]

LANGUAGES: tuple[Language, ...] = get_args(Language)
DEFAULT: Language = "en"
ACCEPTED = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]{1,30})?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?")
MAX_HEADER = 500
GERMAN_MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni"),
    *("Juli", "August", "September", "Oktober", "November", "Dezember"),
)


def preferred(accept_language: str) -> Language:
    """Return the preferred known language of an Accept-Language header (RFC 9110, 12.5.4), else English."""
    liked: dict[Language, float] = {}
    for part in accept_language[:MAX_HEADER].split(","):
        found = ACCEPTED.fullmatch(part)
        if found is None:
            continue
        for language in LANGUAGES:
            if found[1].lower() == language:
                liked[language] = max(liked.get(language, 0.0), float(found[2] or 1))
    best = max(liked, key=lambda language: liked[language], default=DEFAULT)
    return best if liked.get(best, 0.0) > 0 else DEFAULT


def day(at: datetime, language: Language) -> str:
    """Return a date in the format of the language."""
    if language == "de":
        return f"{at.day}. {GERMAN_MONTHS[at.month - 1]} {at.year}"
    return f"{at.day} {at:%B %Y}"
