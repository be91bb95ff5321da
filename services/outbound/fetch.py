"""Requests to addresses that strangers choose: URL imports and webhooks.

Every connection goes to an IP address that was checked, by that address: names are resolved here, once for each
request, so a second answer of the DNS changes nothing. Redirects are followed by us alone, each checked like the first.
"""

import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

import certifi
from msgspec import Struct

from services.errors import InvalidFieldError, PayloadTooLargeError, UnavailableError
from services.outbound.address import are_public
from services.outbound.exchange import Exchange, Request, open_exchange
from services.outbound.url import WebUrl, check_port, parse_url

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host name for a port, best first; raises OSError when there are none."""
Sink = Callable[[bytes], object]
"""Takes the next bytes of a body."""

MAX_REDIRECTS: Final = 5
IDLE_TIMEOUT_S: Final = 30.0
POST_TIMEOUT_S: Final = 10.0
FETCH_TIMEOUT_S: Final = 2 * 3600.0  # ten gigabytes at 12 Mbit/s
USER_AGENT: Final = "BigSnuggles"
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({408, 425, 429})
_SERVER_ERRORS: Final = 500
_OK: Final = 200


class Fetched(Struct, frozen=True, kw_only=True):
    """A body that arrived whole. `name` is the last part of the final URL's path, decoded; it may be empty."""

    url: str
    name: str
    content_type: str
    size_bytes: int


class Answer(Struct, frozen=True, kw_only=True):
    """What a webhook's receiver said: any status, and at most the first KiB of the body."""

    status: int
    excerpt: str


def system_resolver(host: str, port: int) -> list[str]:
    """Resolve by the operating system, which bounds the wait."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def default_tls() -> ssl.SSLContext:
    """Return a context that trusts what the system trusts and, where that is little, certifi's list."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class SafeFetcher:
    """Talks HTTP to hosts on the public Internet, and to the `allowed` ones (exact host:port) wherever they are.

    Failures are errors about the field `url`: InvalidFieldError when the URL cannot work, UnavailableError when trying
    again may help, PayloadTooLargeError when more comes than wanted. Safe for many threads.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[str] = (),
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
    ) -> None:
        self._allowed = frozenset(entry.lower() for entry in allowed)
        self._resolver = resolver
        self._tls = tls or default_tls()
        self._idle_timeout_s = idle_timeout_s

    def check(self, url: str) -> None:
        """Raise InvalidFieldError unless the URL is one that we would connect to now; asks only the DNS."""
        self._addresses(parse_url(url))

    def fetch(self, url: str, sink: Sink, *, max_bytes: int, timeout_s: float = FETCH_TIMEOUT_S) -> Fetched:
        """Read what the URL names, following up to five redirects, and hand it to `sink` piece by piece."""
        deadline = time.monotonic() + timeout_s
        target = parse_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            with self._exchange(target, "GET", deadline=deadline) as exchange:
                if exchange.status not in _REDIRECTS:
                    return _receive(exchange, sink, max_bytes)
                target = target.join(exchange.header("Location"))
        raise InvalidFieldError("url", f"The URL leads through more than {MAX_REDIRECTS} redirects.")

    def fetch_to_file(self, url: str, path: Path, *, max_bytes: int, timeout_s: float = FETCH_TIMEOUT_S) -> Fetched:
        """Read what the URL names into a file; nothing is left there when that fails."""
        try:
            with path.open("wb") as file:
                return self.fetch(url, file.write, max_bytes=max_bytes, timeout_s=timeout_s)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = POST_TIMEOUT_S) -> Answer:
        """Send a body and return the answer, whatever its status; a redirect is an answer too, and not followed."""
        deadline = time.monotonic() + timeout_s
        with self._exchange(parse_url(url), "POST", deadline=deadline, body=body, headers=headers) as exchange:
            return Answer(status=exchange.status, excerpt=exchange.excerpt())

    def _addresses(self, target: WebUrl) -> Sequence[str]:
        """Return where the target may be reached; InvalidFieldError when that is not for strangers to choose."""
        is_allowed = f"{target.host}:{target.port}" in self._allowed
        if not is_allowed:
            check_port(target.port)
        try:
            addresses = self._resolver(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise InvalidFieldError("url", f"There is no host {target.host!r}; check the URL's spelling.") from error
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
            # Compressed media would only be larger, and a few bytes could swell to gigabytes.
            "Accept-Encoding": "identity",
        }
        sent = Request(method=method, headers=headers, idle_timeout_s=self._idle_timeout_s, **request)
        return open_exchange(target, self._addresses(target), sent, self._tls)


def _receive(exchange: Exchange, sink: Sink, max_bytes: int) -> Fetched:
    """Hand the answer's body to `sink`; raise unless it is a whole one of acceptable kind and size."""
    _check_status(exchange)
    content_type = exchange.header("Content-Type").partition(";")[0].strip().lower()
    if content_type in {"text/html", "application/xhtml+xml"}:
        message = "The URL leads to a web page, not to a media file; use the address of the file itself."
        raise InvalidFieldError("url", message)
    if exchange.header("Content-Encoding").strip().lower() not in {"", "identity"}:
        raise InvalidFieldError("url", "The server sends the file compressed only; use another address for it.")
    declared = exchange.header("Content-Length")
    size_bytes = int(declared) if declared.isdecimal() else 0
    if size_bytes > max_bytes:
        raise _too_large(max_bytes)
    size_bytes = 0
    while chunk := exchange.read():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise _too_large(max_bytes)
        sink(chunk)
    if not size_bytes:
        raise InvalidFieldError("url", "The URL leads to an empty file; use the address of a recording.")
    target = exchange.target
    return Fetched(url=target.text, name=target.name, content_type=content_type, size_bytes=size_bytes)


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
