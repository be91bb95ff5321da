"""Events that a process has written itself are told without reading them again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID, uuid4

from api.app import open_deps
from api.auth import Principal
from api.realtime.connection import Connection
from api.realtime.delivery.frames import PacketQueue
from api.realtime.delivery.hub import Hub
from api.realtime.delivery.transport import Outbox
from db.room_events import RoomEventRow
from services.process.settings import Settings
from services.rooms.person import GuestClaims, Person


def event(seq: int) -> RoomEventRow:
    """An event that no table has."""
    return RoomEventRow(seq=seq, type="room:message-received", payload=f'{{"seq":{seq}}}', created_at=datetime.now(UTC))


@asynccontextmanager
async def member(settings: Settings) -> AsyncIterator[tuple[Hub, UUID, PacketQueue]]:
    """A hub, a room, and the packets of somebody who is in it."""
    deps = open_deps(settings)
    deps.database.open(wait_s=20)
    hub = Hub(deps, Outbox(max_queued=100), results_every_s=0.1)
    room_id, queue = uuid4(), PacketQueue()
    transport = SimpleNamespace(closed=False, closing=False, queue=queue)
    guest = GuestClaims(person=Person(user_id=uuid4(), room_id=room_id), expires_at=datetime.now(UTC))
    await hub.subscribe(Connection("sid", transport, Principal(via="guest", guest=guest)), room_id, after=0)
    await quiet()
    try:
        yield hub, room_id, queue
    finally:
        await hub.close()
        deps.database.close()


async def quiet() -> None:
    """Return when the hub reads nothing more."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


def told(queue: PacketQueue) -> list[str]:
    return [str(queue.get_nowait().data) for _ in range(queue.qsize())]


def test_next_event_is_told_at_once_and_once(settings: Settings) -> None:
    async def run() -> list[str]:
        async with member(settings) as (hub, room_id, queue):
            hub.hand_over(room_id, event(1))
            hub.hand_over(room_id, event(1))
            hub.wake(room_id, 1)
            assert len(asyncio.all_tasks()) == 1  # nothing is read
            return told(queue)

    assert asyncio.run(run()) == ['2["room:message-received",{"seq":1}]']


def test_event_before_which_another_is_missing_waits_for_it(settings: Settings) -> None:
    async def run() -> list[str]:
        async with member(settings) as (hub, room_id, queue):
            hub.hand_over(room_id, event(2))
            return told(queue)

    assert asyncio.run(run()) == []


def test_event_that_is_notified_before_it_is_handed_over_is_told_once(settings: Settings) -> None:
    async def run() -> list[str]:
        async with member(settings) as (hub, room_id, queue):
            with hub.writing(room_id):
                hub.wake(room_id, 1)
                await asyncio.sleep(0)
                hub.hand_over(room_id, event(1))
            await quiet()
            return told(queue)

    assert asyncio.run(run()) == ['2["room:message-received",{"seq":1}]']
