"""Requests that send something to strangers' addresses, as webhooks do."""

import socket
import threading
from collections.abc import Callable

import pytest
from support.servers.fetching import NAME, endless, fetcher
from support.servers.talking_server import Server, answer

from services.errors import UnavailableError
from services.outbound.fetch import Patience


def test_post_sends_the_body_and_returns_status_and_excerpt(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"y" * 5000, status=500))
    got = fetcher(server).post(f"http://{NAME}:{server.port}/hook", b'{"id": 1}', {"Content-Type": "application/json"})
    assert got.status == 500
    assert got.excerpt == "y" * 1024
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"\r\nContent-Length: 9\r\n" in head
    assert b"\r\nContent-Type: application/json\r\n" in head + b"\r\n"
    assert body == b'{"id": 1}'


def test_post_does_not_follow_redirects(serve: Callable[..., Server]) -> None:
    target = serve(answer(b"secret"))
    server = serve(answer(b"moved", status=307, Location=f"http://{NAME}:{target.port}/"))
    got = fetcher(server, target).post(f"http://{NAME}:{server.port}/", b"{}", {})
    assert (got.status, got.excerpt) == (307, "moved")
    assert target.requests == []


def test_post_counts_a_status_even_when_the_body_never_comes(serve: Callable[..., Server]) -> None:
    with endless() as (_, over):

        def talk(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            over.wait()

        server = serve(talk)
        got = fetcher(server, patience=Patience(idle_s=0.2)).post(f"http://{NAME}:{server.port}/", b"{}", {})
        over.set()
    assert (got.status, got.excerpt) == (200, "")


def test_post_to_a_silent_receiver_ends_at_the_deadline(serve: Callable[..., Server]) -> None:
    over = threading.Event()
    server = serve(lambda *_: over.wait() and None)
    try:
        with pytest.raises(UnavailableError, match="did not finish in the time allowed"):
            fetcher(server).post(f"http://{NAME}:{server.port}/", b"{}", {}, timeout_s=0.3)
    finally:
        over.set()
