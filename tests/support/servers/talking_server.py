"""A server that says exactly what a test tells it to, for clients that must survive what servers do."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http import HTTPStatus

import pytest

Talk = Callable[[socket.socket, bytes], None]
"""Says something on a connection, after the request has come."""


class Server:
    """Answers each connection by a function and keeps the requests that came."""

    def __init__(self, talk: Talk, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._talk = talk
        self._tls = tls
        self._stopper: tuple[str, int] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if connection.getpeername() == self._stopper:
                connection.close()
                return
            thread = threading.Thread(target=self._answer, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                stream = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
                with stream:
                    request = whole_request(stream)
                    self.requests.append(request)
                    self._talk(stream, request)
            except OSError:
                return  # the client has left, as it should

    def stop(self) -> None:
        with socket.socket() as stopper:
            stopper.bind(("127.0.0.1", 0))
            self._stopper = stopper.getsockname()
            stopper.connect(("127.0.0.1", self.port))
            self._threads[0].join()
        self._listener.close()
        for thread in self._threads[1:]:
            thread.join()


def whole_request(stream: socket.socket) -> bytes:
    """Read to the end of the body: what is left unread would reset the connection when it is closed."""
    request = b""
    while True:
        head, end, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if end and len(body) >= (int(length[1]) if length else 0):
            return request
        data = stream.recv(65536)
        if not data:
            return request
        request += data


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as servers:

        def start(talk: Talk, tls: ssl.SSLContext | None = None) -> Server:
            server = Server(talk, tls)
            servers.callback(server.stop)
            return server

        yield start


def answer(body: bytes = b"", *, status: int = 200, **headers: str) -> Talk:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    data = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)

    return talk


def raw(*pieces: bytes) -> Talk:
    def talk(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)

    return talk
