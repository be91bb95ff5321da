"""The signature of outgoing webhooks: `t=<Unix time>,v1=<hex of HMAC-SHA256(secret, "t.body")>`."""

import hmac
from hashlib import sha256


def sign(secret: str, body: bytes, *, at_s: int) -> str:
    """Return the header's value for a body that is sent at this Unix time."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={digest}"
