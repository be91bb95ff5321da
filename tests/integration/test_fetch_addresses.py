"""Requests to strangers' addresses: which of them are connected to."""

from collections.abc import Callable

import pytest
from support.servers.fetching import NAME, fetcher, read
from support.servers.talking_server import Server, answer

from services.errors import InvalidFieldError
from services.outbound.fetch import SafeFetcher


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "10.0.0.8", "192.168.1.1"),  # noqa: S104 - refused
        *("internal.example", "both.example", "six.example", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]"),
    ],
)
def test_private_address_is_refused_before_anything_is_sent(serve: Callable[..., Server], host: str) -> None:
    server = serve(answer(b"secret"))
    names = {
        "internal.example": ["10.0.0.1"],
        "both.example": ["93.184.215.14", "127.0.0.1"],
        "six.example": ["::ffff:127.0.0.1"],
    }
    reach = fetcher(names=names)
    with pytest.raises(InvalidFieldError, match="private or local address") as refused:
        read(reach, f"http://{host}:{server.port}/")
    assert refused.value.details == {"field": "url"}
    with pytest.raises(InvalidFieldError):
        reach.check(f"http://{host}:{server.port}/")
    with pytest.raises(InvalidFieldError):
        reach.post(f"http://{host}:{server.port}/", b"{}", {})
    assert server.requests == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "LOCALHOST."])
def test_spelling_of_loopback_is_seen_through_by_the_system_resolver(serve: Callable[..., Server], host: str) -> None:
    server = serve(answer(b"secret"))
    with pytest.raises(InvalidFieldError, match=r"private or local|no host"):
        read(SafeFetcher(), f"http://{host}:{server.port}/")
    assert server.requests == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://127.0.0.1:{port}/", "private or local"),
        ("http://[::1]:{port}/", "private or local"),
        ("http://169.254.169.254/latest/meta-data/", "private or local"),
        ("http://internal.example:{port}/", "private or local"),
        ("http://{name}:{other_port}/", "private or local"),
        ("file:///etc/passwd", "Only http"),
        ("ftp://example.com/", "Only http"),
        ("http://user:secret@example.com/", "user name"),
        ("http://93.184.215.14:22/", "Port 22"),
        ("http://none.example/", "no host"),
    ],
)
def test_redirect_is_checked_like_the_first_url(serve: Callable[..., Server], location: str, message: str) -> None:
    inner = serve(answer(b"secret"))
    target = location.format(port=inner.port, other_port=inner.port, name=NAME)
    outer = serve(answer(status=302, Location=target))
    reach = fetcher(outer, names={"internal.example": ["127.0.0.1"]})
    with pytest.raises(InvalidFieldError, match=message):
        read(reach, f"http://{NAME}:{outer.port}/")
    assert inner.requests == []


def test_name_that_changes_its_address_is_connected_at_the_checked_one(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"secret"))
    answers = [["203.0.113.1"], ["127.0.0.1"]]  # a first, innocent answer would be checked, a second one used

    def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with pytest.raises(InvalidFieldError):
        read(SafeFetcher(resolver=rebinding), f"http://rebind.example:{server.port}/")
    answers[:] = [["127.0.0.1"]]
    calls: list[str] = []

    def counting(host: str, _: int) -> list[str]:
        calls.append(host)
        return ["127.0.0.1"] if len(calls) == 1 else ["10.0.0.1"]

    reach = SafeFetcher(resolver=counting, allowed=[f"{NAME}:{server.port}"])
    assert read(reach, f"http://{NAME}:{server.port}/") == b"secret"
    assert calls == [NAME]


def test_allowance_is_for_the_exact_host_and_port(serve: Callable[..., Server]) -> None:
    allowed, other = serve(answer(b"inner")), serve(answer(b"secret"))
    reach = fetcher(allowed, names={"alias.example": ["127.0.0.1"]})
    assert read(reach, f"http://{NAME.upper()}:{allowed.port}/") == b"inner"
    for url in (
        f"http://{NAME}:{other.port}/",
        f"http://alias.example:{allowed.port}/",
        f"http://127.0.0.1:{allowed.port}/",
    ):
        with pytest.raises(InvalidFieldError, match="private or local"):
            read(reach, url)
    assert other.requests == []


def test_proxy_of_the_environment_is_not_used(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = serve(answer(b"direct")), serve(answer(b"proxied"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert read(fetcher(server), f"http://{NAME}:{server.port}/") == b"direct"
    assert proxy.requests == []
