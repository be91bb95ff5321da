"""Checks of addresses and secrets in the environment."""

from collections.abc import Mapping
from urllib.parse import urlsplit

_HTTP = ("http", "https")
_REDIS = ("redis", "rediss", "unix")
_POSTGRESQL = ("postgresql", "postgres")
# With another scheme, a client library fails later with a message about its internals.
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "DATABASE_URL": _POSTGRESQL,
    "MIGRATION_DATABASE_URL": _POSTGRESQL,
    "REDIS_URL": _REDIS,
    "BROKER_URL": (*_REDIS, "amqp", "amqps"),
    "PUBLIC_URL": _HTTP,
    "S3_ENDPOINT": _HTTP,
    "S3_PUBLIC_ENDPOINT": _HTTP,
    "SUPABASE_JWKS_URL": _HTTP,
    "CLIPS_PUBLIC_BASE_URL": _HTTP,
    "SENTRY_DSN": _HTTP,
    "STRIPE_API_BASE": _HTTP,
    "SMTP_URL": ("smtp", "smtps"),
}
# Secrets of published examples, such as Supabase's, which attackers try first.
PLACEHOLDERS = ("changeme", "change-me", "change_me", "your-", "your_", "super-secret", "placeholder")
MIN_CHARACTERS = 8  # distinct characters; 32 random bytes in hexadecimal have about all 16


def address_problem(environment: Mapping[str, str]) -> str | None:
    """Return a sentence about the first invalid address, without the address, which may contain a password."""
    for name, schemes in SCHEMES.items():
        value = environment.get(name)
        if value and not _is_address(value, schemes):
            return f"{name} is not an address; it begins with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    return None


def is_guessable(secret: str) -> bool:
    """Return whether a secret is a placeholder, or has too few different characters to be random."""
    lowered = secret.lower()
    return len(set(secret)) < MIN_CHARACTERS or any(word in lowered for word in PLACEHOLDERS)


def _is_address(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    is_conninfo = schemes == _POSTGRESQL and "://" not in value and "=" in value  # the other format of libpq
    return parts.scheme in schemes or is_conninfo
