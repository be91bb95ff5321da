"""The Socket.IO server: who may connect, and for how long; what he is told stands in `feed` and `progress`."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from engineio.exceptions import SocketIsClosedError
from litestar.concurrency import sync_to_thread
from msgspec import Struct
from socketio import ASGIApp, AsyncServer
from socketio.exceptions import ConnectionRefusedError as Refusal

from api.auth import Principal, authenticate_cookie, authenticate_token, check_again
from api.deps import Deps
from api.realtime.feed import EventFeed
from api.realtime.packets import is_allowed
from api.realtime.progress import ProgressFeed
from db.connection import DatabaseUnavailableError
from services.errors import DomainError, UnauthenticatedError
from services.process.settings import Settings

NAMESPACE = "/"
CONNECT_WITHIN_S = 10.0
"""A transport that never says who it is holds a socket for nothing."""
SESSION_CHECK_S = 60.0
"""How long a session that ended can go on listening where the notification of its end was lost."""
MAX_QUEUED = 256
"""Packets; a client that reads more slowly than that is cut off, comes back, and is told what it missed."""
MAX_CONNECTIONS = 32
"""Of one account in one process: tabs and devices of a person, not a fleet."""
MAX_MESSAGE_BYTES = 100_000
UNSUPPORTED = 1003  # RFC 6455, 7.4.1
UNAVAILABLE = {"code": "unavailable", "message": "The service cannot check the token just now; try again in a moment."}

logger = structlog.get_logger(__name__)


class Visit(Struct, frozen=True, kw_only=True):
    """Somebody who is connected, and what he will be told."""

    principal: Principal
    feed: EventFeed


class Realtime:
    """One process's connections. Nothing is shared with other processes: each listens to the database by itself."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        quiet = logging.getLogger("socketio")
        quiet.setLevel(logging.ERROR)  # it would log every packet, with what is in it
        self._server = AsyncServer(
            async_mode="asgi",
            # One after the other, or events of one client overtake each other.
            async_handlers=False,
            cors_allowed_origins=_origin_check(deps.settings),
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            logger=quiet,
            engineio_logger=quiet,
        )
        self._visits: dict[str, asyncio.Task[None]] = {}
        self._people: defaultdict[UUID, set[str]] = defaultdict(set)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("*", _unknown)
        self._guard_transport()

    def mount(self, app: Any) -> Any:
        """Return an application that answers `/socket.io/` itself and leaves everything else to `app`."""
        mounted = ASGIApp(self._server, other_asgi_app=app)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            try:
                await mounted(scope, receive, send)
            except (ValueError, LookupError):
                if scope["type"] != "websocket":
                    raise
                # The library reads a frame's type without a look at it.
                logger.info("frame_refused")
                with suppress(OSError, RuntimeError):  # it may be closed already
                    await send({"type": "websocket.close", "code": UNSUPPORTED})

        return serve

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell of progress for as long as the block runs, and part from everybody at its end."""
        progress = ProgressFeed(self._deps, people=lambda: list(self._people), tell=self._tell_person)
        task = asyncio.create_task(progress.run())
        try:
            yield
        finally:
            task.cancel()
            for visit in list(self._visits.values()):
                visit.cancel()
            await asyncio.gather(task, *self._visits.values(), return_exceptions=True)
            await self._server.shutdown()

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        given = auth if isinstance(auth, dict) else {}
        try:
            visit = await sync_to_thread(self._welcome, environ, given)
        except UnauthenticatedError as error:
            raise Refusal("unauthorized", {"code": error.code, "message": error.message}) from None
        except DomainError as error:
            raise Refusal(error.code, {"code": error.code, "message": error.message}) from None
        except Exception as error:
            if not isinstance(error, DatabaseUnavailableError):
                logger.exception("connect_failed")
            raise Refusal("unavailable", UNAVAILABLE) from None
        if _is_closed(self._transport_of(sid)):
            raise Refusal("gone")  # it left meanwhile, and nobody will say so again
        sids = self._people[visit.principal.user_id]
        if len(sids) >= MAX_CONNECTIONS:
            message = f"{MAX_CONNECTIONS} connections of this account are open; close one."
            raise Refusal("too_many_connections", {"code": "too_many_connections", "message": message})
        sids.add(sid)
        # Last, and without waiting: what is emitted from here would arrive before the client's own `connect`.
        self._visits[sid] = asyncio.create_task(self._attend(sid, visit))

    def _welcome(self, environ: Mapping[str, Any], given: Mapping[str, Any]) -> Visit:
        principal = self._authenticate(environ, given.get("token"))
        last = given.get("lastEventId")
        feed = EventFeed.begin(self._deps, principal, last_event_id=None if last is None else str(last))
        return Visit(principal=principal, feed=feed)

    def _authenticate(self, environ: Mapping[str, Any], token: object) -> Principal:
        """Return who connects: by the token, or without one by the session cookie of a page of ours."""
        if isinstance(token, str) and token:
            return authenticate_token(self._deps, token)
        cookie = str(environ.get("HTTP_COOKIE", ""))
        if cookie and environ.get("HTTP_ORIGIN") in _own_origins(self._deps.settings):
            return authenticate_cookie(
                self._deps, {name: morsel.value for name, morsel in SimpleCookie(cookie).items()}
            )
        raise UnauthenticatedError("Send the token when connecting: `io(url, {auth: {token}})`.")

    async def _attend(self, sid: str, visit: Visit) -> None:
        """Tell one client everything from now on, until his session ends."""
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._tell(sid, "room:authenticated", {"userId": str(visit.principal.user_id)})
            tasks = [
                asyncio.create_task(self._watch_session(visit)),
                asyncio.create_task(self._tell_events(sid, visit)),
            ]
            for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
                if (error := task.exception()) is not None:
                    logger.error("connection_failed", exc_info=error)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(KeyError):  # it left by itself
                await self._server.disconnect(sid)

    async def _tell_events(self, sid: str, visit: Visit) -> None:
        async for event, data in visit.feed:
            if not await self._tell(sid, event, data):
                return

    async def _watch_session(self, visit: Visit) -> None:
        """Return when the session has expired or was ended."""
        with self._deps.changes.subscription(visit.principal.user_id) as changed:
            while (left_s := self._seconds_left(visit)) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(left_s, SESSION_CHECK_S))
                changed.clear()
                try:
                    await sync_to_thread(check_again, self._deps, visit.principal)
                except UnauthenticatedError:
                    return
                except DatabaseUnavailableError:
                    continue  # the session counts as valid until the database answers again

    def _seconds_left(self, visit: Visit) -> float:
        claims = visit.principal.claims
        return SESSION_CHECK_S if claims is None else (claims.expires_at - self._deps.clock()).total_seconds()

    async def _tell_person(self, user_id: UUID, event: str, data: Mapping[str, Any]) -> None:
        for sid in list(self._people.get(user_id, ())):
            await self._tell(sid, event, data)

    async def _tell(self, sid: str, event: str, data: Mapping[str, Any]) -> bool:
        """Queue an event for one client; False when he is gone, or does not read."""
        transport = self._transport_of(sid)
        if _is_closed(transport):
            return False
        if transport.queue.qsize() >= MAX_QUEUED:
            logger.info("slow_reader_cut_off", queued=transport.queue.qsize())
            await _close(transport)
            return False
        await self._server.emit(event, data, to=sid)
        return True

    async def _disconnect(self, sid: str, _reason: str) -> None:
        for user_id, sids in list(self._people.items()):
            sids.discard(sid)
            if not sids:
                del self._people[user_id]
        visit = self._visits.pop(sid, None)
        if visit is not None and visit is not asyncio.current_task():
            visit.cancel()
        # Close the transport too.
        if not _is_closed(transport := self._transport_of(sid)):
            await _close(transport)

    def _transport_of(self, sid: str) -> Any:
        return self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(sid, NAMESPACE))

    def _guard_transport(self) -> None:
        """Put checks before the library's own handlers of the transport."""
        handlers = self._server.eio.handlers
        connect, message = handlers["connect"], handlers["message"]

        async def on_connect(eio_sid: str, environ: Mapping[str, Any]) -> Any:
            asyncio.get_running_loop().call_later(
                CONNECT_WITHIN_S, lambda: asyncio.ensure_future(self._expire(eio_sid))
            )
            _check_packets(self._server.eio.sockets[eio_sid])
            return await connect(eio_sid, environ)

        async def on_message(eio_sid: str, data: str) -> None:
            with suppress(SocketIsClosedError):  # it left while it was being answered
                await message(eio_sid, data)
            # What leaves before it is let in is forgotten by nobody else.
            sid = self._server.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
            if sid is not None and _is_closed(self._server.eio.sockets.get(eio_sid)):
                await self._server.manager.disconnect(sid, NAMESPACE, ignore_queue=True)

        handlers["connect"], handlers["message"] = on_connect, on_message

    async def _expire(self, eio_sid: str) -> None:
        """Close a transport that has not been let in; one that is just asking comes too late."""
        transport = self._server.eio.sockets.get(eio_sid)
        if transport is not None and self._server.manager.sid_from_eio_sid(eio_sid, NAMESPACE) not in self._visits:
            await _close(transport)


