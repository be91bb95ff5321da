"""Messages between realtime processes that may be lost (typing, reactions, signals, presence), over Redis."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from uuid import UUID

import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

CHANNEL = "snuggles:rooms"
MAX_WAITING = 10_000
RETRY_S = 1.0

logger = structlog.get_logger(__name__)


class Notice(Struct, frozen=True, kw_only=True):
    """A message to a room, or to one person in it. `payload` is JSON."""

    room_id: UUID
    event: str
    payload: str
    to: UUID | None = None


class Bus:
    """Publishes notices to other processes, and passes theirs and its own to `deliver`."""

    def __init__(self, redis: Redis, deliver: Callable[[Notice], None]) -> None:
        self._redis = redis
        self._deliver = deliver
        self._me = token_hex(6)
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)

    def publish(self, notice: Notice) -> None:
        """Deliver a notice here and, if Redis is up, in the other processes."""
        self._deliver(notice)
        with suppress(asyncio.QueueFull):  # Redis is down, and notices may be lost
            self._waiting.put_nowait(_encode(self._me, notice))

    async def send(self) -> None:
        """Send to the other processes until cancelled."""
        while True:
            message = await self._waiting.get()
            try:
                await self._redis.publish(CHANNEL, message)
            except RedisError as error:
                logger.warning("notice_lost", error=str(error))

    async def receive(self) -> None:
        """Deliver what other processes publish, until cancelled."""
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    async for message in pubsub.listen():
                        self._heard(message["data"])
            except RedisError as error:
                logger.warning("bus_lost", error=str(error))
            await asyncio.sleep(RETRY_S)

    def _heard(self, data: bytes) -> None:
        """Deliver a published notice. Anybody who reaches Redis can publish, so it may be anything."""
        try:
            sender, notice = _decode(data.decode())
            if sender != self._me:
                self._deliver(notice)
        except Exception as error:  # noqa: BLE001 - one bad notice must not stop the next
            logger.warning("notice_refused", length=len(data), error=repr(error)[:200])


def _encode(sender: str, notice: Notice) -> str:
    return f"{sender} {notice.room_id} {notice.to or '-'} {notice.event} {notice.payload}"


def _decode(text: str) -> tuple[str, Notice]:
    sender, room_id, to, event, payload = text.split(" ", 4)
    return sender, Notice(room_id=UUID(room_id), event=event, payload=payload, to=None if to == "-" else UUID(to))
