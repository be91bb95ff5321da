"""Servers that only these tests use."""

from collections.abc import Iterator

import pytest
from api_server import Service, serving
from swift_server import swift_server
from talking_server import serve

from services.settings import Settings

__all__ = ["serve", "swift_server"]


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """The API in this process."""
    with serving(settings) as running:
        yield running
