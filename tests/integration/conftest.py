"""Servers that only these tests use."""

from swift_server import swift_server
from talking_server import serve

__all__ = ["serve", "swift_server"]
