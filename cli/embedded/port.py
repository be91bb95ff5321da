"""Ports on the loopback address."""

import secrets
import socket

HOST = "127.0.0.1"
CHOSEN = range(20_000, 32_768)
"""Below the range of outgoing connections, one of which could take a port before its server does."""
TRIES = 20


def free_port() -> int:
    """Return a port that is free now."""
    for _ in range(TRIES):
        chosen = secrets.choice(CHOSEN)
        if is_free(chosen):
            return chosen
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether a server could listen on this port."""
    with socket.socket() as probe:
        # As servers do, so that closing connections of a stopped server do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
