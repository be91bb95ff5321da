"""Challenges that passkeys answer: random, used once, and forgotten after five minutes."""

import base64
import json
import secrets
from typing import Any

from api.deps import Deps
from services.errors import InvalidFieldError

CHALLENGE_BYTES = 32
LIVES_S = 300
KEY = "snuggles:passkey:"


def issue(deps: Deps, purpose: str) -> bytes:
    """Return a new challenge for a purpose."""
    challenge = secrets.token_bytes(CHALLENGE_BYTES)
    deps.redis.set(KEY + challenge.hex(), purpose, ex=LIVES_S)
    return challenge


def take(deps: Deps, purpose: str, credential: dict[str, Any]) -> bytes:
    """Use up the challenge that a credential answers; InvalidFieldError if it was not issued for this purpose."""
    try:
        written = credential["response"]["clientDataJSON"]
        challenge = _decoded(json.loads(_decoded(written))["challenge"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidFieldError(
            "credential", "This is not what a browser returns for a passkey.", reason="passkey_failed"
        ) from error
    issued: Any = deps.redis.getdel(KEY + challenge[:CHALLENGE_BYTES].hex())
    if issued is None or issued.decode() != purpose:
        raise InvalidFieldError(
            "credential", "The challenge has expired or was used; ask for a new one.", reason="challenge_expired"
        )
    return challenge


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
