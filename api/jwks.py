"""The keys that Supabase publishes, fetched when a token names one that is not known yet."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import jwt
from jwt import PyJWK, PyJWKClient

from services.errors import UnavailableError
from services.tokens import FindKey

FETCH_TIMEOUT_S = 5
KEEP_S = 600  # a key that its owner withdrew is believed no longer than this
# A token with a made-up key id must not make us fetch again and again.
LEAST_PAUSE_S = 15.0


class PublishedKeys:
    """Finds published keys by id. Safe for many threads."""

    def __init__(self, url: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_TIMEOUT_S)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched_at: float | None = None

    def find(self, key_id: str | None) -> PyJWK | None:
        """Return a key; None when there is none of this id, UnavailableError when the keys cannot be fetched."""
        with self._lock:
            age_s = None if self._fetched_at is None else self._monotonic() - self._fetched_at
            is_stale = age_s is None or age_s > KEEP_S
            if is_stale or (key_id not in self._keys and age_s is not None and age_s > LEAST_PAUSE_S):
                self._fetch()
            return self._keys.get(key_id)

    def _fetch(self) -> None:
        try:
            fetched: Any = self._client.get_jwk_set(refresh=True)
        except (jwt.PyJWTError, URLError, OSError, ValueError) as error:
            raise UnavailableError(
                "The keys of the identity provider cannot be fetched; try again in a moment."
            ) from error
        self._keys = {key.key_id: key for key in fetched.keys if key.public_key_use in ("sig", None)}
        self._fetched_at = self._monotonic()


def open_keys(url: str | None) -> FindKey | None:
    """Return what finds published keys, or None when tokens of others are not accepted."""
    return PublishedKeys(url).find if url else None
