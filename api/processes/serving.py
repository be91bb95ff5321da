"""Serves an application with uvicorn until SIGTERM or Ctrl-C."""

import gc
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from socket import socket
from types import FrameType
from typing import Any, NoReturn

import structlog
import uvicorn
from litestar.concurrency import set_asyncio_executor

from api.base_deps import BaseDeps
from api.http.edge import EdgeLimits, edge_protocol
from api.realtime.delivery.frames import FrameProtocol
from api.realtime.limits import MAX_MESSAGE_BYTES
from services.process.memory import return_large_blocks
from services.process.settings import Settings

# Handlers run in threads; each holds a database connection for most of its time, and a few wait for storage.
THREADS = 32
# Requests in progress may finish; then connections that never end (event streams, long polls) are cut.
GRACE_S = 10
KEEP_ALIVE_S = 75  # longer than the 60 s of load balancers, which would otherwise use a connection that is just closing

logger = structlog.get_logger(__name__)


class ApiServer(uvicorn.Server):
    """A server that ends event streams first when it is told to stop."""

    def __init__(self, config: uvicorn.Config, deps: BaseDeps) -> None:
        super().__init__(config)
        self._deps = deps

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop taking requests, finish those that are being answered, close."""
        self._deps.changes.close()
        await super().shutdown(sockets)


def config_of(app: Any, settings: Settings, limits: EdgeLimits | None = None) -> uvicorn.Config:
    """Return uvicorn's configuration for an application."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=edge_protocol(limits),
        # Without compression of each message: events are small, and it doubles the cost of a delivery.
        ws=FrameProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=None,  # Socket.IO has its own
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        # Without a trusted proxy, the peer of the connection is the client.
        proxy_headers=bool(settings.forwarded_allow_ips),
        forwarded_allow_ips=list(settings.forwarded_allow_ips),
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def serve(app: Any, deps: BaseDeps) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    return_large_blocks()
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # each connection takes a descriptor
    set_asyncio_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="api"))
    # Uvicorn raises the signal again after its shutdown, but a requested stop is not a failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    gc.collect()
    gc.freeze()  # loaded modules stay for the life of the process, so the collector need not scan them
    logger.info("serving", host=deps.settings.host, port=deps.settings.port)
    ApiServer(config_of(app, deps.settings), deps).run()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
