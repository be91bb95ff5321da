"""What one person is told as it happens: the events that his webhooks get, under Socket.IO's names."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self
from uuid import UUID

import msgspec
from litestar.concurrency import sync_to_thread

from api.auth import Principal
from api.deps import Deps
from db.connection import DatabaseUnavailableError, Identity
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks.event import EventRow, Feed

LOOK_AGAIN_S = 15.0
"""A notification that was lost with its connection delays an event by no more than this."""


class EventFeed:
    """An endless iterator of `(event, data)`, oldest first, from now on or behind the event that was seen last."""

    def __init__(self, deps: Deps, *, identity: Identity, user_id: UUID, feed: Feed) -> None:
        self._deps = deps
        self._identity = identity
        self._user_id = user_id
        self._feed = feed

    @classmethod
    def begin(cls, deps: Deps, principal: Principal, *, last_event_id: str | None) -> Self:
        """Note where this person stands; InvalidFieldError when `last_event_id` is none of ours. Reads the database."""
        with deps.database.transaction(principal.identity) as tx:
            feed = events.follow(tx, user_id=principal.user_id, last_event_id=last_event_id)
        return cls(deps, identity=principal.identity, user_id=principal.user_id, feed=feed)

    async def __aiter__(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield what happens until the process stops."""
        with self._deps.changes.subscription(self._user_id) as changed:
            while not self._deps.changes.is_closed:
                changed.clear()
                while found := await sync_to_thread(self._read):
                    for event in found:
                        yield name_of(event), data_of(event)
                try:
                    await asyncio.wait_for(changed.wait(), LOOK_AGAIN_S)
                except TimeoutError:
                    continue

    def _read(self) -> list[EventRow]:
        try:
            with self._deps.database.transaction(self._identity) as tx:
                return events.read(tx, self._feed, user_id=self._user_id)
        except DatabaseUnavailableError:
            return []  # nothing is lost: the next look begins where this one did


def name_of(event: EventRow) -> str:
    """Return the name that Socket.IO clients know: `clip.completed` is `clip:completed`."""
    return event.type.replace(".", ":")


def data_of(event: EventRow) -> dict[str, Any]:
    """Return a webhook's message, and beside it what to come back with, and what the event is about."""
    message: dict[str, Any] = msgspec.json.decode(deliveries.body_of(event))
    about = {"eventId": str(event.seq)}
    if event.recording_id is not None:
        about["recordingId"] = str(event.recording_id)
    if event.clip_id is not None:
        about["clipId"] = str(event.clip_id)
    return message | about
