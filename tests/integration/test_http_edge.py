"""What clients can do to the server before anything is known of them, and how little that costs it."""

import contextlib
import logging
import socket
import struct
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from support.access.routes import read_routes, somewhere
from support.api.server import Service, listening

from api.http.edge import EdgeLimits
from api.metrics import PAGE_CACHE_S, MetricsPage
from services.process.settings import Settings

LIMITS = EdgeLimits(head_s=0.6, body_s=0.6, stalled_s=0.6, connections=60, half_open=20)
FORM = "application/x-www-form-urlencoded"
FORM_HEAD = f"POST /reset/a-token HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nContent-Length: 1000\r\n\r\n".encode()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection


@pytest.fixture
def address(settings: Settings) -> Iterator[tuple[str, int]]:
    with listening(settings, edge=LIMITS) as (url, _):
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


@contextlib.contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=20) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What the server says until it closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def test_head_larger_than_the_limit_is_refused_and_not_kept(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(400):
                connection.sendall(b"x" * 65536)
            pytest.fail("26 MB of a head were taken")
    with connected(address) as connection:
        connection.sendall(b"GET /" + b"x" * 70_000)
        time.sleep(0.1)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"x" * 70_000)
        assert b" 431 " in everything(connection)


def test_large_head_within_the_limit_is_taken(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: " + b"x" * 40_000)
        connection.sendall(b"\r\n\r\n")
        assert b" 200 " in everything(connection)


@pytest.mark.parametrize("said", [b"", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"\r\n"])
def test_head_that_does_not_come_in_time_ends_the_connection(address: tuple[str, int], said: bytes) -> None:
    with connected(address) as connection:
        connection.sendall(said)
        began_s = time.monotonic()
        everything(connection)
        assert time.monotonic() - began_s < 5


def test_empty_lines_do_not_keep_a_connection_that_has_been_answered(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in connection.recv(65536)
        began_s = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began_s < 10:
                connection.sendall(b"\r\n")
                time.sleep(0.1)
        assert time.monotonic() - began_s < 5


def test_body_that_does_not_come_in_time_ends_the_connection(address: tuple[str, int]) -> None:
    head = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with connected(address) as connection:
        connection.sendall(head)
        began_s = time.monotonic()
        everything(connection)
        assert time.monotonic() - began_s < 5


def test_idle_connection_between_requests_is_kept(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in connection.recv(65536)
            time.sleep(1.2)


def test_half_open_connections_keep_nobody_out(settings: Settings) -> None:
    patient = EdgeLimits(head_s=30, connections=60, half_open=20)
    with listening(settings, edge=patient) as (url, _), contextlib.ExitStack() as opened:
        parts = urlsplit(url)
        for _ in range(200):
            opened.enter_context(connected((str(parts.hostname), int(parts.port or 0))))
        assert httpx.get(f"{url}/health").status_code == 200


def test_connections_beyond_the_cap_are_refused(settings: Settings) -> None:
    with listening(settings, edge=EdgeLimits(connections=5)) as (url, _), contextlib.ExitStack() as opened:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        for _ in range(5):
            connection = opened.enter_context(connected(address))
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in connection.recv(65536)
        with connected(address) as one_too_many:
            assert b" 503 " in everything(one_too_many)


def test_large_form_is_refused_before_it_is_parsed(service: Service) -> None:
    form = b"&".join(b"field%d=x" % number for number in range(400_000))
    began_s = time.monotonic()
    answer = service.client.post(
        "/reset/a-token-that-is-long-enough",
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}])
def test_options_is_answered_everywhere(
    service: Service, headers: dict[str, str], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    paths = sorted({route.path for route in read_routes(service.app)})
    for path in paths:
        answer = service.client.options(somewhere(path), headers=headers)
        assert answer.status_code < 500, f"{path}: {answer.text}"
    assert len(paths) > 100
    assert "Traceback" not in "".join(capfd.readouterr()) + caplog.text


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        FORM_HEAD + b"password=",
        b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n4",
        b"GET /api/docs/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_client_that_hangs_up_is_no_failure_of_ours(
    settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, request_head: bytes
) -> None:
    with listening(settings) as (url, _):
        parts = urlsplit(url)
        for _ in range(3):
            with connected((str(parts.hostname), int(parts.port or 0))) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.sendall(request_head)
                time.sleep(0.1)
        time.sleep(0.5)
        counted = httpx.get(f"{url}/metrics").text
    said = "".join(capfd.readouterr()) + caplog.text
    assert "Traceback" not in said
    assert 'status="500"' not in counted


def test_payload_of_thousands_of_packets_is_refused_quietly(
    settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with listening(settings) as (url, _):
        opened = httpx.get(f"{url}/socket.io/?EIO=4&transport=polling")
        assert opened.status_code == 200
        sid = opened.text.split('"sid":"')[1].split('"')[0]
        payload = "\x1e".join(["4x"] * 5000)
        answer = httpx.post(f"{url}/socket.io/?EIO=4&transport=polling&sid={sid}", content=payload)
        assert answer.status_code < 500, answer.text
    said = "".join(capfd.readouterr()) + caplog.text
    assert "Traceback" not in said


def test_metrics_are_written_at_most_once_a_second() -> None:
    registry, now_s = CollectorRegistry(), 0.0
    counter = Counter("things", "Things", registry=registry)
    page = MetricsPage(registry, clock=lambda: now_s)
    assert b"things_total 0.0" in page.read()
    counter.inc()
    assert b"things_total 0.0" in page.read()
    now_s = PAGE_CACHE_S
    assert b"things_total 1.0" in page.read()


@pytest.mark.parametrize(
    ("path", "most_bytes"),
    [
        ("/api/rooms/create", 128 * 1024),
        ("/api/clips", 5 * 1024 * 1024),
        ("/api/clips/auto-generate", 5 * 1024 * 1024),
        ("/api/recordings/00000000-0000-0000-0000-000000000000/complete", 2 * 1024 * 1024),
    ],
)
def test_body_may_be_as_large_as_its_route_needs(service: Service, path: str, most_bytes: int) -> None:
    person = service.person()
    for size, is_too_large in ((most_bytes, False), (most_bytes + 1, True)):
        content = b"{}" + b" " * (size - 2)
        answer = person.request("POST", path, content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code == 413) is is_too_large, answer.text
        assert answer.status_code in (413, 422)
