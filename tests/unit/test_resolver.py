"""Name lookups: bounded in time and number, and the faults of name servers told apart from wrong names."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from services.errors import InvalidFieldError, UnavailableError
from services.outbound.resolver import BoundedResolver


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Lets name servers that hang answer at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def hanging(released: threading.Event) -> BoundedResolver:
    def resolve(host: str, _port: int) -> list[str]:
        if host.startswith("never"):
            released.wait()
        return ["192.0.2.1"]

    return BoundedResolver(resolve, timeout_s=0.1, max_lookups=3)


def failing(code: int) -> BoundedResolver:
    def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(code, "said the resolver")

    return BoundedResolver(resolve)


def test_name_whose_servers_never_answer_costs_the_caller_the_time_limit(released: threading.Event) -> None:
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="do not answer") as refused:
        hanging(released).addresses("never.example", 80)
    assert time.monotonic() - began_s < 1
    assert refused.value.details["field"] == "url"


def test_deadline_shortens_the_wait(released: threading.Event) -> None:
    resolver = BoundedResolver(lambda *_: released.wait() and [], timeout_s=60)
    began_s = time.monotonic()
    with pytest.raises(UnavailableError):
        resolver.addresses("never.example", 80, deadline=began_s + 0.1)
    assert time.monotonic() - began_s < 1


def test_names_that_hang_leave_room_for_others_until_the_limit(released: threading.Event) -> None:
    resolver = hanging(released)
    for name in ("never-1.example", "never-2.example", "never-2.example"):
        with pytest.raises(UnavailableError):
            resolver.addresses(name, 80)
    assert resolver.addresses("works.example", 80) == ["192.0.2.1"]
    with pytest.raises(UnavailableError, match="do not answer"):
        resolver.addresses("never-3.example", 80)
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match="Too many names"):
        resolver.addresses("never-4.example", 80)
    assert time.monotonic() - began_s < 0.1


def test_room_comes_back_when_a_lookup_ends(released: threading.Event) -> None:
    resolver = hanging(released)
    for number in range(3):
        with pytest.raises(UnavailableError):
            resolver.addresses(f"never-{number}.example", 80)
    released.set()
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        try:
            assert resolver.addresses("works.example", 80) == ["192.0.2.1"]
        except UnavailableError:
            time.sleep(0.01)
        else:
            return
    pytest.fail("no lookup ended")


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_name_that_does_not_exist_is_the_callers_mistake(code: int) -> None:
    with pytest.raises(InvalidFieldError, match="no host"):
        failing(code).addresses("none.example", 80)


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
def test_resolver_that_is_down_is_unavailable_and_retryable(code: int) -> None:
    with pytest.raises(UnavailableError, match="cannot be looked up now") as refused:
        failing(code).addresses("media.example", 80)
    assert refused.value.retryable


def test_name_that_idna_cannot_encode_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidFieldError, match="no host"):
        BoundedResolver().addresses("a" * 64 + ".example", 80)
