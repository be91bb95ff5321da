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
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

WRITE_FRAME = "snuggles.write_frame"
"""Our extension of ASGI: a function that writes a frame, and returns False where the application must send instead."""


class FrameProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's protocol with this extension."""

    async def run_asgi(self) -> None:
        """Run the application."""
        extensions: dict[str, Any] = self.scope["extensions"]
        extensions[WRITE_FRAME] = self.write_frame
        await super().run_asgi()

    def write_frame(self, frame: bytes) -> bool:
        """Write a frame, unless the connection closes or its client does not read."""
        if self.close_sent or self.disconnected or self.transport.is_closing() or not self.writable.is_set():
            return False
        self.transport.write(frame)
        return True


class FrameServer(AsyncServer):  # type: ignore[misc]  # the library has no types
    """Engine.IO's server with queues that write to WebSockets."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._async: dict[str, Any] = {**self._async, "websocket": FrameSocket}

    def create_queue(self, *args: Any, **kwargs: Any) -> "PacketQueue":
        """Return the queue of a new client."""
        return PacketQueue(*args, **kwargs)


class FrameSocket(WebSocket):  # type: ignore[misc]  # the library has no types
    """Engine.IO's view of a WebSocket; tells the client's queue how to write to it."""

    async def __call__(self, environ: dict[str, Any]) -> str:
        """Serve a client until it leaves."""
        socket, scope = self.handler.__self__, environ["asgi.scope"]
        socket.queue.attach(socket, scope["extensions"].get(WRITE_FRAME))
        # The headers are not needed again, but the library would keep two copies while a client stays.
        scope["headers"] = []
        for name in [name for name in environ if name.startswith("HTTP_")]:
            del environ[name]
        return str(await super().__call__(environ))


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
