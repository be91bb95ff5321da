"""What tests of the storage in a folder share: stores on a real server, and looks behind them."""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support.storage.storage_server import bound_socket, serve_stores

from storage.local import LocalStore

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = "owner/thing/1/clip.mp4"
PATIENCE_S = 20
HOUR = timedelta(hours=1)
MIB = 1024 * 1024
LARGE_MIB = 128
MEMORY_LIMIT = 24 * MIB  # of Python objects, client and server together, whatever the body's size


@contextmanager
def served_folders(root: Path) -> Iterator[Callable[[], LocalStore]]:
    """Serve folders below `root`; each call makes the store of another bucket."""
    served: dict[str, LocalStore] = {}
    listener = bound_socket()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def new() -> LocalStore:
        bucket = f"test-{secrets.token_hex(8)}"
        served[bucket] = LocalStore(root, bucket=bucket, base_url=base_url, secret=SECRET)
        return served[bucket]

    with serve_stores(served, listener):
        yield new


@pytest.fixture(scope="module")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], LocalStore]]:
    with served_folders(tmp_path_factory.mktemp("storage")) as new:
        yield new


@pytest.fixture
def store(new_store: Callable[[], LocalStore]) -> LocalStore:
    return new_store()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


def folder_of(store: LocalStore) -> Path:
    return Path(store.child_source("x", expires_s=1)).parent.parent


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def raw_put(url: str, headers: dict[str, str], body: bytes, *, end: bool = True) -> bytes:
    """Send a request as written, close the sending side (or the whole connection), and return what comes back."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE_S) as connection:
        lines = [f"PUT {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if not end:
            return b""
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
