"""Requests to addresses that users choose: URL imports and webhooks.

Every connection goes to a checked IP address: names are resolved here, once for each request, so a later answer of the
DNS changes nothing. Redirects are followed here too, each checked like the first.
"""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final

import certifi
from msgspec import Struct

from db.connection import forbid_in_transaction
from services.errors import InvalidFieldError, PayloadTooLargeError, UnavailableError
from services.outbound.address import are_public
from services.outbound.exchange import Exchange, OnStop, Request, SlowPeerError, open_exchange
from services.outbound.header import file_name_of, pause_of
from services.outbound.resolver import BoundedResolver, Resolver, system_resolver
from services.outbound.url import WebUrl, check_port, parse_url

Sink = Callable[[bytes], object]
"""Gets the next bytes of a body."""

MAX_REDIRECTS: Final = 5
POST_TIMEOUT_S: Final = 10.0
FETCH_TIMEOUT_S: Final = 2 * 3600.0  # ten gigabytes at 12 Mbit/s
LEAST_RATE_BYTES_S: Final = 32 * 1024
"""At a slower rate an hour of speech takes over half an hour: probably an attempt to occupy a slot."""
MAX_LENGTH_DIGITS: Final = 20  # of a Content-Length; int() rejects thousands of them with its own error
USER_AGENT: Final = "BigSnuggles"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({408, 425, 429})
_SERVER_ERRORS: Final = 500
_OK: Final = 200


class Patience(Struct, frozen=True, kw_only=True):
    """Time limits for a peer."""

    idle_s: float = 20.0
    """Longest time without a byte."""
    head_s: float = 30.0
    """For names, connections and heads of all redirects together: a working server takes a second or two."""
    rate_window_s: float = 20.0
    """The rate is measured in windows of this length, so that a fast start does not excuse hours at a slow rate."""


PATIENCE: Final = Patience()


class Fetched(Struct, frozen=True, kw_only=True):
    """A body that arrived complete.

    `name` is the file name of Content-Disposition, or else the last part of the final URL's path; it may be empty.
    """

    url: str
    name: str
    content_type: str
    size_bytes: int


class Answer(Struct, frozen=True, kw_only=True):
    """The answer of a webhook's receiver: any status, at most the first KiB of the body, and its Retry-After."""

    status: int
    excerpt: str
    retry_after_s: float | None = None


