"""Supabase's published keys, fetched when a token names an unknown one."""

import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import msgspec
import urllib3
from jwt import PyJWK, PyJWKSet

from services.accounts.token import FindKey
from services.errors import UnavailableError

FETCH_TIMEOUT_S = 5
KEEP_S = 600.0  # a withdrawn key is accepted for at most this long
# A token with a made-up key id must not make us fetch again and again.
LEAST_PAUSE_S = 15.0
# A key server that is down must not hold up every request for the length of a timeout, one after another.
FAILURE_PAUSE_S = 3.0


class PublishedKeys:
    """Finds published keys by id. Safe for many threads.

    `fetch` returns the JSON document of RFC 7517; it may raise OSError, ValueError or urllib3's HTTPError.
    """

    def __init__(self, fetch: Callable[[], Any], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch_document = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched_at: float | None = None
        self._failed_at: float | None = None

    def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id, or None; UnavailableError when the keys cannot be fetched."""
        with self._lock:
            age_s = None if self._fetched_at is None else self._monotonic() - self._fetched_at
            is_unknown = key_id not in self._keys
            if age_s is None or age_s > KEEP_S or (is_unknown and age_s > LEAST_PAUSE_S):
                self._fetch()
            return self._keys.get(key_id)

    def _fetch(self) -> None:
        now_s = self._monotonic()
        if self._failed_at is not None and now_s - self._failed_at < FAILURE_PAUSE_S:
            raise UnavailableError("The keys of the identity provider could not be fetched; try again in a moment.")
        self._failed_at = now_s
        try:
            found = PyJWKSet.from_dict(self._fetch_document())
        except (jwt.PyJWTError, urllib3.exceptions.HTTPError, OSError, ValueError, TypeError, AttributeError) as error:
            raise UnavailableError(
                "The keys of the identity provider cannot be fetched; try again in a moment."
            ) from error
        self._keys = {key.key_id: key for key in found.keys if key.public_key_use in {"sig", None}}
        self._fetched_at, self._failed_at = now_s, None


def open_keys(url: str | None) -> FindKey | None:
    """Return the source of published keys, or None if tokens of other issuers are not accepted."""
    if not url:
        return None
    pool = urllib3.PoolManager(timeout=FETCH_TIMEOUT_S, retries=False)

    def fetch() -> Any:
        answer = pool.request("GET", url)
        if answer.status != 200:  # noqa: PLR2004 - the only status that carries keys
            raise ValueError(f"the key server answers {answer.status}")
        return msgspec.json.decode(answer.data)

    return PublishedKeys(fetch).find
