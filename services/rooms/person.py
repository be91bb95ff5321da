"""The people in rooms: accounts, and guests whose token is valid for one room."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from msgspec import Struct

from services.errors import UnauthenticatedError

GUEST_AUDIENCE = "room"
GUEST_ROLE = "guest"
GUEST_TOKEN_S = 24 * 3600
"""Rooms without activity end after a day, with their guests."""


class Person(Struct, frozen=True, kw_only=True):
    """A person who acts in rooms."""

    user_id: UUID
    room_id: UUID | None = None
    """The only room that a guest can see; None for accounts."""

    @property
    def is_guest(self) -> bool:
        """Whether there is no account behind this person."""
        return self.room_id is not None


class GuestClaims(Struct, frozen=True, kw_only=True):
    """The claims of a guest's token."""

    person: Person
    expires_at: datetime


def issue_guest_token(secret: str, *, person: Person, now: datetime) -> str:
    """Sign a token for one room. Its audience differs from that of sessions, so no other route accepts it."""
    claims = {
        "sub": str(person.user_id),
        "room": str(person.room_id),
        "aud": GUEST_AUDIENCE,
        "role": GUEST_ROLE,
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(seconds=GUEST_TOKEN_S)).timestamp()),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def is_guest_token(token: str) -> bool:
    """Return whether a token claims to be a guest's, without checking it."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    return claims.get("aud") == GUEST_AUDIENCE


def check_guest_token(secret: str, token: str, *, now: datetime) -> GuestClaims:
    """Return the claims of a guest's token; UnauthenticatedError if it is invalid or has expired."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            audience=GUEST_AUDIENCE,
            options={"require": ["sub", "room", "exp", "aud"], "verify_exp": False, "verify_iat": False},
        )
        person = Person(user_id=UUID(claims["sub"]), room_id=UUID(claims["room"]))
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise UnauthenticatedError("The guest token is invalid; open the room's link again.") from error
    if claims.get("role") != GUEST_ROLE or expires_at <= now:
        raise UnauthenticatedError("The guest token has expired; open the room's link again.")
    return GuestClaims(person=person, expires_at=expires_at)
