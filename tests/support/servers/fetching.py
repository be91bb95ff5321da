"""A fetcher for tests: it resolves what it is told, and may reach the servers of the test."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support.servers.talking_server import Server, Talk

from services.outbound.fetch import SafeFetcher

MIB = 1024 * 1024
NAME = "media.example"  # reserved: no DNS knows it, so only the given resolver can lead there


def fetcher(*servers: Server, names: dict[str, list[str]] | None = None, **options: Any) -> SafeFetcher:
    """A fetcher that may reach the servers by NAME, whatever the rules say, and resolves only what it is told."""
    known = {NAME: ["127.0.0.1"], **(names or {})}

    def resolve(host: str, _: int) -> list[str]:
        if host in known:
            return known[host]
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            raise socket.gaierror(-2, "Name or service not known") from None

    return SafeFetcher(resolver=resolve, allowed=[f"{NAME}:{server.port}" for server in servers], **options)


def read(fetch: SafeFetcher, url: str, *, max_bytes: int = 64 * MIB, timeout_s: float = 60) -> bytes:
    body = bytearray()
    fetch.fetch(url, body.extend, max_bytes=max_bytes, timeout_s=timeout_s)
    return bytes(body)


@contextmanager
def endless() -> Iterator[tuple[Callable[[bytes, bytes], Talk], threading.Event]]:
    """Talks that begin and then send one byte again and again until the client leaves or the test ends."""
    over = threading.Event()

    def begin(start: bytes, drop: bytes) -> Talk:
        def talk(connection: socket.socket, _: bytes) -> None:
            connection.sendall(start)
            while not over.wait(0.02):
                connection.sendall(drop)

        return talk

    yield begin, over
    over.set()
