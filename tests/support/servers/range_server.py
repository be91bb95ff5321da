"""A small HTTP server that answers byte ranges and counts what it sends: object storage, as a reader sees it."""

import mimetypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

CHUNK_BYTES = 1 << 20


@dataclass
class RangeServer:
    """What a test may ask of the server, and the faults it may order."""

    folder: Path
    url: str = ""
    sent_bytes: int = 0
    requests: int = 0
    statuses: list[int] = field(default_factory=list)
    """Answers to give instead, one a request, before serving goes on."""
    cut_after_bytes: list[int] = field(default_factory=list)
    """Close the connection after so many bytes, one a request."""
    ignores_ranges: bool = False
    etag: str = '"one"'

    def address(self, name: str) -> str:
        return f"{self.url}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: RangeServer

    def do_GET(self) -> None:
        state = self.state
        state.requests += 1
        if state.statuses:
            self._refuse(state.statuses.pop(0))
            return
        path = state.folder / unquote(self.path.lstrip("/").partition("?")[0])
        if not path.is_file():
            self._refuse(404)
            return
        size = path.stat().st_size
        asked = self.headers.get("Range", "")
        if state.ignores_ranges or not asked.startswith("bytes="):
            begin, end = 0, size
            self.send_response(200)
        else:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(size, int(last) + 1 if last else size)
            if begin >= size:
                self._refuse(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        self.send_header("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin))
        self.send_header("ETag", state.etag)
        self.end_headers()
        self._send(path, begin, end)

    def _send(self, path: Path, begin: int, end: int) -> None:
        limit = self.state.cut_after_bytes.pop(0) if self.state.cut_after_bytes else None
        with path.open("rb") as file:
            file.seek(begin)
            left = end - begin if limit is None else min(limit, end - begin)
            while left > 0:
                chunk = file.read(min(CHUNK_BYTES, left))
                self.wfile.write(chunk)
                self.state.sent_bytes += len(chunk)
                left -= len(chunk)
        if limit is not None:
            self.close_connection = True

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing where a client has left: players break off what they no longer want."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # passed through


@contextmanager
def serve_ranges(folder: Path) -> Iterator[RangeServer]:
    """Serve a folder on a free port."""
    state = RangeServer(folder)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
