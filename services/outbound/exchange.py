"""One HTTP request to a host at given addresses, with a deadline that holds whatever the peer does."""

import contextlib
import errno
import http.client
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import urllib3
from msgspec import Struct
from urllib3.connection import HTTPConnection, HTTPSConnection

from services.errors import InvalidFieldError, UnavailableError
from services.outbound.deadline import ConnectionGuard
from services.outbound.url import WebUrl

CHUNK_BYTES: Final = 256 * 1024
EXCERPT_BYTES: Final = 1024
CONNECT_TIMEOUT_S: Final = 10.0
LEAST_TIMEOUT_S: Final = 0.01  # zero would make the socket non-blocking
MAX_ADDRESSES: Final = 4  # an attacker's DNS may return hundreds that do not answer
MAX_INTERIM_ANSWERS: Final = 8  # servers send one `100 Continue`, and perhaps a few `103 Early Hints`
MAX_LINE_BYTES: Final = 4096
MAX_CHUNK_DIGITS: Final = 15  # of the length of a chunk: a pebibyte
_CONNECT_TICK_S: Final = 0.1  # how long an opening connection takes to notice that it was cut
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,%d})[ \t]*(?:;[^\r\n]*)?\r?\n" % MAX_CHUNK_DIGITS)

OnStop = Callable[[Callable[[], None] | None], None]
"""Gets a function that ends the exchange from another thread, and None once it has ended."""


class SlowPeerError(UnavailableError):
    """The peer was too slow or did not speak HTTP, and each further attempt would cost as much."""


class Request(Struct, frozen=True, kw_only=True):
    """A request to send, with its time limits.

    The head of the answer must arrive by `head_deadline`, all of it by `deadline` (both time.monotonic), and each byte
    within `idle_timeout_s`.
    """

    method: str
    headers: Mapping[str, str]
    body: bytes | None = None
    head_deadline: float
    deadline: float
    idle_timeout_s: float
    on_stop: OnStop | None = None


class Exchange:
    """An answer whose head has arrived. Errors while reading its body concern the field `url`."""

    def __init__(self, target: WebUrl, response: urllib3.HTTPResponse, guard: ConnectionGuard) -> None:
        self.target = target
        self.status = response.status
        self._response = response
        self._guard = guard

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string."""
        return self._response.headers.get(name, "")

    def read(self) -> bytes:
        """Return the available bytes of the body, after waiting for the first; none at its end.

        UnavailableError when the connection breaks off.
        """
        with _errors(self.target.host, self._guard):
            return self._response.read1(CHUNK_BYTES, decode_content=False)

    def excerpt(self) -> str:
        """Return the first bytes of the body as far as they arrive; a failure here does not matter."""
        try:
            return self._response.read1(EXCERPT_BYTES, decode_content=False).decode(errors="replace")
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError):
            return ""


@contextlib.contextmanager
def open_exchange(
    target: WebUrl, addresses: Sequence[str], request: Request, tls: ssl.SSLContext
) -> Iterator[Exchange]:
    """Send a request to the first address that answers, and yield the answer; the connection ends with the block.

    The certificate must be for the target's name. Raises InvalidFieldError or UnavailableError about the field `url`.
    """
    guard = ConnectionGuard(min(request.head_deadline, request.deadline))
    if request.on_stop is not None:
        request.on_stop(guard.cut)
    try:
        connection = _connect(target, addresses, guard, tls)
        with contextlib.closing(connection), _response(target, connection, request, guard) as response:
            guard.extend(request.deadline)
            yield Exchange(target, response, guard)
    finally:
        if request.on_stop is not None:
            request.on_stop(None)
        guard.close()


@contextlib.contextmanager
def _response(
    target: WebUrl, connection: HTTPConnection, request: Request, guard: ConnectionGuard
) -> Iterator[urllib3.HTTPResponse]:
    with _errors(target.host, guard):
        connection.timeout = request.idle_timeout_s
        connection.request(
            request.method,
            target.path,
            body=request.body,
            headers=request.headers,
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
    with contextlib.closing(response):
        yield response


def _connect(target: WebUrl, addresses: Sequence[str], guard: ConnectionGuard, tls: ssl.SSLContext) -> HTTPConnection:
    *first, last = addresses[:MAX_ADDRESSES]
    with _errors(target.host, guard):
        for address in first:
            with contextlib.suppress(urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError):
                return _connect_to(address, target, guard, tls)
        return _connect_to(last, target, guard, tls)


def _connect_to(address: str, target: WebUrl, guard: ConnectionGuard, tls: ssl.SSLContext) -> HTTPConnection:
    connection = _new_connection(address, target, guard, tls)
    connection.timeout = min(CONNECT_TIMEOUT_S, max(guard.left_s, LEAST_TIMEOUT_S))
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _new_connection(address: str, target: WebUrl, guard: ConnectionGuard, tls: ssl.SSLContext) -> HTTPConnection:
    if target.scheme == "http":
        plain = _PlainConnection(address, target.port)
        plain.guard = guard
        return plain
    # Not `assert_hostname`: it would turn off the context's own check of the name, for every connection.
    secure = _TlsConnection(address, target.port, ssl_context=tls, server_hostname=target.host)
    secure.guard = guard
    return secure


class _NotHttpError(http.client.HTTPException):
    """The peer's answer breaks the rules of HTTP."""


