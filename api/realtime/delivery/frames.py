"""Writes frames to WebSockets without a switch of tasks; a frame is encoded once for all clients.

In Engine.IO each client has a queue of packets, and a task that frames and writes them. While that task waits for a
packet, all earlier ones are written, so the queue here writes the next frame itself.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from engineio import AsyncServer
from engineio.async_drivers.asgi import WebSocket
from engineio.packet import MESSAGE, Packet
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

WRITE_FRAME = "snuggles.write_frame"
"""Our extension of ASGI: a function that writes a frame, and returns False where the application must send instead."""
FORGET_HANDSHAKE = "snuggles.forget_handshake"
"""Another one: a function that frees what only the handshake needed."""
UPGRADE_PACKETS = 2
"""A probe, and the word that the client has changed over."""
KEPT = ("asgi.scope", "asgi.send", "REQUEST_METHOD")
"""What the library reads of a request after its WebSocket was accepted."""


class Inbox:
    """The events that one task receives. `asyncio.Queue` takes 3 KB even when it is empty, for each idle client."""

    __slots__ = ("_events", "_waiter")

    def __init__(self) -> None:
        self._events: list[ASGIReceiveEvent] = []
        self._waiter: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Return whether no event waits."""
        return not self._events

    def put_nowait(self, event: ASGIReceiveEvent) -> None:
        """Add an event, and wake the task."""
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        """Wait for an event."""
        while not self._events:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.pop(0)


class FrameProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol with these extensions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = Inbox()  # type: ignore[assignment]  # what it calls of a queue

    async def run_asgi(self) -> None:
        """Run the application."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WRITE_FRAME] = self.write_frame
        extensions[FORGET_HANDSHAKE] = self.forget_handshake
        await super().run_asgi()

    def forget_handshake(self) -> None:
        """Free the request and its answer, which the library would keep while the client stays."""
        self.scope["headers"] = []
        del self.request, self.response

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame, unless the connection closes or its client does not read."""
        if self.close_sent or self.disconnected or self.transport.is_closing() or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True


class FrameServer(AsyncServer):  # type: ignore[misc]  # the library has no types
    """Engine.IO's server with queues that write to WebSockets."""

    def __init__(self, *, upgrade_within_s: float, **options: Any) -> None:
        super().__init__(**options)
        self.upgrade_within_s = upgrade_within_s
        self._async: dict[str, Any] = {**self._async, "websocket": FrameSocket}

    def create_queue(self, *args: Any, **kwargs: Any) -> "PacketQueue":
        """Return the queue of a new client."""
        return PacketQueue(*args, **kwargs)


class FrameSocket(WebSocket):  # type: ignore[misc]  # the library has no types
    """Engine.IO's view of a WebSocket. Tells the client's queue how to write to it; ends upgrades that stop halfway."""

    def __init__(self, handler: Any, server: FrameServer) -> None:
        super().__init__(handler, server)
        self._upgrade_within_s = server.upgrade_within_s
        self._received = 0
        self._is_upgrade = False
        self._closing: asyncio.Task[None] | None = None

    async def wait(self) -> str | bytes:
        """Wait for a packet."""
        packet: str | bytes = await super().wait()
        self._received += 1
        return packet

    async def __call__(self, environ: dict[str, Any]) -> str:
        """Serve a client until it leaves."""
        socket, extensions = self.handler.__self__, environ["asgi.scope"]["extensions"]
        socket.queue.attach(socket, extensions.get(WRITE_FRAME))
        self.asgi_receive, self.asgi_send = environ["asgi.receive"], environ["asgi.send"]
        await self.asgi_send({"type": "websocket.accept"})
        if WRITE_FRAME in extensions:
            extensions[FORGET_HANDSHAKE]()
        kept = {name: environ[name] for name in KEPT}
        environ.clear()
        environ.update(kept)
        self._is_upgrade = socket.connected
        timer = asyncio.get_running_loop().call_later(self._upgrade_within_s, self._expire)
        try:
            await self.handler(self)
        finally:
            timer.cancel()
            # Or polling, which goes on after an upgrade that failed, would get nothing any more.
            socket.upgrading = False
        return ""  # nothing follows a WebSocket

    def _expire(self) -> None:
        if self._is_upgrade and self._received < UPGRADE_PACKETS:
            self._closing = asyncio.ensure_future(self.close())


class PacketQueue(asyncio.Queue[Packet | None]):
    """The packets that wait for a client; a packet that need not wait is written at once."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        self._socket: Any = None
        self._write: Callable[[bytes], bool] | None = None
        self._waiting = 0

    def attach(self, socket: Any, write: Callable[[bytes], bool] | None) -> None:
        """Write to this WebSocket, from the end of the upgrade on."""
        self._socket, self._write = socket, write

    async def get(self) -> Packet | None:
        """Wait for a packet."""
        self._waiting += 1
        try:
            return await super().get()
        finally:
            self._waiting -= 1

    def put_nowait(self, item: Packet | None) -> None:
        """Write a packet, or queue it behind those that wait."""
        # The library's task closes a client if nothing passes its queue for long, so pings go through the queue.
        if item is None or item.packet_type != MESSAGE or item.binary or not self.write(frame_of(item)):
            super().put_nowait(item)

    def write(self, frame: bytes) -> bool:
        """Write a frame; False if packets wait or the client cannot be written to."""
        if self._write is None or not self._waiting or not self.empty() or not self._socket.upgraded:
            return False
        return self._write(frame)


def frame_of(packet: Packet) -> bytes:
    """Return the frame of a text packet; the packet keeps it."""
    frame: bytes | None = getattr(packet, "frame", None)
    if frame is None:
        frame = packet.frame = Frame(Opcode.TEXT, packet.encode().encode()).serialize(mask=False)
    return frame
