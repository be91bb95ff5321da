"""Events about people's own recordings and clips: those that webhooks get, under Socket.IO's names."""

import asyncio
from collections import defaultdict
from typing import Any
from uuid import UUID

import msgspec
from litestar.concurrency import sync_to_thread

from api.base_deps import BaseDeps
from api.realtime.connection import Connection
from api.realtime.delivery.transport import Outbox, event_packet
from api.realtime.task import end
from db.connection import DatabaseUnavailableError, user_identity
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks.event import EventRow, Feed

RETRY_S = 0.5


class EventFeeds:
    """One reader for each person who is connected, however many connections they have."""

    def __init__(self, deps: BaseDeps, outbox: Outbox) -> None:
        self._deps = deps
        self._outbox = outbox
        self._feeds: dict[UUID, Feed] = {}
        self._connections: defaultdict[UUID, set[Connection]] = defaultdict(set)
        self._dirty: set[UUID] = set()
        self._readers: dict[UUID, asyncio.Task[None]] = {}

    @property
    def people(self) -> list[UUID]:
        """The people who are connected."""
        return list(self._connections)

    def begin(self, user_id: UUID, *, last_event_id: str | None) -> Feed:
        """Note the last event a client has seen; InvalidFieldError if it does not exist. Reads the database."""
        with self._deps.database.transaction(user_identity(user_id)) as tx:
            return events.follow(tx, user_id=user_id, last_event_id=last_event_id)

    def attach(self, connection: Connection, feed: Feed, *, is_resumed: bool) -> None:
        """Send a connection its events from now on, and those it missed if it resumes.

        Events during this call may arrive twice, and none is missed.
        """
        user_id = connection.user_id
        self._connections[user_id].add(connection)
        if user_id not in self._feeds:
            self._feeds[user_id] = feed
        elif is_resumed:
            task = asyncio.create_task(self._read_on(feed, [connection], user_id))
            self._readers[UUID(int=id(task))] = task
            task.add_done_callback(lambda _: self._readers.pop(UUID(int=id(task)), None))
        self.wake(user_id)

    def detach(self, connection: Connection) -> None:
        """Send a connection nothing more."""
        user_id = connection.user_id
        connections = self._connections.get(user_id)
        if connections is None:
            return
        connections.discard(connection)
        if not connections:
            del self._connections[user_id]
            self._feeds.pop(user_id, None)

    def connections(self, user_id: UUID) -> list[Connection]:
        """Return the connections of a person."""
        return list(self._connections.get(user_id, ()))

    def count(self, user_id: UUID) -> int:
        """Return how many connections a person has."""
        return len(self._connections.get(user_id, ()))

    def wake(self, user_id: UUID) -> None:
        """Read a person's new events, if they are connected."""
        if user_id not in self._feeds:
            return
        self._dirty.add(user_id)
        if user_id not in self._readers:
            self._readers[user_id] = asyncio.create_task(self._drain(user_id))

    def wake_all(self) -> None:
        """Read everybody's new events: notifications may have been lost."""
        for user_id in self.people:
            self.wake(user_id)

    def tell(self, user_id: UUID, event: str, payload: Any) -> None:
        """Send something to every connection of a person."""
        packet = event_packet(event, payload)
        for connection in list(self._connections.get(user_id, ())):
            self._outbox.push(connection.transport, packet)

    async def close(self) -> None:
        """Stop reading."""
        await end(self._readers.values())

    async def _drain(self, user_id: UUID) -> None:
        try:
            while user_id in self._dirty and (feed := self._feeds.get(user_id)) is not None:
                self._dirty.discard(user_id)
                try:
                    await self._read_on(feed, None, user_id)
                except DatabaseUnavailableError:
                    self._dirty.add(user_id)
                    await asyncio.sleep(RETRY_S)
        finally:
            self._readers.pop(user_id, None)

    async def _read_on(self, feed: Feed, connections: list[Connection] | None, user_id: UUID) -> None:
        """Read to the end of a feed, for some connections or all of a person."""

        def read() -> list[EventRow]:
            with self._deps.database.transaction(user_identity(user_id)) as tx:
                return events.read(tx, feed, user_id=user_id)

        while found := await sync_to_thread(read):
            for row in found:
                packet = event_packet(name_of(row), data_of(row))
                for connection in list(self._connections.get(user_id, ())) if connections is None else connections:
                    self._outbox.push(connection.transport, packet)


def name_of(event: EventRow) -> str:
    """Return the name that Socket.IO clients know: `clip.completed` is `clip:completed`."""
    return event.type.replace(".", ":")


def data_of(event: EventRow) -> dict[str, Any]:
    """Return a webhook's message, with the id to resume after and the subject of the event."""
    message: dict[str, Any] = msgspec.json.decode(deliveries.body_of(event))
    about = {"eventId": str(event.seq)}
    if event.recording_id is not None:
        about["recordingId"] = str(event.recording_id)
    if event.clip_id is not None:
        about["clipId"] = str(event.clip_id)
    return message | about
