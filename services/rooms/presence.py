"""Who is connected to a room, in Redis: each connection with the time at which it is forgotten unless it is renewed.

One sorted set a room. A member is `user:connection`, its score the Unix time of its end. Losing all of it costs a
minute of wrong dots: every process renews its own connections.
"""

import time
from collections.abc import Iterable
from typing import cast
from uuid import UUID

from redis import Redis
from redis.exceptions import RedisError

TTL_S = 45.0
"""A process that died is noticed after this."""
RENEW_S = 15.0
MAX_SPEAKERS = 6
"""Each sends their voice to every other person: beyond six, uplinks of homes are full."""


def key_of(room_id: UUID) -> str:
    """Return the key of a room's connections."""
    return f"snuggles:room:{room_id}:online"


def voice_key_of(room_id: UUID) -> str:
    """Return the key of the connections that speak in a room."""
    return f"snuggles:room:{room_id}:voice"


def member_of(user_id: UUID, connection: str) -> str:
    """Return what stands for one connection of somebody."""
    return f"{user_id}:{connection}"


def users_of(members: Iterable[bytes]) -> set[UUID]:
    """Return whose connections these are."""
    return {UUID(member.partition(b":")[0].decode()) for member in members}


def online(redis: Redis, room_id: UUID) -> set[UUID]:
    """Return who is connected to a room; nobody while Redis is away."""
    try:
        members = cast("list[bytes]", redis.zrangebyscore(key_of(room_id), time.time(), "+inf"))
    except RedisError:
        return set()
    return users_of(members)
