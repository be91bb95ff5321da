"""Relays a media child's only network connections: a Unix socket in its folder leads to its storage server.

The child can open no other connection. TLS is end-to-end between the child and the server; the relay copies bytes.
"""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import structlog

NAME = "storage.sock"
CONNECT_S = 10.0
CHUNK_BYTES = 256 * 1024
MAX_CONNECTIONS = 32
"""Concurrent connections of one child: each reader has one, and a render has a few readers."""
DEFAULT_PORTS = {"http": 80, "https": 443}

log = structlog.get_logger(__name__)


@contextmanager
def relaying(folder: Path, url: str) -> Iterator[str]:
    """Relay connections from a socket in `folder` to the server of `url`; yield the socket's path within `folder`."""
    relay = _Relay(folder, url)
    try:
        yield NAME
    finally:
        relay.close()


class _Relay:
    def __init__(self, folder: Path, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or DEFAULT_PORTS.get(parts.scheme, 0))
        self._path = folder / NAME
        self._listener = _listen(folder)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_closed = False
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def close(self) -> None:
        """End the relay and its connections."""
        with self._lock:
            self._is_closed = True
            for each in [self._listener, *self._open]:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if not self._places.acquire(blocking=False):
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="relay-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Relay one connection; for the child, an early end is a temporary failure."""
        try:
            with client, socket.create_connection(self._server, timeout=CONNECT_S) as server:
                server.settimeout(None)
                if not self._note(client, server):
                    return
                try:
                    back = threading.Thread(target=_pump, args=(server, client), name="relay-answers", daemon=True)
                    back.start()
                    _pump(client, server)
                    back.join()
                finally:
                    self._forget(client, server)
        except OSError as error:
            log.warning("relay_failed", host=self._server[0], error=error.strerror or type(error).__name__)
        finally:
            self._places.release()

    def _note(self, *pair: socket.socket) -> bool:
        with self._lock:
            if not self._is_closed:
                self._open.update(pair)
            return not self._is_closed

    def _forget(self, *pair: socket.socket) -> None:
        with self._lock:
            self._open.difference_update(pair)


def _listen(folder: Path) -> socket.socket:
    """Return a listening socket in a folder, even if its path is longer than a socket's limit of 107 bytes."""
    listener = socket.socket(socket.AF_UNIX)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{handle}/{NAME}" if sys.platform == "linux" else str(folder / NAME))
    except OSError:
        listener.close()
        raise
    finally:
        os.close(handle)
    (folder / NAME).chmod(0o600)
    listener.listen(MAX_CONNECTIONS)
    return listener


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes one way until either side ends, then shut down the other."""
    buffer = memoryview(bytearray(CHUNK_BYTES))
    with suppress(OSError):
        while count := source.recv_into(buffer):
            target.sendall(buffer[:count])
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    with suppress(OSError):
        source.shutdown(socket.SHUT_RD)
