"""The local folder's routes behind a real uvicorn, for tests that need a socket."""

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from litestar import Litestar

from api.routes.storage import storage_router
from storage.local import LocalStore

START_TIMEOUT_S = 20


@contextmanager
def serve_stores(buckets: Mapping[str, LocalStore], listener: socket.socket) -> Iterator[None]:
    """Serve the stores on a bound socket while the block runs, then close it; stores added later are served too."""
    app = Litestar([storage_router(buckets)], openapi_config=None)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="storage-server")
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def bound_socket() -> socket.socket:
    """Return a socket on a port that the system chose."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener
