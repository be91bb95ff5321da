"""E-mail addresses: their check, and the form in which they are stored."""

import re

from services.errors import InvalidFieldError
from services.sanitising import is_deceptive

MAX_LENGTH = 254  # RFC 5321: a path has at most 256 octets, with its two brackets
EMAIL = re.compile(r"[^\s@<>(),;:\\\"\[\]]{1,64}@[^\s@<>(),;:\\\"\[\]]+\.[^\s@<>(),;:\\\"\[\].]{2,}")


def is_email(email: str) -> bool:
    """Return whether a text, stripped and in lower case, may be an address."""
    return len(email) <= MAX_LENGTH and EMAIL.fullmatch(email) is not None and not is_deceptive(email)


def clean_email(email: str, *, field: str = "email") -> str:
    """Return an address as it is stored; InvalidFieldError when it cannot be one."""
    email = email.strip().lower()
    if not is_email(email):
        raise InvalidFieldError(field, "This is not an e-mail address; it looks like name@example.com.")
    return email
