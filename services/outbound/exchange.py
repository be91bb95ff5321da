"""One HTTP request to one host, by addresses chosen beforehand, ended at a deadline whatever the peer does."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import urllib3
from msgspec import Struct
from urllib3.connection import HTTPConnection, HTTPSConnection

from services.errors import InvalidFieldError, UnavailableError
from services.outbound.url import WebUrl

CHUNK_BYTES: Final = 256 * 1024
EXCERPT_BYTES: Final = 1024
CONNECT_TIMEOUT_S: Final = 10.0
LEAST_TIMEOUT_S: Final = 0.01  # zero would mean a socket that never waits at all
MAX_ADDRESSES: Final = 4  # a stranger's DNS may name hundreds that do not answer


class Request(Struct, frozen=True, kw_only=True):
    """What to send, and how long to wait: until `deadline` (time.monotonic) in all, `idle_timeout_s` for a byte."""

    method: str
    headers: Mapping[str, str]
    body: bytes | None = None
    deadline: float
    idle_timeout_s: float


class Exchange:
    """An answer whose head has come. What goes wrong while its body comes is said about the field `url`."""

    def __init__(self, target: WebUrl, response: urllib3.HTTPResponse, watch: "_Watch") -> None:
        self.target = target
        self.status = response.status
        self._response = response
        self._watch = watch

    def header(self, name: str) -> str:
        """Return a header's value, or an empty string."""
        return self._response.headers.get(name, "")

    def read(self) -> bytes:
        """Return the next bytes of the body; none at its end. UnavailableError when it breaks off."""
        with _errors(self.target.host, self._watch):
            return self._response.read(CHUNK_BYTES, decode_content=False)

    def excerpt(self) -> str:
        """Return the first bytes of the body as far as they are there; the status matters more than they do."""
        try:
            return self._response.read1(EXCERPT_BYTES, decode_content=False).decode(errors="replace")
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
            return ""


@contextlib.contextmanager
def open_exchange(
    target: WebUrl, addresses: Sequence[str], request: Request, tls: ssl.SSLContext
) -> Iterator[Exchange]:
    """Send a request to the first of the addresses that answers, and yield the answer; all ends with the block.

    The certificate must be for the target's name. Raises InvalidFieldError or UnavailableError about the field `url`.
    """
    watch = _Watch(request.deadline)
    try:
        connection = _connect(target, addresses, watch, tls)
        with contextlib.closing(connection), _response(target, connection, request, watch) as response:
            yield Exchange(target, response, watch)
    finally:
        watch.stop()


@contextlib.contextmanager
def _response(
    target: WebUrl, connection: HTTPConnection, request: Request, watch: "_Watch"
) -> Iterator[urllib3.HTTPResponse]:
    with _errors(target.host, watch):
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


def _connect(target: WebUrl, addresses: Sequence[str], watch: "_Watch", tls: ssl.SSLContext) -> HTTPConnection:
    *first, last = addresses[:MAX_ADDRESSES]
    with _errors(target.host, watch):
        for address in first:
            with contextlib.suppress(urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.NewConnectionError):
                return _connect_to(address, target, watch, tls)
        return _connect_to(last, target, watch, tls)


def _connect_to(address: str, target: WebUrl, watch: "_Watch", tls: ssl.SSLContext) -> HTTPConnection:
    connection = _new_connection(address, target, watch, tls)
    connection.timeout = min(CONNECT_TIMEOUT_S, max(watch.left_s, LEAST_TIMEOUT_S))
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _new_connection(address: str, target: WebUrl, watch: "_Watch", tls: ssl.SSLContext) -> HTTPConnection:
    if target.scheme == "http":
        plain = _PlainConnection(address, target.port)
        plain.watch = watch
        return plain
    # Not `assert_hostname`: it would switch off the context's own check of the name, for every connection.
    secure = _TlsConnection(address, target.port, ssl_context=tls, server_hostname=target.host)
    secure.watch = watch
    return secure


class _Watch:
    """Cuts a connection at a moment, whatever it is waiting for: a peer may send one byte a minute for ever."""

    def __init__(self, deadline: float) -> None:
        self.has_expired = False
        self._deadline = deadline
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(self.left_s, self._cut)
        self._timer.daemon = True
        self._timer.start()

    @property
    def left_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())

    def hold(self, connected: socket.socket) -> None:
        """Watch this connection from now on."""
        # A duplicate: TLS takes the original's descriptor away, and shutting down one end's copy shuts down both.
        with self._lock:
            self._release()
            self._socket = connected.dup()
            if self.has_expired:
                self._shut_down()

    def _cut(self) -> None:
        with self._lock:
            self.has_expired = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket:
            with contextlib.suppress(OSError):  # already closed by the peer
                self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def stop(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._release()


class _PlainConnection(HTTPConnection):
    watch: _Watch

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.watch.hold(connected)
        return connected


class _TlsConnection(HTTPSConnection):
    watch: _Watch

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self.watch.hold(connected)
        return connected


@contextlib.contextmanager
def _errors(host: str, watch: _Watch) -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        message = f"The certificate of {host} is not valid: {error.verify_message}."
        raise InvalidFieldError("url", message) from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
        raise _failure(host, watch, error) from error
    if watch.has_expired:
        raise _failure(host, watch, TimeoutError())


def _failure(host: str, watch: _Watch, error: Exception) -> UnavailableError:
    match error:
        case _ if watch.has_expired or not watch.left_s:  # the socket's own time-out ends with the watch's
            what = "did not finish in the time allowed"
        case urllib3.exceptions.NewConnectionError():
            what = "does not accept connections"
        case TimeoutError() | urllib3.exceptions.TimeoutError():
            what = "stopped answering"
        case _:
            what = "broke off the connection"
    return UnavailableError(f"{host} {what}; try again later.", field="url")
