"""Connections to the server of an address: direct, or through a Unix socket if nothing else may be opened."""

import http.client
import socket
import ssl
from typing import cast
from urllib.parse import SplitResult


def open_connection(url: SplitResult, *, relay: str | None, timeout_s: float) -> http.client.HTTPConnection:
    """Return a connection to the server of `url`, opened at its first request; `relay` is the path of a socket."""
    host = cast("str", url.hostname)
    if relay is not None:
        is_tls = url.scheme == "https"
        return _RelayedConnection(host, url.port, relay=relay, is_tls=is_tls, timeout_s=timeout_s)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(host, url.port, timeout=timeout_s)


class _RelayedConnection(http.client.HTTPConnection):
    """Sends requests to the server, also with TLS, through the relay."""

    def __init__(self, host: str, port: int | None, *, relay: str, is_tls: bool, timeout_s: float) -> None:
        super().__init__(host, port or (http.client.HTTPS_PORT if is_tls else None), timeout=timeout_s)
        if is_tls:
            self.default_port = http.client.HTTPS_PORT  # left out of the Host header, which is signed
        self._relay = relay
        self._tls = ssl.create_default_context() if is_tls else None
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Connect to the relay."""
        plain = socket.socket(socket.AF_UNIX)
        try:
            plain.settimeout(self._timeout_s)
            plain.connect(self._relay)
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain
        except OSError:
            plain.close()
            raise
