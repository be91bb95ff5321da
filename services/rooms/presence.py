"""Presence in rooms, in Redis: each connection with the time at which it expires unless it is renewed.

Each room has a sorted set. A member is `user:connection`, and its score the Unix time of its end. If Redis loses its
data, presence is wrong for a minute, until every process has renewed its connections.
"""

import time
from collections.abc import Iterable
from typing import cast
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

TTL_S = 45.0
"""A dead process is noticed after this."""
RENEW_S = 15.0
MAX_SPEAKERS = 6
"""Each speaker sends their voice to every other person; more than six exceed a home's uplink."""


def key_of(room_id: UUID) -> str:
    """Return the key of a room's connections."""
    return f"snuggles:room:{room_id}:online"


def voice_key_of(room_id: UUID) -> str:
    """Return the key of the connections that speak in a room."""
    return f"snuggles:room:{room_id}:voice"


def member_of(user_id: UUID, connection: str) -> str:
    """Return the set's member for one connection of a person."""
    return f"{user_id}:{connection}"


def users_of(members: Iterable[bytes]) -> set[UUID]:
    """Return the owners of connections."""
    return {UUID(member.partition(b":")[0].decode()) for member in members}


def online(redis: Redis, room_id: UUID) -> set[UUID]:
    """Return who is connected to a room; nobody while Redis is down."""
    try:
        members = cast("list[bytes]", redis.zrangebyscore(key_of(room_id), time.time(), "+inf"))
    except RedisError:
        return set()
    return users_of(members)
