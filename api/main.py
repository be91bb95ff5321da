"""The API process: settings in, uvicorn out."""

import signal
from concurrent.futures import ThreadPoolExecutor
from socket import socket
from types import FrameType
from typing import NoReturn

import structlog
import uvicorn
from litestar.concurrency import set_asyncio_executor

from api.app import THREADS, create_app, open_deps
from api.deps import Deps
from services.settings import Settings

# What is being answered may finish; then connections that never end (event streams, long polls) are cut.
GRACE_S = 10
KEEP_ALIVE_S = 75  # longer than the 60 s that balancers keep a connection, or they meet one that is just closing

logger = structlog.get_logger(__name__)


class ApiServer(uvicorn.Server):
    """A server that ends event streams first when it is told to stop."""

    def __init__(self, config: uvicorn.Config, deps: Deps) -> None:
        super().__init__(config)
        self._deps = deps

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop taking requests, finish those that are being answered, close."""
        self._deps.changes.close()
        await super().shutdown(sockets)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    deps = open_deps(settings)
    set_asyncio_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="api"))
    config = uvicorn.Config(
        create_app(deps),
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    # Uvicorn raises the signal again once it has shut down; being told to stop is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    logger.info("serving", host=settings.host, port=settings.port)
    ApiServer(config, deps).run()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
