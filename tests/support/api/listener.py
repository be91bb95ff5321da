"""A Socket.IO client for tests: it keeps what it is told."""

import queue
import time
from typing import Any, Self

import requests  # type: ignore[import-untyped]
import socketio

WAIT_S = 20.0


def new_client() -> socketio.Client:
    """Return a client that `close` can close whole: it would forget a session of its own without closing it."""
    return socketio.Client(reconnection=False, http_session=requests.Session())


def close(client: socketio.Client) -> None:
    """Part from the server, and close what the library leaves to the garbage collector when the server parted first."""
    websocket, http = client.eio.ws, client.eio.http
    client.disconnect()
    client.shutdown()
    if websocket is not None:
        websocket.shutdown()
    if http is not None:
        http.close()


class Listener:
    """A client that keeps what it is told, in order."""

    def __init__(self, url: str, token: str | None, *, transports: list[str] | None = None, **auth: Any) -> None:
        self._heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = new_client()
        self.client.on("*", lambda event, *data: self._heard.put((event, data[0] if data else None)))
        self.client.on("disconnect", lambda *_: self._heard.put(("gone", None)))
        self.client.on("connect_error", lambda data: self._heard.put(("refused", data)))
        given = {"token": token, **auth} if token is not None else auth or None
        self.client.connect(url, auth=given, transports=transports, wait_timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close(self.client)

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

    def round_trip(self) -> None:
        """Return once the server has answered: what it told this client before that has come."""
        self.client.call("room:fly", timeout=WAIT_S)

    def heard(self) -> list[str]:
        """The names of what has been told and not been heard yet."""
        return [event for event, _ in list(self._heard.queue)]
