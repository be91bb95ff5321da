"""The Socket.IO server: admits connections and ends them. The modules beside it handle commands and delivery."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from litestar.concurrency import sync_to_thread
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from socketio import ASGIApp
from socketio.exceptions import ConnectionRefusedError as Refusal

from api.auth import Principal, authenticate_cookie, authenticate_token, check_again
from api.base_deps import BaseDeps
from api.metrics import SocketLoad
from api.realtime.commands.command import Command, Commands
from api.realtime.commands.polls import PollCommands
from api.realtime.commands.rooms import RoomCommands
from api.realtime.connection import Connection
from api.realtime.delivery.bus import Bus, Notice
from api.realtime.delivery.feed import EventFeeds
from api.realtime.delivery.hub import UNKNOWN, Hub
from api.realtime.delivery.progress import ProgressFeed
from api.realtime.delivery.transport import (
    NAMESPACE,
    Outbox,
    SocketServer,
    ack_packet,
    close,
    event_packet,
    guard,
    is_closed,
)
from api.realtime.limits import MAX_MESSAGE_BYTES, Limits
from api.realtime.presence import Presence
from api.realtime.task import end
from db.connection import DatabaseUnavailableError
from services.errors import DomainError, UnauthenticatedError
from services.process.settings import Settings
from services.webhooks.event import Feed

UNSUPPORTED = 1003  # RFC 6455, 7.4.1
UNAVAILABLE = {"code": "unavailable", "message": "The service cannot check the token just now; try again in a moment."}
REDIS_CONNECTIONS = 16
REDIS_TIMEOUT_S = 2.0

logger = structlog.get_logger(__name__)


class Realtime:
    """One process's connections."""

    def __init__(self, deps: BaseDeps, *, limits: Limits | None = None) -> None:
        self._deps = deps
        self._limits = limits or Limits()
        quiet = logging.getLogger("socketio")
        quiet.setLevel(logging.ERROR)  # it would log every packet with its content
        quiet.addFilter(_is_ours)
        self._server = SocketServer(
            on_event=self._event,
            on_admitted=self._admitted,
            async_mode="asgi",
            # One after the other, or events of one client overtake each other.
            async_handlers=False,
            cors_allowed_origins=_origin_check(deps.settings),
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            upgrade_within_s=self._limits.connect_within_s,
            logger=quiet,
            engineio_logger=quiet,
        )
        self._redis = AsyncRedis(
            connection_pool=BlockingConnectionPool.from_url(
                deps.settings.redis_url,
                max_connections=REDIS_CONNECTIONS,
                timeout=REDIS_TIMEOUT_S,
                socket_connect_timeout=REDIS_TIMEOUT_S,
            )
        )
        self._outbox = Outbox(max_queued=self._limits.max_queued)
        self._feeds = EventFeeds(deps, self._outbox)
        self._hub = Hub(deps, self._outbox, results_every_s=self._limits.results_every_s)
        self._bus = Bus(self._redis, self._deliver)
        self._presence = Presence(self._redis, local=self._hub.users)
        self._rooms = RoomCommands(
            deps,
            hub=self._hub,
            bus=self._bus,
            presence=self._presence,
            outbox=self._outbox,
            limits=self._limits,
        )
        self._commands = Commands(self.commands, deps.socket_metrics)
        self._connections: dict[str, Connection] = {}
        self._addresses: Counter[str] = Counter()
        self._address_of: dict[str, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        deps.socket_metrics.watch(self._load)
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        guard(self._server, max_queued=self._limits.max_queued, on_opened=self._opened, on_closed=self._closed)

    @property
    def commands(self) -> Mapping[str, Command]:
        """The commands of clients."""
        return {**self._rooms.table(), **PollCommands(self._deps).table()}

    def mount(self, app: Any) -> Any:
        """Return an application that answers `/socket.io/` itself and leaves everything else to `app`."""
        mounted = ASGIApp(self._server, other_asgi_app=app)

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            try:
                await mounted(scope, receive, send)
            except (ValueError, LookupError):
                if scope["type"] != "websocket":
                    raise
                # The library reads a frame's type without checking the frame.
                logger.info("frame_refused")
                with suppress(OSError, RuntimeError):  # it may be closed already
                    await send({"type": "websocket.close", "code": UNSUPPORTED})

        return serve

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver events for as long as the block runs, and disconnect everybody at its end."""
        progress = ProgressFeed(self._deps, people=lambda: self._feeds.people, tell=self._feeds.tell)
        self._deps.changes.at_close(self._part)
        self._deps.changes.on("room_events", self._room_changed, missed=self._hub.wake_all)
        self._deps.changes.on("poll_votes", self._poll_changed)
        self._deps.changes.on("sessions_ended", self._session_ended)
        self._deps.changes.on("events_recorded", self._owner_changed, missed=self._feeds.wake_all)
        tasks = [
            asyncio.create_task(work)
            for work in (
                progress.run(),
                self._bus.send(),
                self._bus.receive(),
                self._presence.renew(self._hub.connections),
                self._presence.sweep(self._rooms.gone),
                self._rooms.activity.run(),
            )
        ]
        try:
            yield
        finally:
            await self._rooms.close()
            await self._hub.close()
            await self._feeds.close()
            await end((*tasks, *self._tasks))
            for connection in list(self._connections.values()):
                with suppress(KeyError):
                    await self._server.disconnect(connection.sid)
            await self._server.shutdown()
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    def _load(self) -> SocketLoad:
        return SocketLoad(
            connections=len(self._connections),
            rooms=len(self._hub.rooms),
            delivered=self._outbox.delivered,
            shed=self._outbox.shed,
        )

    def _part(self) -> None:
        """Close every transport, so that clients go to another process at once and no long poll delays the end."""
        self._rooms.stop()
        for transport in list(self._server.eio.sockets.values()):
            self._outbox.close(transport)

    # --- coming and going

    def _opened(self, eio_sid: str, environ: Mapping[str, Any]) -> bool:
        """Count a transport by its address and start its timeout for a token; False if there are too many."""
        address = _address(environ)
        is_exempt = address in self._deps.settings.socket_exempt_addresses
        if not is_exempt and self._addresses[address] >= self._limits.max_connections_per_address:
            logger.info("address_refused", connections=self._addresses[address])
            self._deps.socket_metrics.connect("too_many_of_address")
            return False
        self._addresses[address] += 1
        self._address_of[eio_sid] = address
        self._later(self._limits.connect_within_s, lambda: self._expire(eio_sid))
        return True

    def _closed(self, eio_sid: str) -> None:
        address = self._address_of.pop(eio_sid, None)
        if address is not None:
            self._addresses[address] -= 1
            self._addresses += Counter()  # drops zero counts

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: object = None) -> None:
        given = auth if isinstance(auth, dict) else {}
        last_event_id = given.get("lastEventId")
        try:
            principal, feed = await sync_to_thread(self._welcome, environ, given.get("token"), last_event_id)
        except UnauthenticatedError as error:
            self._deps.socket_metrics.connect("unauthorized")
            raise Refusal("unauthorized", {"code": error.code, "message": error.message}) from None
        except DomainError as error:
            self._deps.socket_metrics.connect(error.code)
            raise Refusal(error.code, {"code": error.code, "message": error.message}) from None
        except Exception as error:
            if not isinstance(error, DatabaseUnavailableError):
                logger.exception("connect_failed")
            self._deps.socket_metrics.connect("unavailable")
            raise Refusal("unavailable", UNAVAILABLE) from None
        transport = self._server.transport_of(sid)
        if is_closed(transport):
            raise Refusal("gone")  # it left meanwhile, and no other event will tell us
        connection = Connection(sid, transport, principal)
        if self._feeds.count(connection.user_id) >= self._limits.max_connections:
            message = f"{self._limits.max_connections} connections of this account are open; close one."
            self._deps.socket_metrics.connect("too_many_connections")
            raise Refusal("too_many_connections", {"code": "too_many_connections", "message": message})
        self._connections[sid] = connection
        self._deps.socket_metrics.connect("connected")
        self._feeds.attach(connection, feed, is_resumed=last_event_id is not None)

    def _welcome(self, environ: Mapping[str, Any], token: object, last_event_id: object) -> tuple[Principal, Feed]:
        principal = self._authenticate(environ, token)
        last = None if last_event_id is None else str(last_event_id)
        return principal, self._feeds.begin(principal.person.user_id, last_event_id=last)

    def _authenticate(self, environ: Mapping[str, Any], token: object) -> Principal:
        """Return the owner of a connection: by its token or, without one, by the session cookie of our own page."""
        if isinstance(token, str) and token:
            return authenticate_token(self._deps, token)
        cookies = _cookies(environ, self._deps.settings) if token is None else {}
        if cookies:
            return authenticate_cookie(self._deps, cookies)
        raise UnauthenticatedError("Send the token when connecting: `io(url, {auth: {token}})`.")

    def _admitted(self, sid: str) -> None:
        """Tell a client who it is, once it knows that it is connected."""
        connection = self._connections.get(sid)
        if connection is None:
            return
        payload = {"userId": str(connection.user_id)}
        self._outbox.push(connection.transport, event_packet("room:authenticated", payload))
        self._watch_session(connection)

    async def _disconnect(self, sid: str, _reason: str) -> None:
        transport = self._server.transport_of(sid)
        connection = self._connections.pop(sid, None)
        if connection is not None:
            self._feeds.detach(connection)
            if not self._feeds.count(connection.user_id):
                self._commands.forget(connection.user_id)
            await self._rooms.disconnected(connection)
        if not is_closed(transport):
            await close(transport)  # a client that only leaves the namespace keeps no transport

    async def _expire(self, eio_sid: str) -> None:
        """Close a transport that has not been admitted."""
        transport = self._server.eio.sockets.get(eio_sid)
        sid = self._server.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        if transport is not None and sid not in self._connections:
            await close(transport)

    # --- sessions

    def _watch_session(self, connection: Connection) -> None:
        """Check again, after a while or when the token expires, whether the session is still valid."""
        left_s = self._seconds_left(connection)
        self._later(max(0.0, min(left_s, self._limits.session_check_s)), lambda: self._check_session(connection))

    async def _check_session(self, connection: Connection, *, again: bool = True) -> None:
        if self._connections.get(connection.sid) is not connection:
            return
        is_over = self._seconds_left(connection) <= 0
        with suppress(DatabaseUnavailableError):  # the session counts as valid until it can be checked again
            try:
                await sync_to_thread(check_again, self._deps, connection.principal)
            except UnauthenticatedError:
                is_over = True
        if is_over:
            with suppress(KeyError):  # the client left by itself
                await self._server.disconnect(connection.sid)
        elif again:
            self._feeds.wake(connection.user_id)  # a notification may have been lost
            self._watch_session(connection)

    def _seconds_left(self, connection: Connection) -> float:
        claims = connection.principal.guest or connection.principal.claims
        if claims is None:
            return self._limits.session_check_s
        return (claims.expires_at - self._deps.clock()).total_seconds()

    # --- events to and from clients

    async def _event(self, sid: str, number: int | None, data: list[Any]) -> None:
        connection = self._connections.get(sid)
        if connection is None:
            return
        answer = await self._commands.answer(connection, data)
        if number is not None:
            self._outbox.push(connection.transport, ack_packet(number, answer))
        elif not answer["success"]:
            name = "poll:error" if data[0].startswith("poll:") else "room:error"
            error = {"event": data[0][:100], **answer["error"]}
            self._outbox.push(connection.transport, event_packet(name, error))
        if connection.is_flooding:
            logger.info("flood_cut_off", owner=str(connection.user_id))
            self._outbox.close(connection.transport)

    def _deliver(self, notice: Notice) -> None:
        self._hub.tell(notice.room_id, notice.event, notice.payload, to=notice.to)

    def _room_changed(self, payload: str) -> None:
        room_id, _, seq = payload.partition(" ")
        self._hub.wake(UUID(room_id), int(seq or UNKNOWN))

    def _poll_changed(self, payload: str) -> None:
        room_id, _, poll_id = payload.partition(" ")
        self._hub.wake_poll(UUID(room_id), UUID(poll_id))

    def _session_ended(self, payload: str) -> None:
        """Check the connections of a person after one of their sessions ended."""
        for connection in self._feeds.connections(UUID(payload)):
            self._later(0, lambda connection=connection: self._check_session(connection, again=False))  # type: ignore[misc]  # a default is no argument

    def _owner_changed(self, payload: str) -> None:
        self._feeds.wake(UUID(payload))

    def _later(self, delay_s: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        def begin() -> None:
            task = asyncio.ensure_future(work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        asyncio.get_running_loop().call_later(delay_s, begin)


def _address(environ: Mapping[str, Any]) -> str:
    client = environ["asgi.scope"].get("client")
    return str(client[0]) if client else "unknown"


def _cookies(environ: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return the cookies if our own page or one of CORS_ORIGINS sends them, else nothing."""
    origin = environ.get("HTTP_ORIGIN")
    # Browsers send no Origin with a GET to the page's own.
    if origin is None and environ.get("HTTP_SEC_FETCH_SITE") != "same-origin":
        return {}
    if origin is not None and not _is_own(origin, environ, settings):
        return {}
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(environ.get("HTTP_COOKIE", "")).items()}
    except CookieError:
        return {}


def _is_own(origin: str, environ: Mapping[str, Any], settings: Settings) -> bool:
    public = urlsplit(settings.public_url)
    named = {f"{public.scheme}://{public.netloc}", *settings.cors_origins} - {"*"}
    # Compared as text: an origin that cannot be parsed must not cause a traceback.
    return origin in named or origin.partition("://")[2] == environ.get("HTTP_HOST")


def _origin_check(settings: Settings) -> Callable[[str | None, Mapping[str, Any]], bool]:
    """Return a function that says whether pages of an origin may connect: our own, and those of CORS_ORIGINS."""

    def is_allowed(origin: str | None, environ: Mapping[str, Any]) -> bool:
        return "*" in settings.cors_origins or (origin is not None and _is_own(origin, environ, settings))

    return is_allowed


def _is_ours(record: logging.LogRecord) -> bool:
    """Shorten the library's traceback for a malformed payload to one line."""
    if record.exc_info is None or not isinstance(record.exc_info[1], ValueError | LookupError):
        return True
    logger.info("payload_refused", error=str(record.exc_info[1])[:200])
    return False
