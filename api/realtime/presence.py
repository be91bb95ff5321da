"""Presence in rooms, over all realtime processes, and the cleanup after processes that died."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from typing import cast
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.realtime.connection import Connection
from services.rooms.presence import MAX_SPEAKERS, RENEW_S, TTL_S, key_of, member_of, users_of, voice_key_of

ROOMS = "snuggles:rooms:online"
"""The set of rooms with connections, for that cleanup."""
SWEEP = "snuggles:rooms:sweep"
SWEEP_S = 5.0

logger = structlog.get_logger(__name__)


class Presence:
    """Connections by room in Redis. While Redis is down, only this process's own are known."""

    def __init__(self, redis: Redis, *, local: Callable[[UUID], set[UUID]]) -> None:
        self._redis = redis
        self._local = local

    async def add(self, connection: Connection, room_id: UUID) -> bool:
        """Add a connection; True if its person had no other one in this room."""
        was_online = connection.user_id in await self.online(room_id)
        try:
            await self._redis.zadd(key_of(room_id), {_member(connection): time.time() + TTL_S})
            await self._redis.sadd(ROOMS, str(room_id))
        except RedisError as error:
            logger.warning("presence_lost", error=str(error))
        return not was_online

    async def remove(self, connection: Connection, room_id: UUID) -> None:
        """Remove a connection."""
        try:
            await self._redis.zrem(key_of(room_id), _member(connection))
        except RedisError as error:
            logger.warning("presence_lost", error=str(error))

    async def speak(self, connection: Connection, room_id: UUID) -> bool:
        """Add a speaker; False if there are too many already. While Redis is down, everybody may speak."""
        key, now = voice_key_of(room_id), time.time()
        try:
            await self._redis.zremrangebyscore(key, "-inf", now)
            await self._redis.zadd(key, {_member(connection): now + TTL_S}, nx=True)
            if await self._redis.zcard(key) > MAX_SPEAKERS:
                await self._redis.zrem(key, _member(connection))
                return False
        except RedisError as error:
            logger.warning("presence_lost", error=str(error))
        return True

    async def hush(self, connection: Connection, room_id: UUID) -> None:
        """Remove a speaker."""
        try:
            await self._redis.zrem(voice_key_of(room_id), _member(connection))
        except RedisError as error:
            logger.warning("presence_lost", error=str(error))

    async def online(self, room_id: UUID) -> set[UUID]:
        """Return who is connected to a room."""
        try:
            members = await self._redis.zrangebyscore(key_of(room_id), time.time(), "+inf")
        except RedisError:
            return self._local(room_id)
        return users_of(cast("list[bytes]", members)) | self._local(room_id)

    async def renew(self, connections: Callable[[], Iterable[Connection]]) -> None:
        """Renew this process's connections in Redis, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_S)
            ends_at = time.time() + TTL_S
            rooms: defaultdict[UUID, dict[str, float]] = defaultdict(dict)
            voices: defaultdict[UUID, dict[str, float]] = defaultdict(dict)
            for connection in connections():
                if connection.room_id is not None:
                    rooms[connection.room_id][_member(connection)] = ends_at
                    if connection.voice_since is not None:
                        voices[connection.room_id][_member(connection)] = ends_at
            try:
                async with self._redis.pipeline(transaction=False) as pipe:
                    for room_id, members in rooms.items():
                        pipe.zadd(key_of(room_id), members)
                        pipe.sadd(ROOMS, str(room_id))
                    for room_id, members in voices.items():
                        pipe.zadd(voice_key_of(room_id), members)
                        pipe.expire(voice_key_of(room_id), int(2 * TTL_S))
                    await pipe.execute()
            except RedisError as error:
                logger.warning("presence_lost", error=str(error))

    async def sweep(self, on_gone: Callable[[UUID, UUID], Awaitable[None]]) -> None:
        """Call `on_gone(room_id, user_id)` for those whose process died, until cancelled; one process at a time."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                if not await self._redis.set(SWEEP, "1", nx=True, px=int(SWEEP_S * 900)):
                    continue
                for name in await self._redis.smembers(ROOMS):
                    await self._sweep_room(UUID(cast("bytes", name).decode()), on_gone)
            except RedisError as error:
                logger.warning("presence_lost", error=str(error))

    async def _sweep_room(self, room_id: UUID, on_gone: Callable[[UUID, UUID], Awaitable[None]]) -> None:
        expired = await self._redis.zrangebyscore(key_of(room_id), "-inf", time.time())
        if expired:
            await self._redis.zrem(key_of(room_id), *expired)
            for user_id in users_of(cast("list[bytes]", expired)) - await self.online(room_id):
                await on_gone(room_id, user_id)
        if not await self._redis.zcard(key_of(room_id)):
            await self._redis.srem(ROOMS, str(room_id))


def _member(connection: Connection) -> str:
    return member_of(connection.user_id, connection.sid)
