"""A TCP proxy in front of a server, which cuts or holds up connections as a network does."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

CHUNK_BYTES = 64 * 1024


class Proxy:
    """Passes bytes on to a port of this machine, in a thread of its own."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._is_refusing = False
        self._flows = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{target}")
        self._thread.start()
        self._ready.wait()

    def cut(self) -> None:
        """Break every connection."""
        self._call(self._abort_all)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Break every connection, and each new one at once."""
        self._is_refusing = True
        self.cut()
        try:
            yield
        finally:
            self._is_refusing = False

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Pass nothing on, and say nothing either; afterwards every connection breaks."""
        self._call(self._flows.clear)
        try:
            yield
        finally:
            self._call(self._abort_all)
            self._call(self._flows.set)

    def close(self) -> None:
        self._call(self._abort_all)
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    def _call(self, act: Callable[[], Any]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (act(), done.set()))
        done.wait()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        self._flows.set()
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        server.close()
        self._abort_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)

    def _abort_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, there_writer}
        self._open |= pair
        await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        self._open -= pair

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                await self._flows.wait()
                target.write(chunk)
                await target.drain()
        target.close()
