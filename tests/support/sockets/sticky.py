"""A balancer that keeps each Socket.IO session with the process that opened it, as nginx or a cloud's does."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

SID = re.compile(rb"[?&]sid=([^&\s]+)")
GIVEN = re.compile(rb'"sid":"([^"]+)"')
CONNECTION = re.compile(rb"(?im)^connection: *keep-alive\r$")
MAX_HEAD = 65536


class StickyProxy:
    """Forwards one request a connection: a new session to the next process, a known one to its own."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._next = cycle(ports)
        self._homes: dict[bytes, int] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
                received = client.recv(MAX_HEAD)
                if not received:
                    return
                head += received
            known = SID.search(head.partition(b"\r\n")[0])
            with self._lock:
                port = self._homes.get(known[1]) if known else None
                port = port or next(self._next)
            with socket.create_connection(("127.0.0.1", port)) as server:
                self._open |= {client, server}
                # One request a connection: the next one may be of another session.
                server.sendall(CONNECTION.sub(b"Connection: close\r", head))
                back = threading.Thread(target=self._pump, args=[server, client, port, known is None], daemon=True)
                back.start()
                self._pump(client, server, port, learns=False)
                back.join()
                self._open -= {client, server}

    def _pump(self, source: socket.socket, target: socket.socket, port: int, learns: bool) -> None:  # noqa: FBT001 - a thread's argument
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                if learns and (given := GIVEN.search(received)):
                    with self._lock:
                        self._homes[given[1]] = port
                target.sendall(received)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def sticky_proxy(ports: Sequence[int]) -> Iterator[str]:
    """Yield the address of a balancer in front of these ports."""
    proxy = StickyProxy(ports)
    try:
        yield f"http://127.0.0.1:{proxy.port}"
    finally:
        proxy.close()