def _is_closed(transport: Any) -> bool:
    return transport is None or transport.closed or transport.closing


async def _close(transport: Any) -> None:
    """Close a transport and its connection: the library waits 45 s for a client that does not close by itself."""
    await transport.close(wait=False)
    await transport.queue.put(None)


def _check_packets(transport: Any) -> None:
    """Let nothing in that is_allowed refuses, nor anything from a client that reads no answers or was cut off."""
    receive = transport.receive

    async def receive_checked(packet: Any) -> None:
        if not is_allowed(packet) or transport.queue.qsize() >= MAX_QUEUED:
            await _close(transport)
        if transport.closed:
            raise SocketIsClosedError  # which ends the loop that reads from it
        await receive(packet)

    transport.receive = receive_checked


async def _unknown(event: str, _sid: str, *_data: object) -> dict[str, Any]:
    """Answer an event that nobody handles: silence would leave the client waiting for its acknowledgement."""
    return {"success": False, "error": {"code": "not_found", "message": f"There is no event {event[:50]!r}."}}


def _own_origins(settings: Settings) -> set[str]:
    """Return the origins whose pages may use a session cookie."""
    public = urlsplit(settings.public_url)
    return {f"{public.scheme}://{public.netloc}", *settings.cors_origins} - {"*"}


def _origin_check(settings: Settings) -> Callable[[str | None, Mapping[str, Any]], bool]:
    """Return what says whether a page of this origin may connect: our own, and those of CORS_ORIGINS."""
    allowed = _own_origins(settings)

    def is_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
        # As text: what cannot be taken apart is no reason for a traceback.
        same_host = origin is not None and origin.partition("://")[2] == environ.get("HTTP_HOST")
        return "*" in settings.cors_origins or origin in allowed or same_host

    return is_allowed
