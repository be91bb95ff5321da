"""Requests to strangers' addresses, against real servers that redirect, stall, lie and flood."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.servers.talking_server import Server, Talk, answer, raw

from services.errors import DomainError, InvalidFieldError, PayloadTooLargeError, UnavailableError
from services.outbound.exchange import CHUNK_BYTES, SlowPeerError
from services.outbound.fetch import MAX_REDIRECTS, Patience, SafeFetcher

MIB = 1024 * 1024
NAME = "media.example"  # reserved: no DNS knows it, so whoever reaches it was led by the resolver given


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


# What arrives


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


# Where nobody may lead us


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "10.0.0.8", "192.168.1.1"),  # noqa: S104 - refused
        *("internal.example", "both.example", "six.example", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]"),
    ],
)
def test_private_address_is_refused_before_anything_is_sent(serve: Callable[..., Server], host: str) -> None:
    server = serve(answer(b"secret"))
    names = {
        "internal.example": ["10.0.0.1"],
        "both.example": ["93.184.215.14", "127.0.0.1"],
        "six.example": ["::ffff:127.0.0.1"],
    }
    reach = fetcher(names=names)
    with pytest.raises(InvalidFieldError, match="private or local address") as refused:
        read(reach, f"http://{host}:{server.port}/")
    assert refused.value.details == {"field": "url"}
    with pytest.raises(InvalidFieldError):
        reach.check(f"http://{host}:{server.port}/")
    with pytest.raises(InvalidFieldError):
        reach.post(f"http://{host}:{server.port}/", b"{}", {})
    assert server.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "LOCALHOST."])
def test_spelling_of_loopback_is_seen_through_by_the_system_resolver(serve: Callable[..., Server], host: str) -> None:
    server = serve(answer(b"secret"))
    with pytest.raises(InvalidFieldError, match=r"private or local|no host"):
        read(SafeFetcher(), f"http://{host}:{server.port}/")
    assert server.requests == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.1:{port}/", "private or local"),
        ("http://[::1]:{port}/", "private or local"),
        ("http://169.254.169.254/latest/meta-data/", "private or local"),
        ("http://internal.example:{port}/", "private or local"),
        ("http://{name}:{other_port}/", "private or local"),
        ("file:///etc/passwd", "Only http"),
        ("ftp://example.com/", "Only http"),
        ("http://user:secret@example.com/", "user name"),
        ("http://93.184.215.14:22/", "Port 22"),
        ("http://none.example/", "no host"),
    ],
)
def test_redirect_is_checked_like_the_first_url(serve: Callable[..., Server], location: str, message: str) -> None:
    inner = serve(answer(b"secret"))
    target = location.format(port=inner.port, other_port=inner.port, name=NAME)
    outer = serve(answer(status=302, Location=target))
    reach = fetcher(outer, names={"internal.example": ["127.0.0.1"]})
    with pytest.raises(InvalidFieldError, match=message):
        read(reach, f"http://{NAME}:{outer.port}/")
    assert inner.requests == []


def test_name_that_changes_its_address_is_connected_at_the_checked_one(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"secret"))
    answers = [["203.0.113.1"], ["127.0.0.1"]]  # a first, innocent answer would be checked, a second one used

    def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with pytest.raises(InvalidFieldError):
        read(SafeFetcher(resolver=rebinding), f"http://rebind.example:{server.port}/")
    answers[:] = [["127.0.0.1"]]
    calls: list[str] = []

    def counting(host: str, _: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"] if len(calls) == 1 else ["10.0.0.1"]

    reach = SafeFetcher(resolver=counting, allowed=[f"{NAME}:{server.port}"])
    assert read(reach, f"http://{NAME}:{server.port}/") == b"secret"
    assert calls == [NAME]


def test_allowance_is_for_the_exact_host_and_port(serve: Callable[..., Server]) -> None:
    allowed, other = serve(answer(b"inner")), serve(answer(b"secret"))
    reach = fetcher(allowed, names={"alias.example": ["127.0.0.1"]})
    assert read(reach, f"http://{NAME.upper()}:{allowed.port}/") == b"inner"
    for url in (
        f"http://{NAME}:{other.port}/",
        f"http://alias.example:{allowed.port}/",
        f"http://127.0.0.1:{allowed.port}/",
    ):
        with pytest.raises(InvalidFieldError, match="private or local"):
            read(reach, url)
    assert other.requests == []


def test_proxy_of_the_environment_is_not_used(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = serve(answer(b"direct")), serve(answer(b"proxied"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert read(fetcher(server), f"http://{NAME}:{server.port}/") == b"direct"
    assert proxy.requests == []


# Answers that are refused


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


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for NAME, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(path)
    return server, ssl.create_default_context(cafile=str(path))


def test_certificate_is_checked_for_the_name_while_the_address_is_pinned(
    serve: Callable[..., Server], certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    for_server, for_client = certificate
    asked: list[str | None] = []
    for_server.sni_callback = lambda _socket, name, _context: asked.append(name)
    server = serve(answer(b"media"), for_server)
    reach = fetcher(server, tls=for_client)
    assert read(reach, f"https://{NAME}:{server.port}/") == b"media"
    assert asked == [NAME]


def test_certificate_of_another_name_or_issuer_is_refused(
    serve: Callable[..., Server], certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    for_server, for_client = certificate
    server = serve(answer(b"media"), for_server)
    other = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"other.example:{server.port}"], tls=for_client)
    with pytest.raises(InvalidFieldError, match=r"certificate of other\.example is not valid"):
        read(other, f"https://other.example:{server.port}/")
    with pytest.raises(InvalidFieldError, match="is not valid"):
        read(fetcher(server), f"https://{NAME}:{server.port}/")
    assert server.requests == []


def test_handshake_that_never_ends_is_cut_at_the_deadline(serve: Callable[..., Server]) -> None:
    over = threading.Event()
    server = serve(lambda *_: over.wait() and None)
    try:
        with pytest.raises(UnavailableError, match="did not finish in the time allowed"):
            read(fetcher(server), f"https://{NAME}:{server.port}/", timeout_s=0.5)
    finally:
        over.set()


# Webhooks


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
