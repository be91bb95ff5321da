"""The server's HTTP protocol, with limits on heads, bodies, stalled readers and connections.

Uvicorn leaves these to a proxy, and there may be none.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class EdgeLimits(Struct, frozen=True, kw_only=True):
    """Limits of one process for clients that are not authenticated yet."""

    head_bytes: int = 64 * 1024
    """Size of a request line with its headers: browsers send a few KiB, and some proxies add as much."""
    head_s: float = 10.0
    """From the connection, or the first byte of another request, to the end of its head."""
    body_s: float = 60.0
    """For the body of a request. Uploads have a minimum rate instead (`api.routes.storage`)."""
    stalled_s: float = 120.0
    """How long a client may read nothing of an answer. A player that is paused asks for the rest again."""
    connections: int = 2000
    """Without WebSockets."""
    half_open: int = 500
    """Connections that have not sent a head. Beyond these, the oldest is closed: honest clients send it at once."""
    unlimited_body_prefix: str = "/storage/"


class _Connections:
    """The connections of one server."""

    def __init__(self, limits: EdgeLimits) -> None:
        self.limits = limits
        self.open: set[EdgeProtocol] = set()
        self.half_open: dict[EdgeProtocol, None] = {}  # in the order in which they came


def edge_protocol(limits: EdgeLimits | None = None) -> type[HttpToolsProtocol]:
    """Return the protocol class for one server, with its own count of connections."""

    class Protocol(EdgeProtocol):
        shared = _Connections(limits or EdgeLimits())

    return Protocol


class EdgeProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits. `shared` belongs to one server; `edge_protocol` makes a class with it."""

    shared: _Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._is_in_head = False
        self._is_handed_over = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or refuse it when there are too many."""
        super().connection_made(transport)
        if len(self.shared.open) >= self.shared.limits.connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self.shared.open.add(self)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse received data; a head that is too large ends the connection."""
        if self.transport.is_closing():
            return
        was_in_head = self._is_in_head
        super().data_received(data)
        if self._is_handed_over:
            return
        if self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.shared.limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif not was_in_head and self._head_timer is None and self._is_idle():
            self._await_head()  # empty lines, which belong to no request, must not keep the connection

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection to Socket.IO, which has its own limits."""
        self._is_handed_over = True
        self._forget()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        if self._head_timer is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin the body of the request."""
        self._is_in_head = False
        self._head_arrived()
        super().on_headers_complete()
        path = str(self.scope.get("path", ""))
        if not path.startswith(self.shared.limits.unlimited_body_prefix) and self._body_timer is None:
            self._body_timer = self._later(self.shared.limits.body_s, self.transport.abort)

    def on_message_complete(self) -> None:
        """End the request."""
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the timeout of a client that does not read."""
        super().pause_writing()
        if self._stall_timer is None:
            self._stall_timer = self._later(self.shared.limits.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timeout: the client reads again."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    def _await_head(self) -> None:
        half_open = self.shared.half_open
        half_open[self] = None
        self._head_timer = self._later(self.shared.limits.head_s, lambda: self._refuse(HTTPStatus.REQUEST_TIMEOUT))
        if len(half_open) > self.shared.limits.half_open:
            next(iter(half_open)).drop()

    def _head_arrived(self) -> None:
        self.shared.half_open.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_idle(self) -> bool:
        return self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete)

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._forget()
        self.transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer with a status only, and close; a silent client gets no answer."""
        self._forget()
        if self._is_in_head or status != HTTPStatus.REQUEST_TIMEOUT:
            line = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            self.transport.write(line.encode())
        self._is_in_head = False
        self.transport.close()

    def _forget(self) -> None:
        self._cancel_timers()
        self.shared.open.discard(self)

    def _cancel_timers(self) -> None:
        self._head_arrived()
        for timer in (self._body_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()

    def _later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        return self.loop.call_later(delay_s, call)
