"""Tokens: our own JWTs (HS256), Supabase's (its published keys), one-time links, API keys."""

import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt
from jwt import PyJWK
from msgspec import Struct

from services.accounts.email_address import is_email
from services.errors import UnauthenticatedError

AUDIENCE = "authenticated"
ROLE = "authenticated"
TOKEN_FOR = timedelta(days=1)
CLOCK_SKEW_S = 10  # the tolerated difference between the clocks of two machines
FOREIGN_ALGORITHMS = ["ES256", "RS256", "EdDSA"]  # Supabase's algorithms; never a symmetric one beside a public key
API_KEY_START = "snk_"
API_KEY_PREFIX_LENGTH = len(API_KEY_START) + 6
LINK_TOKEN_BYTES = 32


class Claims(Struct, frozen=True, kw_only=True):
    """The claims of a valid token."""

    user_id: UUID
    session_id: UUID | None = None
    """None for tokens of `snuggles token` and of other issuers."""
    expires_at: datetime
    issued_at: datetime | None
    """None if the token does not say; it then counts as older than any logout."""
    token_hash: bytes
    """Identifies the token: SHA-256 of its signed part, which has only one spelling."""
    is_foreign: bool = False
    email: str | None = None
    authenticated_at: datetime | None = None
    """When the user logged in, if another issuer says so."""


class Session(Struct, frozen=True, kw_only=True):
    """A new token."""

    token: str
    expires_at: datetime


FindKey = Callable[[str | None], PyJWK | None]
"""Returns a published key by its id, or None; UnavailableError when the keys cannot be fetched."""


class Tokens:
    """Issues and checks session tokens."""

    def __init__(
        self,
        secret: str,
        *,
        find_key: FindKey | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._secret = secret
        self._find_key = find_key
        self._clock = clock

    def issue(
        self,
        user_id: UUID,
        *,
        email: str | None = None,
        session_id: UUID | None = None,
        expires_at: datetime | None = None,
    ) -> Session:
        """Sign a token for a user, for a day unless `expires_at` says otherwise."""
        now = self._clock()
        expires_at = (expires_at or now + TOKEN_FOR).replace(microsecond=0)
        claims: dict[str, Any] = {
            "sub": str(user_id),
            "role": ROLE,
            "aud": AUDIENCE,
            # With its fraction, to tell a token issued right after "log out everywhere" from one issued right before.
            "iat": now.timestamp(),
            "exp": int(expires_at.timestamp()),
            "jti": secrets.token_hex(8),
        }
        if email:
            claims["email"] = email
        if session_id:
            claims["sid"] = str(session_id)
        return Session(token=jwt.encode(claims, self._secret, algorithm="HS256"), expires_at=expires_at)

    def check(self, token: str) -> Claims:
        """Return the claims of a token; UnauthenticatedError says what is wrong with it."""
        try:
            header = jwt.get_unverified_header(token)
            claims = self._decode(token, header)
            return self._claims(token, claims, is_foreign=header.get("alg") != "HS256")
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("The token has expired; log in again.") from error
        except jwt.InvalidAudienceError as error:
            raise UnauthenticatedError("The token is for another audience; log in here for one.") from error
        except jwt.ImmatureSignatureError as error:
            raise UnauthenticatedError("The token is not valid yet; check the clock of its issuer.") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise UnauthenticatedError("The token is invalid; log in again.") from error

    def _decode(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        key: str | PyJWK = self._secret
        algorithms = ["HS256"]
        if header.get("alg") in FOREIGN_ALGORITHMS and self._find_key:
            found = self._find_key(header.get("kid"))
            if found is None:
                raise UnauthenticatedError("The token is signed with a key that is not published; log in again.")
            key, algorithms = found, FOREIGN_ALGORITHMS
        decoded: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=algorithms,
            audience=AUDIENCE,
            leeway=CLOCK_SKEW_S,
            # Expiry is checked below, exactly, against our clock. `iat` only decides whether a logout applies.
            options={"require": ["sub", "exp", "aud"], "verify_exp": False, "verify_iat": False},
        )
        if float(decoded["exp"]) <= self._clock().timestamp():
            raise jwt.ExpiredSignatureError
        return decoded

    @staticmethod
    def _claims(token: str, claims: dict[str, Any], *, is_foreign: bool) -> Claims:
        if claims.get("role") != ROLE:
            raise UnauthenticatedError("The token is for another role; log in as a user.")
        issued = claims.get("iat")
        # A whole second may be up to one second before the exact time.
        issued_s = None if issued is None else float(issued) + (1 if isinstance(issued, int) else 0)
        # Supabase's tokens hold a `session_id` of their own, and ours alone hold `sid`.
        session_id = None if is_foreign or "sid" not in claims else UUID(str(claims["sid"]))
        return Claims(
            user_id=UUID(str(claims["sub"])),
            session_id=session_id,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
            issued_at=None if issued_s is None else datetime.fromtimestamp(issued_s, UTC),
            token_hash=sha256(token.rsplit(".", 1)[0].encode()).digest(),
            is_foreign=is_foreign,
            email=_email_of(claims),
            authenticated_at=_login_time(claims) if is_foreign else None,
        )


def new_link_token() -> str:
    """Return a token for a link that works once."""
    return secrets.token_urlsafe(LINK_TOKEN_BYTES)


def new_api_key() -> str:
    """Return an API key; it is shown once and only its hash is kept."""
    return API_KEY_START + secrets.token_urlsafe(LINK_TOKEN_BYTES)


def secret_hash(secret: str) -> bytes:
    """Return the stored hash of a link's token or an API key. Both are random, so a plain hash cannot be guessed."""
    return sha256(secret.encode()).digest()


def is_same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(sha256(given.encode()).digest(), sha256(expected.encode()).digest())


def _email_of(claims: dict[str, Any]) -> str | None:
    email = str(claims.get("email") or "").strip().lower()
    return email if is_email(email) else None


def _login_time(claims: dict[str, Any]) -> datetime | None:
    """Return the latest time of authentication in Supabase's claim `amr`."""
    proofs = claims.get("amr")
    times = [proof.get("timestamp") for proof in proofs if isinstance(proof, dict)] if isinstance(proofs, list) else []
    known = [time for time in times if isinstance(time, int | float)]
    return datetime.fromtimestamp(max(known), UTC) if known else None
