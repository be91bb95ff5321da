"""A Socket.IO client for tests: it keeps what it is told."""

import queue
import time
from typing import Any, Self

import socketio

WAIT_S = 20.0


class Listener:
    """A client that keeps what it is told, in order."""

    def __init__(self, url: str, token: str | None, *, transports: list[str] | None = None, **auth: Any) -> None:
        self._heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", lambda event, *data: self._heard.put((event, data[0] if data else None)))
        self.client.on("disconnect", lambda *_: self._heard.put(("gone", None)))
        self.client.on("connect_error", lambda data: self._heard.put(("refused", data)))
        given = {"token": token, **auth} if token is not None else auth or None
        self.client.connect(url, auth=given, transports=transports, wait_timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.shutdown()

    def hear(self, wanted: str) -> Any:
        """Return the data of the next event of this name; those before it are passed over."""
        deadline = time.monotonic() + WAIT_S
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                event, data = self._heard.get(timeout=left_s)
            except queue.Empty:
                break
            if event == wanted:
                return data
        raise AssertionError(f"{wanted} was not told")

    def heard(self) -> list[str]:
        """The names of what has been told and not been heard yet."""
        return [event for event, _ in list(self._heard.queue)]