def default_tls() -> ssl.SSLContext:
    """Return a TLS context with the system's certificates, or certifi's if the system has few."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class SafeFetcher:
    """An HTTP client for hosts on the public Internet, and for the `allowed` ones (exact host:port) anywhere.

    Failures are errors about the field `url`: InvalidFieldError if the URL cannot work, UnavailableError if trying
    again may help, PayloadTooLargeError if the body is too large. Safe for many threads.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self._allowed = frozenset(entry.lower() for entry in allowed)
        self._resolver = BoundedResolver(resolver)
        self._tls = tls or default_tls()
        self._patience = patience

    def check(self, url: str) -> None:
        """Raise InvalidFieldError if a request to the URL would be refused. Asks only the DNS.

        UnavailableError when the DNS does not answer.
        """
        self._addresses(parse_url(url))

    def fetch(
        self,
        url: str,
        sink: Sink,
        *,
        max_bytes: int,
        timeout_s: float = FETCH_TIMEOUT_S,
        on_stop: OnStop | None = None,
    ) -> Fetched:
        """Fetch the URL, following up to five redirects, and pass the body to `sink` in chunks.

        `on_stop` gets a function that ends the transfer from another thread at any time.
        """
        deadline = time.monotonic() + timeout_s
        head_deadline = time.monotonic() + self._patience.head_s
        target = parse_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            request = self._exchange(target, "GET", deadline=deadline, head_deadline=head_deadline, on_stop=on_stop)
            with request as exchange:
                if exchange.status not in _REDIRECTS:
                    return _receive(exchange, sink, max_bytes, rate_window_s=self._patience.rate_window_s)
                target = target.join(exchange.header("Location"))
        raise InvalidFieldError("url", f"The URL leads through more than {MAX_REDIRECTS} redirects.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = POST_TIMEOUT_S) -> Answer:
        """Send a body and return the answer, whatever its status; redirects are not followed."""
        deadline = time.monotonic() + timeout_s
        request = {"deadline": deadline, "head_deadline": deadline, "body": body, "headers": headers}
        with self._exchange(parse_url(url), "POST", **request) as exchange:
            retry_after_s = pause_of(exchange.header("Retry-After"), now=datetime.now(UTC))
            return Answer(status=exchange.status, excerpt=exchange.excerpt(), retry_after_s=retry_after_s)

    def _addresses(self, target: WebUrl, *, deadline: float | None = None) -> Sequence[str]:
        """Return the addresses of the target; InvalidFieldError if users may not choose them."""
        forbid_in_transaction("network")
        is_allowed = f"{target.host}:{target.port}" in self._allowed
        if not is_allowed:
            check_port(target.port)
        addresses = self._resolver.addresses(target.host, target.port, deadline=deadline)
        if not is_allowed and not are_public(addresses):
            message = "The URL points to a private or local address; only hosts on the public Internet are allowed."
            raise InvalidFieldError("url", message)
        return addresses

    def _exchange(self, target: WebUrl, method: str, **request: Any) -> AbstractContextManager[Exchange]:
        """Open an exchange with a checked target."""
        headers = {
            "User-Agent": USER_AGENT,
            **request.pop("headers", {}),
            "Host": target.authority,
            # Compression does not shrink media, and a few compressed bytes could expand to gigabytes.
            "Accept-Encoding": "identity",
        }
        sent = Request(method=method, headers=headers, idle_timeout_s=self._patience.idle_s, **request)
        addresses = self._addresses(target, deadline=sent.head_deadline)
        return open_exchange(target, addresses, sent, self._tls)


class _RateCheck:
    """Fails a transfer that is slower than LEAST_RATE_BYTES_S over a whole window."""

    def __init__(self, host: str, window_s: float) -> None:
        self._host = host
        self._window_s = window_s
        self._began_s = time.monotonic()
        self._bytes = 0

    def count(self, size_bytes: int) -> None:
        """Count received bytes; SlowPeerError if too few arrived in the window that has just ended."""
        self._bytes += size_bytes
        passed_s = time.monotonic() - self._began_s
        if passed_s < self._window_s:
            return
        if self._bytes < LEAST_RATE_BYTES_S * passed_s:
            raise SlowPeerError(f"{self._host} sends too slowly; try again later, or use another address.", field="url")
        self._began_s, self._bytes = time.monotonic(), 0


def _receive(exchange: Exchange, sink: Sink, max_bytes: int, *, rate_window_s: float) -> Fetched:
    """Pass the answer's body to `sink`; raise unless it is complete and of an acceptable type and size."""
    _check_status(exchange)
    content_type = exchange.header("Content-Type").partition(";")[0].strip().lower()
    if content_type in {"text/html", "application/xhtml+xml"}:
        message = "The URL leads to a web page, not to a media file; use the address of the file itself."
        raise InvalidFieldError("url", message)
    if exchange.header("Content-Encoding").strip().lower() not in {"", "identity"}:
        raise InvalidFieldError("url", "The server sends the file compressed only; use another address for it.")
    declared = exchange.header("Content-Length")
    if declared.isascii() and declared.isdecimal() and int(declared[:MAX_LENGTH_DIGITS]) > max_bytes:
        raise _too_large(max_bytes)
    size_bytes, rate = 0, _RateCheck(exchange.target.host, rate_window_s)
    while chunk := exchange.read():
        rate.count(len(chunk))
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        sink(chunk)
    if not size_bytes:
        raise InvalidFieldError("url", "The URL leads to an empty file; use the address of a recording.")
    target = exchange.target
    name = file_name_of(exchange.header("Content-Disposition")) or target.name
    return Fetched(url=target.text, name=name, content_type=content_type, size_bytes=size_bytes)


def _check_status(exchange: Exchange) -> None:
    status, host = exchange.status, exchange.target.host
    if status == _OK:
        return
    if status in _BUSY or status >= _SERVER_ERRORS:
        raise UnavailableError(f"{host} answered {status}; try again later.", field="url", status=status)
    raise InvalidFieldError("url", f"{host} answered {status}; use a URL that anyone can open.", status=status)


def _too_large(max_bytes: int) -> PayloadTooLargeError:
    message = f"The file at the URL is larger than {max_bytes} bytes, the most that is accepted."
    return PayloadTooLargeError(message, field="url", max_bytes=max_bytes)
