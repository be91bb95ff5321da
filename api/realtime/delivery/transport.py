"""Socket.IO's server with our own handling of packets: each is encoded once for all its receivers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog
from engineio.exceptions import SocketIsClosedError
from engineio.packet import MESSAGE
from engineio.packet import Packet as TransportPacket
from socketio import AsyncServer

from api.realtime.delivery.frames import FrameServer, frame_of
from api.realtime.delivery.packets import is_allowed

NAMESPACE = "/"
KEPT = ("HTTP_ORIGIN", "HTTP_HOST", "HTTP_COOKIE", "HTTP_SEC_FETCH_SITE")
"""The headers that authentication needs. The library would keep the whole first request while a client stays."""

logger = structlog.get_logger(__name__)


class SocketServer(AsyncServer):  # type: ignore[misc]  # the library has no types
    """The library's server, except that `on_event` gets each event, with the number of its acknowledgement.

    `on_admitted` is called once a client knows that it is connected; packets sent earlier would overtake that.
    """

    def __init__(
        self,
        *,
        on_event: Callable[[str, int | None, list[Any]], Awaitable[None]],
        on_admitted: Callable[[str], None],
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._on_event = on_event
        self._on_admitted = on_admitted

    async def _handle_eio_connect(self, eio_sid: str, environ: Mapping[str, Any]) -> Any:
        kept = {name: environ[name] for name in KEPT if name in environ}
        return await super()._handle_eio_connect(eio_sid, kept)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: list[Any]) -> None:  # noqa: A002 - the library's name
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace or NAMESPACE)
        if sid is not None and self.manager.is_connected(sid, NAMESPACE):
            await self._on_event(sid, id, data)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        await super()._handle_connect(eio_sid, namespace, data)
        sid = self.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        if sid is not None and self.manager.is_connected(sid, NAMESPACE):
            self._on_admitted(sid)

    def _engineio_server_class(self) -> type[FrameServer]:
        return FrameServer

    def transport_of(self, sid: str) -> Any:
        """Return the transport of a client; None when it is gone."""
        return self.eio.sockets.get(self.manager.eio_sid_from_sid(sid, NAMESPACE))


class Outbox:
    """Puts packets on the queues of clients, and cuts off those that do not read."""

    def __init__(self, *, max_queued: int) -> None:
        self._max_queued = max_queued
        self._closing: set[asyncio.Task[None]] = set()
        self.delivered = 0
        self.shed = 0

    def push(self, transport: Any, packet: TransportPacket) -> bool:
        """Queue a packet; False when the client is gone or was cut off for not reading."""
        if is_closed(transport):
            return False
        queue = transport.queue
        if not queue.write(packet.frame):
            if queue.qsize() >= self._max_queued:
                self.shed += 1
                logger.info("slow_reader_cut_off", queued=queue.qsize())
                self.close(transport)
                return False
            queue.put_nowait(packet)
        self.delivered += 1
        return True

    def close(self, transport: Any) -> None:
        """Close a transport without waiting for it."""
        task = asyncio.ensure_future(close(transport))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def event_packet(event: str, payload: Any) -> TransportPacket:
    """Return the packet of an event; `payload` is plain data, or JSON that is ready."""
    text = payload if isinstance(payload, str) else msgspec.json.encode(payload).decode()
    return _packet(f'2["{event}",{text}]')


def ack_packet(number: int, answer: Any) -> TransportPacket:
    """Return the acknowledgement that a client waits for."""
    return _packet(f"3{number}[{msgspec.json.encode(answer).decode()}]")


def _packet(text: str) -> TransportPacket:
    packet = TransportPacket(MESSAGE, data=text)
    frame_of(packet)  # once; the packet keeps it
    return packet


def is_closed(transport: Any) -> bool:
    """Return whether the transport can send nothing more."""
    return transport is None or transport.closed or transport.closing


async def close(transport: Any) -> None:
    """Close a transport and its connection: the library waits 45 s for a client that does not close by itself."""
    await transport.close(wait=False)
    await transport.queue.put(None)


def guard(
    server: SocketServer,
    *,
    max_queued: int,
    on_opened: Callable[[str, Mapping[str, Any]], bool],
    on_closed: Callable[[str], None],
) -> None:
    """Put checks before the library's own handlers of transports; `on_opened` returns whether one may be opened."""
    handlers = server.eio.handlers
    connect, message, disconnect = handlers["connect"], handlers["message"], handlers["disconnect"]

    async def on_connect(eio_sid: str, environ: Mapping[str, Any]) -> Any:
        if not on_opened(eio_sid, environ):
            return False
        _check_packets(server.eio.sockets[eio_sid], max_queued)
        return await connect(eio_sid, environ)

    async def on_message(eio_sid: str, data: str) -> None:
        with suppress(SocketIsClosedError):  # the client left during the answer
            await message(eio_sid, data)
        # Engine.IO does not clean up clients that disconnect during connect.
        sid = server.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        if sid is not None and is_closed(server.eio.sockets.get(eio_sid)):
            await server.manager.disconnect(sid, NAMESPACE, ignore_queue=True)

    async def on_disconnect(eio_sid: str, reason: str) -> None:
        on_closed(eio_sid)
        await disconnect(eio_sid, reason)

    handlers["connect"], handlers["message"], handlers["disconnect"] = on_connect, on_message, on_disconnect


def _check_packets(transport: Any, max_queued: int) -> None:
    """Drop packets that is_allowed refuses, and all packets of clients that read no answers or were cut off."""
    receive = transport.receive

    async def receive_checked(packet: Any) -> None:
        if not is_allowed(packet) or transport.queue.qsize() >= max_queued:
            await close(transport)
        if transport.closed:
            raise SocketIsClosedError  # ends the loop that reads from the client
        await receive(packet)

    transport.receive = receive_checked
