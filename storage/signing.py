"""Expiring signed URLs for the local folder, like presigned URLs of S3."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote, urlencode

from storage.store import StorageError

MAX_EXPIRES_S = 7 * 24 * 3600  # S3's limit for a presigned URL
MIN_SECRET_BYTES = 16  # below this an HMAC key can be guessed


class SignatureError(StorageError):
    """The URL has expired, or its signature is not ours for this request."""


def check_expires(expires_s: int) -> int:
    """Return `expires_s` if it is 1 s to 7 days; raise ValueError otherwise."""
    if not 1 <= expires_s <= MAX_EXPIRES_S:
        raise ValueError(f"A signed URL lives 1 to {MAX_EXPIRES_S} seconds, not {expires_s}.")
    return expires_s


class UrlSigner:
    """Signs and checks URLs below `base_url` with HMAC-SHA256 over method, bucket, key, query and expiry.

    `expires` is the Unix time in whole seconds after which the URL is refused.
    """

    def __init__(self, base_url: str, secret: bytes) -> None:
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(f"The secret that signs storage URLs needs at least {MIN_SECRET_BYTES} bytes.")
        self._base_url = base_url.rstrip("/")
        # A derived key, so that these signatures are not valid for tokens, which use the same secret.
        self._secret = hmac.digest(secret, b"snuggles storage urls v1", sha256)

    def sign(self, method: str, bucket: str, key: str, query: Mapping[str, str], *, expires_at: int) -> str:
        """Return the URL that allows `method` on the object until `expires_at`."""
        signed = {**query, "expires": str(expires_at)}
        signature = self._signature(method, bucket, key, signed)
        path = quote(f"/storage/{bucket}/{key}", safe="/")
        return f"{self._base_url}{path}?{urlencode({**signed, 'signature': signature}, quote_via=quote)}"

    def check(self, method: str, bucket: str, key: str, query: Mapping[str, str], *, now_s: float) -> None:
        """Raise SignatureError unless `query` carries our signature for exactly this request, not yet expired."""
        signed = {name: value for name, value in query.items() if name != "signature"}
        expected = self._signature(method, bucket, key, signed)
        given = query.get("signature", "")
        if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
            raise SignatureError("The signature of the URL does not match the request; ask for a new URL.")
        # The signature covers `expires`, so it is our own number.
        if now_s >= int(signed["expires"]):
            raise SignatureError("The URL has expired; ask for a new one.")

    def _signature(self, method: str, bucket: str, key: str, query: Mapping[str, str]) -> str:
        canonical = urlencode(sorted(query.items()), quote_via=quote, errors="surrogatepass")
        message = "\n".join((method.upper(), bucket, quote(key, errors="surrogatepass"), canonical))
        return hmac.digest(self._secret, message.encode(), sha256).hex()
