"""`/api/events`: a user's own events as they happen, the same ones that their webhooks get."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from litestar import Router, get
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent, ServerSentEventMessage

from api.auth import Principal, check_again
from api.deps import Deps
from api.http.request import ApiRequest
from services.errors import UnauthenticatedError
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks.event import EventRow, Feed

# Proxies close what is silent for 30 to 60 s.
HEARTBEAT_S = 15.0
RECONNECT_MS = 2000
LAST_EVENT_ID = "Last-Event-ID"


@get("", media_type="text/event-stream")
async def follow_events(request: ApiRequest, deps: NamedDependency[Deps]) -> ServerSentEvent:
    """Follow one's recordings and clips by server-sent events.

    A message's `event` is the type, such as `clip.completed`, and its data is what a webhook gets. A client that
    reconnects with its `Last-Event-ID` gets what it missed in the last 30 days, sometimes an event twice.
    """
    principal = request.user
    last_event_id = request.headers.get(LAST_EVENT_ID)
    # Before the stream begins, so that an invalid id is answered with 422.
    feed = await sync_to_thread(_follow, deps, principal, last_event_id)
    return ServerSentEvent(_messages(deps, principal, feed), retry_duration=RECONNECT_MS)


def _follow(deps: Deps, principal: Principal, last_event_id: str | None) -> Feed:
    with deps.database.transaction(principal.identity) as tx:
        return events.follow(tx, user_id=principal.user_id, last_event_id=last_event_id)


def _read(deps: Deps, principal: Principal, feed: Feed) -> list[EventRow]:
    check_again(deps, principal)
    with deps.database.transaction(principal.identity) as tx:
        return events.read(tx, feed, user_id=principal.user_id)


async def _messages(deps: Deps, principal: Principal, feed: Feed) -> AsyncIterator[ServerSentEventMessage]:
    with deps.changes.subscription(principal.user_id) as changed, suppress(UnauthenticatedError):
        while not deps.changes.is_closed:
            changed.clear()
            while found := await sync_to_thread(_read, deps, principal, feed):
                for event in found:
                    yield ServerSentEventMessage(data=deliveries.body_of(event), event=event.type, id=event.seq)
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield ServerSentEventMessage(data=None, comment="still here")


events_router = Router("/api/events", route_handlers=[follow_events], tags=["Events"])
