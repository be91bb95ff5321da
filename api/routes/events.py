"""`/api/events`: the asker's own events as they happen, the same that his webhooks are told of."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from litestar import Router, get
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from api.deps import Deps
from api.http.request import ApiRequest
from db.connection import Identity
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks.event import EventRow, Feed

# Proxies close what is silent for 30 to 60 s.
HEARTBEAT_S = 15.0
RECONNECT_MS = 2000
LAST_EVENT_ID = "Last-Event-ID"


@get("", media_type="text/event-stream")
async def follow_events(request: ApiRequest, deps: NamedDependency[Deps]) -> ServerSentEvent:
    """Follow what happens to one's recordings and clips, by server-sent events.

    Each message's event is the type, such as `clip.completed`, and its data is what a webhook gets. A client that comes
    back with the `Last-Event-ID` it has seen gets what it missed in the last 30 days, and now and then one event twice.
    """
    identity, user_id = request.user.identity, request.user.user_id
    last_event_id = request.headers.get(LAST_EVENT_ID)
    # Before the stream begins, so that an id that is none is a plain 422.
    feed = await sync_to_thread(_follow, deps, identity, user_id, last_event_id)
    return ServerSentEvent(_messages(deps, identity, user_id, feed), retry_duration=RECONNECT_MS)


def _follow(deps: Deps, identity: Identity, user_id: UUID, last_event_id: str | None) -> Feed:
    with deps.database.transaction(identity) as tx:
        return events.follow(tx, user_id=user_id, last_event_id=last_event_id)


def _read(deps: Deps, identity: Identity, user_id: UUID, feed: Feed) -> list[EventRow]:
    with deps.database.transaction(identity) as tx:
        return events.read(tx, feed, user_id=user_id)


async def _messages(deps: Deps, identity: Identity, user_id: UUID, feed: Feed) -> AsyncIterator[ServerSentEventMessage]:
    with deps.changes.subscription(user_id) as changed:
        while not deps.changes.is_closed:
            changed.clear()
            while found := await sync_to_thread(_read, deps, identity, user_id, feed):
                for event in found:
                    yield ServerSentEventMessage(data=deliveries.body_of(event), event=event.type, id=event.seq)
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield ServerSentEventMessage(data=None, comment="still here")


events_router = Router("/api/events", route_handlers=[follow_events], tags=["Events"])
