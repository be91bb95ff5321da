"""Messages between processes over Redis: a malformed one does not stop the next."""

import asyncio
from uuid import uuid4

import pytest
import redis
from redis.asyncio import Redis

from api.realtime.delivery.bus import CHANNEL, Bus, Notice
from workers.queue.notifier import Listener, Notifier
from workers.queue.outage import Outage

MALFORMED = [b"", b"\xff\xfe", b"no notice", b"me not-an-id - typing {}", b"x" * 70_000]
QUEUE_CHANNEL = "queues-of-this-test"


async def hear(redis_url: str, malformed: bytes, notice: Notice) -> Notice:
    """What one process delivers first: something malformed is published, and another process's notice behind it."""
    heard = asyncio.Queue[Notice]()
    async with Redis.from_url(redis_url) as client:
        listening, other = Bus(client, heard.put_nowait), Bus(client, lambda _: None)
        tasks = [asyncio.create_task(work) for work in (listening.receive(), other.send())]
        try:
            for _ in range(500):  # until it listens
                if await client.publish(CHANNEL, malformed):
                    break
                await asyncio.sleep(0.01)
            other.publish(notice)
            return await asyncio.wait_for(heard.get(), 5)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("malformed", MALFORMED)
def test_malformed_notice_is_passed_over(redis_url: str, malformed: bytes) -> None:
    notice = Notice(room_id=uuid4(), event="typing", payload="{}")
    assert asyncio.run(hear(redis_url, malformed, notice)) == notice


@pytest.mark.parametrize("malformed", MALFORMED)
def test_worker_passes_over_what_names_no_queue(redis_url: str, malformed: bytes) -> None:
    notifier = Notifier()
    with redis.Redis.from_url(redis_url) as client:
        listener = Listener(client, QUEUE_CHANNEL, notifier, Outage())
        listener.after_worker_boot(None, None)  # type: ignore[arg-type] # it looks at neither
        assert notifier.wait("render", 0, 10)  # it listens
        client.publish(QUEUE_CHANNEL, malformed)
        client.publish(QUEUE_CHANNEL, b"render")
        assert notifier.wait("render", 1, 5)
        listener.after_worker_shutdown(None, None)  # type: ignore[arg-type] # the same
