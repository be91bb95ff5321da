"""A webhook's receiver: a real HTTP server on loopback that answers as a test wants and keeps what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from msgspec import Struct


class Received(Struct, frozen=True):
    """One request."""

    path: str
    headers: dict[str, str]
    raw: bytes
    status: int
    """What it was answered with."""

    @property
    def body(self) -> dict[str, Any]:
        decoded: dict[str, Any] = msgspec.json.decode(self.raw)
        return decoded


class Receiver:
    """Answers each request with the next of `statuses`, and 204 when there is none left."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.received: list[Received] = []
        self.statuses: list[int] = []
        self.answer = b""
        self.headers: dict[str, str] = {}
        self.lock = threading.Lock()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}/hook?token=receivers-own"


@contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            with told.lock:
                status = told.statuses.pop(0) if told.statuses else 204
                headers = {name.lower(): value for name, value in self.headers.items()}
                told.received.append(Received(self.path, headers, raw, status))
            self.send_response(status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.answer) if status != 204 else 0))
            self.end_headers()
            if status != 204:
                self.wfile.write(told.answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Receiver(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
