"""Requests to strangers' addresses: servers that drip, fall silent, or never end."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from support.servers.fetching import MIB, NAME, endless, fetcher, read
from support.servers.talking_server import Server

from services.errors import UnavailableError
from services.outbound.exchange import SlowPeerError
from services.outbound.fetch import Patience, SafeFetcher


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1"),
        (b"HTTP/1.1 100 Continue\r\n", b"x"),
    ],
)
def test_peer_that_trickles_is_cut_at_the_deadline(serve: Callable[..., Server], start: bytes, drop: bytes) -> None:
    with endless() as (begin, _):
        server = serve(begin(start, drop))
        with pytest.raises(UnavailableError, match="did not finish in the time allowed"):
            read(fetcher(server), f"http://{NAME}:{server.port}/", timeout_s=0.5)


def test_head_that_never_ends_is_cut_long_before_the_total(serve: Callable[..., Server]) -> None:
    with endless() as (begin, _):
        server = serve(begin(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"))
        with pytest.raises(SlowPeerError, match="did not finish in the time allowed"):
            read(fetcher(server, patience=Patience(head_s=0.3)), f"http://{NAME}:{server.port}/", timeout_s=600)


def test_body_that_drips_after_a_fast_beginning_is_cut_by_its_rate(serve: Callable[..., Server]) -> None:
    with endless() as (begin, _):
        server = serve(begin(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(100_000), b"x"))
        with pytest.raises(SlowPeerError, match="sends too slowly"):
            read(fetcher(server, patience=Patience(rate_window_s=0.2)), f"http://{NAME}:{server.port}/", timeout_s=600)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\nbytes"])
def test_transfer_can_be_ended_from_another_thread_wherever_it_waits(
    serve: Callable[..., Server], start: bytes
) -> None:
    over = threading.Event()

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        over.wait()

    def on_stop(cut: Callable[[], None] | None) -> None:
        if cut is not None:
            threading.Timer(0.2, cut).start()

    server = serve(talk)
    began_s = time.monotonic()
    try:
        with pytest.raises(UnavailableError):
            fetcher(server).fetch(f"http://{NAME}:{server.port}/", lambda _: None, max_bytes=MIB, on_stop=on_stop)
    finally:
        over.set()
    assert time.monotonic() - began_s < 2


def test_connection_attempt_can_be_ended_from_another_thread() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # A full backlog answers nothing, like a host that drops packets.
        with ExitStack() as filling:
            for _ in range(2):
                one = filling.enter_context(socket.socket())
                one.settimeout(0)
                one.connect_ex(address)
            reach = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"{NAME}:{address[1]}"])
            began_s = time.monotonic()
            with pytest.raises(UnavailableError):
                reach.fetch(
                    f"http://{NAME}:{address[1]}/",
                    lambda _: None,
                    max_bytes=MIB,
                    on_stop=lambda cut: threading.Timer(0.2, cut).start() if cut else None,
                )
    assert time.monotonic() - began_s < 2


def test_peer_that_falls_silent_is_left(serve: Callable[..., Server]) -> None:
    over = threading.Event()

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        over.wait()

    server = serve(talk)
    try:
        with pytest.raises(UnavailableError, match="stopped answering"):
            read(fetcher(server, patience=Patience(idle_s=0.2)), f"http://{NAME}:{server.port}/")
    finally:
        over.set()