class _StrictResponse(http.client.HTTPResponse):
    """A stricter version of the standard library's reader: it limits interim answers and checks chunk sizes.

    The library waits forever for a final status, and accepts `-5` as the length of a chunk.
    """

    _interim = 0

    def _read_status(self) -> Any:
        self._interim += 1
        if self._interim > MAX_INTERIM_ANSWERS:
            raise _NotHttpError("too many interim answers")
        return super()._read_status()  # type: ignore[misc]

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(MAX_LINE_BYTES)
        if not line:
            raise http.client.IncompleteRead(b"")
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            self._close_conn()  # type: ignore[attr-defined]
            raise _NotHttpError("a chunk without a length")
        return int(found[1], 16)


class _PlainConnection(HTTPConnection):
    guard: ConnectionGuard
    response_class = _StrictResponse

    def _new_conn(self) -> socket.socket:
        return _open_socket(self, self.guard)


class _TlsConnection(HTTPSConnection):
    guard: ConnectionGuard
    response_class = _StrictResponse

    def _new_conn(self) -> socket.socket:
        return _open_socket(self, self.guard)


def _open_socket(connection: HTTPConnection, guard: ConnectionGuard) -> socket.socket:
    """Connect to an IP address within the connection's timeout and the guard's deadline."""
    family = socket.AF_INET6 if ":" in connection.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.settimeout(0)
        _await_connection(opened, connection, guard)
        opened.settimeout(connection.timeout)
        guard.hold(opened)
    except BaseException:
        opened.close()
        raise
    return opened


def _await_connection(opened: socket.socket, connection: HTTPConnection, guard: ConnectionGuard) -> None:
    deadline = time.monotonic() + float(connection.timeout or CONNECT_TIMEOUT_S)
    code = opened.connect_ex((connection.host, connection.port))
    if code == errno.EINPROGRESS:
        waiting = select.poll()
        waiting.register(opened, select.POLLOUT)
        while not waiting.poll(_CONNECT_TICK_S * 1000):
            if guard.is_cut or time.monotonic() >= deadline:
                message = f"{connection.host} does not answer"
                raise urllib3.exceptions.ConnectTimeoutError(connection, message)
        code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise urllib3.exceptions.NewConnectionError(connection, errno.errorcode.get(code, str(code)))


@contextlib.contextmanager
def _errors(host: str, guard: ConnectionGuard) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate of {host} is not valid: {error.verify_message}."
        raise InvalidFieldError("url", message) from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise _failure(host, guard, error) from error
    if guard.is_cut:
        raise _failure(host, guard, TimeoutError())


def _failure(host: str, guard: ConnectionGuard, error: Exception) -> UnavailableError:
    kind: type[UnavailableError] = UnavailableError
    match error:
        case _ if guard.is_cut or not guard.left_s:  # the socket's own timeout ends at the guard's deadline
            kind, what = SlowPeerError, "did not finish in the time allowed"
        case urllib3.exceptions.NewConnectionError():
            what = "does not accept connections"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            kind, what = SlowPeerError, "stopped answering"
        case ValueError() | _NotHttpError():
            kind, what = SlowPeerError, "sent an answer that is not valid HTTP"
        case _ if isinstance(error.__cause__, ValueError | _NotHttpError):
            kind, what = SlowPeerError, "sent an answer that is not valid HTTP"
        case _:
            what = "broke off the connection"
    return kind(f"{host} {what}; try again later.", field="url")
