"""The rooms that this process serves: each event is read once, encoded once, and put on the queue of every member.

Events that this process writes itself are delivered without a read, once all events before them have been.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from uuid import UUID

import msgspec
import structlog
from litestar.concurrency import sync_to_thread

from api.base_deps import BaseDeps
from api.realtime.connection import Connection
from api.realtime.delivery.transport import Outbox, event_packet
from api.realtime.task import end
from db import room_events
from db.connection import SERVICE, DatabaseUnavailableError
from db.room_events import RoomEventRow
from services.polls import view as poll_views
from services.polls.view import Updates
from services.rooms.wire import to_wire

BATCH = 500
RETRY_S = 0.5
HAND_OVER_S = 0.005
"""A notification often arrives before the thread that wrote the event returns."""
UNKNOWN = 2**63 - 1
"""Read on without an upper bound."""
LEFT = "room:participant-left"
ENDED = "room:ended"
EXPELLED = frozenset({"kicked", "banned"})

logger = structlog.get_logger(__name__)


class Channel:
    """A room: its members in this process, and how far its events were read."""

    __slots__ = ("lock", "members", "newest", "opened_at", "position", "reader", "room_id", "writing")

    def __init__(self, room_id: UUID, position: int, opened_at: datetime) -> None:
        self.room_id = room_id
        self.opened_at = opened_at
        self.position = position
        self.members: dict[str, Connection] = {}
        self.lock = asyncio.Lock()
        self.newest = 0
        """The highest notified number that is not read yet."""
        self.writing = 0
        """Commands of this process that are writing to the room."""
        self.reader: asyncio.Task[None] | None = None


class Hub:
    """Channels by room. `on_expelled` is called for each connection that a room no longer holds."""

    def __init__(self, deps: BaseDeps, outbox: Outbox, *, results_every_s: float) -> None:
        self._deps = deps
        self._outbox = outbox
        self._results_every_s = results_every_s
        self._channels: dict[UUID, Channel] = {}
        self._pulses: dict[UUID, asyncio.Task[None]] = {}
        self._voted: set[UUID] = set()
        self.on_expelled: Callable[[Connection], None] = lambda _: None

    @property
    def rooms(self) -> list[UUID]:
        """The rooms with members in this process."""
        return list(self._channels)

    def users(self, room_id: UUID) -> set[UUID]:
        """Return the members of a room in this process."""
        channel = self._channels.get(room_id)
        return {member.user_id for member in channel.members.values()} if channel else set()

    def connections(self) -> Iterator[Connection]:
        """Iterate over every connection that is in a room."""
        for channel in list(self._channels.values()):
            yield from list(channel.members.values())

    async def subscribe(self, connection: Connection, room_id: UUID, *, after: int) -> None:
        """Send a connection all events of a room after `after`, each once and in order."""
        while True:
            channel = self._channels.get(room_id)
            if channel is None:
                channel = self._channels[room_id] = Channel(room_id, after, self._deps.clock())
            async with channel.lock:
                if self._channels.get(room_id) is not channel:
                    continue  # the last member left meanwhile
                connection.room_id, connection.seen = room_id, after
                if after < channel.position:
                    for row in await self._read(room_id, after):
                        if row.seq <= channel.position:
                            self._outbox.push(connection.transport, event_packet(row.type, row.payload))
                    connection.seen = channel.position
                channel.members[connection.sid] = connection
            self.wake(room_id)  # events from before the first listener
            return

    def unsubscribe(self, connection: Connection) -> UUID | None:
        """Send a connection nothing more; returns its room."""
        room_id, connection.room_id = connection.room_id, None
        channel = self._channels.get(room_id) if room_id else None
        if channel is not None:
            channel.members.pop(connection.sid, None)
            if not channel.members and not channel.lock.locked():
                del self._channels[channel.room_id]
        return room_id

    def wake(self, room_id: UUID, newest: int = UNKNOWN) -> None:
        """Read a room's events up to this number, if it has members in this process."""
        channel = self._channels.get(room_id)
        if channel is None or newest <= channel.position:
            return
        channel.newest = max(channel.newest, newest)
        if channel.reader is None:
            channel.reader = asyncio.create_task(self._drain(channel))

    @contextmanager
    def writing(self, room_id: UUID) -> Iterator[None]:
        """Delay reading, so that events written in the block can be handed over instead."""
        channel = self._channels.get(room_id)
        if channel is None:
            yield
            return
        channel.writing += 1
        try:
            yield
        finally:
            channel.writing -= 1

    def hand_over(self, room_id: UUID, row: RoomEventRow) -> None:
        """Send a committed event to the members of a room; if it is not the next one, it is read in its turn."""
        channel = self._channels.get(room_id)
        if channel is not None and row.seq == channel.position + 1 and not channel.lock.locked():
            self._deliver(channel, row)

    def wake_all(self) -> None:
        """Read new events of every room: notifications may have been lost."""
        for room_id in self.rooms:
            self.wake(room_id)

    def wake_poll(self, room_id: UUID, poll_id: UUID) -> None:
        """Send a poll's counts to its room, at once and then at most every `results_every_s`."""
        if room_id not in self._channels:
            return
        self._voted.add(poll_id)
        if poll_id not in self._pulses:
            self._pulses[poll_id] = asyncio.create_task(self._pulse(poll_id))

    def tell(self, room_id: UUID, event: str, payload: str, *, to: UUID | None = None) -> None:
        """Send something to the members of a room in this process, or to one person among them."""
        channel = self._channels.get(room_id)
        if channel is None:
            return
        packet = event_packet(event, payload)
        for member in list(channel.members.values()):
            if to is None or member.user_id == to:
                self._outbox.push(member.transport, packet)

    async def close(self) -> None:
        """Stop reading."""
        readers = [channel.reader for channel in self._channels.values() if channel.reader]
        await end((*readers, *self._pulses.values()))

    async def _drain(self, channel: Channel) -> None:
        try:
            while channel.newest > channel.position:
                if channel.writing:
                    await asyncio.sleep(HAND_OVER_S)
                async with channel.lock:
                    newest, channel.newest = channel.newest, 0
                    if newest <= channel.position:
                        continue
                    try:
                        found = await self._read(channel.room_id, channel.position)
                    except DatabaseUnavailableError:
                        channel.newest = max(channel.newest, newest)
                        await asyncio.sleep(RETRY_S)
                        continue
                    for row in found:
                        self._deliver(channel, row)
                    if len(found) == BATCH:
                        channel.newest = UNKNOWN
        finally:
            channel.reader = None
            if not channel.members and self._channels.get(channel.room_id) is channel:
                del self._channels[channel.room_id]

    async def _read(self, room_id: UUID, after: int) -> list[RoomEventRow]:
        def read() -> list[RoomEventRow]:
            with self._deps.database.transaction(SERVICE) as tx:
                return room_events.list_after(tx, room_id=room_id, after=after, limit=BATCH)

        return await sync_to_thread(read)

    def _deliver(self, channel: Channel, row: RoomEventRow) -> None:
        packet = event_packet(row.type, row.payload)
        channel.position = row.seq
        for member in list(channel.members.values()):
            if row.seq > member.seen:
                member.seen = row.seq
                self._outbox.push(member.transport, packet)
        if row.created_at >= channel.opened_at:  # earlier ones waited for the first listener
            self._deps.socket_metrics.deliver((self._deps.clock() - row.created_at).total_seconds())
        if row.type == LEFT:
            self._expel(channel, msgspec.json.decode(row.payload))
        elif row.type == ENDED:
            for member in list(channel.members.values()):
                self._drop(channel, member)

    def _expel(self, channel: Channel, left: dict[str, str]) -> None:
        user_id = UUID(left["userId"])
        for member in list(channel.members.values()):
            if member.user_id != user_id:
                continue
            if left["reason"] in EXPELLED:
                payload = {"roomId": left["roomId"], "reason": left["reason"]}
                self._outbox.push(member.transport, event_packet("room:kicked", payload))
            self._drop(channel, member)

    def _drop(self, channel: Channel, member: Connection) -> None:
        channel.members.pop(member.sid, None)
        self.on_expelled(member)
        member.room_id = None

    async def _pulse(self, poll_id: UUID) -> None:
        try:
            while poll_id in self._voted:
                self._voted.discard(poll_id)
                with suppress(DatabaseUnavailableError):
                    await self._tell_results(poll_id)
                await asyncio.sleep(self._results_every_s)
        finally:
            del self._pulses[poll_id]

    async def _tell_results(self, poll_id: UUID) -> None:
        def read() -> Updates | None:
            with self._deps.database.transaction(SERVICE) as tx:
                return poll_views.updates(tx, poll_id=poll_id, user_ids=users)

        users = {member.user_id for member in self.connections()}
        found = await sync_to_thread(read)
        channel = self._channels.get(found.room_id) if found else None
        if found is None or channel is None:
            return
        about = {"roomId": str(found.room_id), "pollId": str(poll_id), "version": found.version}
        voted = event_packet("poll:vote-received", {**about, "totalVotes": found.total_votes})
        results = event_packet("poll:results-update", {**about, "results": to_wire(found.results)})
        for member in list(channel.members.values()):
            self._outbox.push(member.transport, voted)
            if found.viewers is None or member.user_id in found.viewers:
                self._outbox.push(member.transport, results)
