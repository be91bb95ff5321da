"""Servers that only these tests use."""

from swift_server import swift_server

__all__ = ["swift_server"]
