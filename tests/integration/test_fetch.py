"""Requests to strangers' addresses: what arrives, and what answers are refused."""

import socket
from collections.abc import Callable

import pytest
from support.servers.fetching import MIB, NAME, fetcher, read
from support.servers.talking_server import Server, Talk, answer, raw

from services.errors import DomainError, InvalidFieldError, PayloadTooLargeError, UnavailableError
from services.outbound.exchange import CHUNK_BYTES, SlowPeerError
from services.outbound.fetch import MAX_REDIRECTS, SafeFetcher


def test_name_that_the_server_gives_wins_over_the_address(serve: Callable[..., Server]) -> None:
    named = answer(b"media", Content_Type="video/mp4", Content_Disposition='attachment; filename="Friday talk.mp4"')
    server = serve(named)
    fetched = fetcher(server).fetch(f"http://{NAME}:{server.port}/download?id=7", bytearray().extend, max_bytes=100)
    assert fetched.name == "Friday talk.mp4"


def test_body_name_and_type_arrive(serve: Callable[..., Server]) -> None:
    body = bytes(range(256)) * 8192
    server = serve(answer(body, Content_Type="video/mp4; codecs=avc1"))
    url = f"http://{NAME}:{server.port}/a/My%20talk.mp4?x=1"
    received = bytearray()
    fetched = fetcher(server).fetch(url, received.extend, max_bytes=len(body))
    assert received == body
    assert (fetched.url, fetched.name, fetched.content_type) == (url, "My talk.mp4", "video/mp4")
    assert fetched.size_bytes == len(body)
    head = server.requests[0].decode()
    assert head.startswith("GET /a/My%20talk.mp4?x=1 HTTP/1.1\r\n")
    assert f"\r\nHost: {NAME}:{server.port}\r\n" in head
    assert head.lower().count("\r\nhost:") == 1
    assert "\r\nAccept-Encoding: identity\r\n" in head


def test_chunked_and_unmeasured_bodies_arrive(serve: Callable[..., Server]) -> None:
    chunked = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")
    unmeasured = raw(b"HTTP/1.0 200 OK\r\n\r\nhello", b" world")
    for server in (serve(chunked), serve(unmeasured)):
        assert read(fetcher(server), f"http://{NAME}:{server.port}/") == b"hello world"


def test_redirects_are_followed_across_hosts(serve: Callable[..., Server]) -> None:
    last = serve(answer(b"media"))
    middle = serve(answer(status=307, Location=f"http://{NAME}:{last.port}/file.mp4"))
    first = serve(answer(status=302, Location=f"//{NAME}:{middle.port}/next"))
    body = bytearray()
    fetched = fetcher(first, middle, last).fetch(f"http://{NAME}:{first.port}/", body.extend, max_bytes=100)
    assert bytes(body) == b"media"
    assert fetched.url == f"http://{NAME}:{last.port}/file.mp4"


def test_second_address_is_tried_when_the_first_refuses(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"media"))
    reach = fetcher(server, names={NAME: ["127.0.0.2", "127.0.0.1"]})
    assert read(reach, f"http://{NAME}:{server.port}/") == b"media"


def test_large_body_is_handed_over_in_pieces(serve: Callable[..., Server]) -> None:
    size = 40 * MIB
    server = serve(raw(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode(), *[bytes(MIB)] * 40))
    pieces: list[int] = []
    fetcher(server).fetch(f"http://{NAME}:{server.port}/", lambda piece: pieces.append(len(piece)), max_bytes=size)
    assert sum(pieces) == size
    assert max(pieces) <= CHUNK_BYTES


def chunked(body: bytes) -> Talk:
    return raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("talk", "error", "message"),
    [
        (answer(b"gone", status=404), InvalidFieldError, "answered 404"),
        (answer(b"", status=401), InvalidFieldError, "answered 401"),
        (answer(b"", status=204), InvalidFieldError, "answered 204"),
        (answer(b"part", status=206), InvalidFieldError, "answered 206"),
        (answer(b"", status=503), UnavailableError, "answered 503"),
        (answer(b"", status=429), UnavailableError, "answered 429"),
        (answer(b"<html>", Content_Type="text/html; charset=utf-8"), InvalidFieldError, "web page"),
        (answer(b"\x1f\x8b", Content_Encoding="gzip"), InvalidFieldError, "compressed"),
        (answer(b"", Content_Type="video/mp4"), InvalidFieldError, "empty file"),
        (answer(status=302, Location="/again"), InvalidFieldError, "5 redirects"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), UnavailableError, "broke off"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), UnavailableError, "broke off"),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), UnavailableError, "broke off"),
        (chunked(b"nonsense\r\n"), SlowPeerError, "not valid HTTP"),
        (chunked(b"-5\r\nhello\r\n0\r\n\r\n"), SlowPeerError, "not valid HTTP"),
        (chunked(b"1_0\r\nhello\r\n"), SlowPeerError, "not valid HTTP"),
        (chunked(b"f" * 3000 + b"\r\nhello\r\n"), SlowPeerError, "not valid HTTP"),
        (raw(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 50), SlowPeerError, "not valid HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"), UnavailableError, "broke off"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), UnavailableError, "broke off"),
        (raw(b"220 mail.example ESMTP\r\n"), UnavailableError, "broke off"),
        (raw(b""), UnavailableError, "broke off"),
    ],
)
def test_answer_that_is_no_media_is_refused_with_a_reason(
    serve: Callable[..., Server], talk: Talk, error: type[DomainError], message: str
) -> None:
    server = serve(talk)
    with pytest.raises(error, match=message) as refused:
        read(fetcher(server), f"http://{NAME}:{server.port}/", max_bytes=MIB)
    assert refused.value.details["field"] == "url"


def test_redirects_end_at_the_limit(serve: Callable[..., Server]) -> None:
    server = serve(answer(status=302, Location="/again"))
    with pytest.raises(InvalidFieldError):
        read(fetcher(server), f"http://{NAME}:{server.port}/")
    assert len(server.requests) == MAX_REDIRECTS + 1


def test_body_larger_than_allowed_is_cut_off(serve: Callable[..., Server]) -> None:
    declared = serve(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", b"x"))
    flood = serve(raw(b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(MIB)] * 64))
    for server in (declared, flood):
        with pytest.raises(PayloadTooLargeError, match="larger than 1048576 bytes"):
            read(fetcher(server), f"http://{NAME}:{server.port}/", max_bytes=MIB)


def test_closed_port_says_that_connections_are_not_accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reach = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"{NAME}:{port}"])
    with pytest.raises(UnavailableError, match="does not accept connections") as refused:
        read(reach, f"http://{NAME}:{port}/")
    assert refused.value.retryable


def test_disk_that_refuses_is_not_blamed_on_the_url(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"media"))

    def full(_: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetcher(server).fetch(f"http://{NAME}:{server.port}/", full, max_bytes=100)
