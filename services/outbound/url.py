"""Parses and checks web addresses from users before any network call."""

import re
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from msgspec import Struct

from services.errors import InvalidFieldError

MAX_URL_CHARS: Final = 2048  # the length that every browser and proxy accepts
PRIVILEGED_PORTS: Final = (
    1024  # lower ports belong to mail, databases and shells; none serves media or receives webhooks
)
WEB_PORTS: Final = {"http": 80, "https": 443}

_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f\\]"
)  # parsers disagree on these: some strip them, some split at them, some keep them
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9._-]{0,252}[a-z0-9_.])?|[0-9a-f:.]{2,45}", re.ASCII)
_PATH_CHARS = "/%:@!$&'()*+,;=~"
_QUERY_CHARS = _PATH_CHARS + "?"


class WebUrl(Struct, frozen=True):
    """An http(s) URL without credentials: `host` is lower-case ASCII (an IPv6 address without brackets)."""

    text: str
    scheme: str
    host: str
    port: int
    path: str
    """Path and query, percent-encoded, for the request line."""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == WEB_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The last part of the path, decoded; a file's name, or empty."""
        return unquote(urlsplit(self.text).path.rsplit("/", 1)[-1])

    def join(self, location: str) -> "WebUrl":
        """Return the target of a redirect from here."""
        # Header bytes arrive as Latin-1. Servers send UTF-8 and spaces there, which browsers accept.
        decoded = location.encode("latin-1", "replace").decode("utf-8", "replace").strip().replace(" ", "%20")
        try:
            return parse_url(urljoin(self.text, decoded))
        except ValueError as error:
            raise _invalid("The URL redirects to something that is not a URL.") from error


def parse_url(text: str) -> WebUrl:
    """Parse a URL; InvalidFieldError on the field `url` says what is wrong with it."""
    if len(text) > MAX_URL_CHARS:
        raise _invalid(f"The URL is longer than {MAX_URL_CHARS} characters.")
    if _FORBIDDEN.search(text):
        raise _invalid("The URL holds a space, backslash or control character; write it percent-encoded.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _invalid("The URL cannot be read; check its host and port.") from error
    if parts.scheme not in WEB_PORTS:
        raise _invalid("Only http:// and https:// URLs are accepted.")
    if parts.username is not None or parts.password is not None:
        raise _invalid("A URL with a user name or password is not accepted; use one that works without.")
    host = _ascii_host(parts.hostname or "")
    path = quote(parts.path or "/", safe=_PATH_CHARS)
    if parts.query:
        path += "?" + quote(parts.query, safe=_QUERY_CHARS)
    port = WEB_PORTS[parts.scheme] if port is None else port
    return WebUrl(parts._replace(fragment="").geturl(), parts.scheme, host, port, path)


def check_port(port: int) -> None:
    """Raise InvalidFieldError unless the port is usual for web servers."""
    if port == 0 or (port < PRIVILEGED_PORTS and port not in WEB_PORTS.values()):
        raise _invalid(f"Port {port} is not used for web addresses; use 80, 443 or one above {PRIVILEGED_PORTS - 1}.")


def _ascii_host(host: str) -> str:
    try:
        ascii_host = host.encode("idna").decode() if not host.isascii() else host.lower()
    except UnicodeError as error:
        raise _invalid(f"{host!r} is not a host name.") from error
    if not _HOST.fullmatch(ascii_host):
        raise _invalid("The URL has no host name." if not host else f"{host!r} is not a host name.")
    return ascii_host


def _invalid(message: str) -> InvalidFieldError:
    return InvalidFieldError("url", message)
