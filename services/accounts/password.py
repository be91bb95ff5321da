"""Passwords: their length, their hashes, and the comparison."""

import threading
from functools import cache

import argon2

from services.errors import InvalidFieldError

# OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane; about 20 ms a try on one core.
HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Each hash takes a core and 19 MiB: more at once would only take memory.
_HASHING = threading.BoundedSemaphore(4)
MIN_PASSWORD_LENGTH = 8  # NIST SP 800-63B §5.1.1
MAX_PASSWORD_LENGTH = 200  # longer ones only cost time


def check_password(password: str, *, field: str = "password") -> None:
    """Raise InvalidFieldError unless the password has an acceptable length."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidFieldError(
            field, f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters; choose another one."
        )


def hash_password(password: str) -> str:
    """Return the hash of a password."""
    with _HASHING:
        return HASHER.hash(password)


def matches(stored: str | None, password: str) -> bool:
    """Return whether a password matches the stored hash; takes as long if none is stored."""
    try:
        expected = stored or _dummy_hash()
        with _HASHING:
            return HASHER.verify(expected, password[: MAX_PASSWORD_LENGTH + 1]) and stored is not None
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def needs_rehash(stored: str) -> bool:
    """Return whether a hash was made with older parameters."""
    return HASHER.check_needs_rehash(stored)


@cache
def _dummy_hash() -> str:
    return HASHER.hash("no account has this password")
