import pytest

from services.errors import InvalidFieldError
from services.outbound.url import MAX_URL_CHARS, check_port, parse_url


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://example.com", "example.com", 80, "/"),
        ("https://Example.COM/a/b?c=d#e", "example.com", 443, "/a/b?c=d"),
        ("https://example.com:8443/?x=1%20y", "example.com", 8443, "/?x=1%20y"),
        ("http://[2606:4700::1111]:8080/v", "2606:4700::1111", 8080, "/v"),
        ("http://münchen.example/ü?q=ø", "xn--mnchen-3ya.example", 80, "/%C3%BC?q=%C3%B8"),
        ("http://1.1.1.1/", "1.1.1.1", 80, "/"),
        ("https://my_bucket.example.com./x", "my_bucket.example.com.", 443, "/x"),
    ],
)
def test_web_url_is_taken_apart(url: str, host: str, port: int, path: str) -> None:
    parsed = parse_url(url)
    assert (parsed.host, parsed.port, parsed.path) == (host, port, path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "Only http"),
        ("ftp://example.com/a.mp4", "Only http"),
        ("file:///etc/passwd", "Only http"),
        ("gopher://example.com", "Only http"),
        ("//example.com/a.mp4", "Only http"),
        ("javascript:alert(1)", "Only http"),
        ("http://", "no host name"),
        ("http:///path", "no host name"),
        ("http://user@example.com/", "user name or password"),
        ("http://user:secret@example.com/", "user name or password"),
        ("http://@example.com/", "user name or password"),
        ("http://example.com\\@evil.example/", "backslash"),
        ("http://exa mple.com/", "space"),
        ("http://example.com/a b", "space"),
        (" http://example.com/", "space"),
        ("http://example.com/\r\nHost: evil", "control character"),
        ("http://exam\tple.com/", "control character"),
        ("http://example.com/\x00", "control character"),
        ("http://example.com:99999/", "cannot be read"),
        ("http://example.com:http/", "cannot be read"),
        ("http://[::1", "cannot be read"),
        ("http://[fe80::1%25eth0]/", "host name|cannot be read"),
        ("http://exa$mple.com/", "not a host name"),
        ("http://" + "ä" * 64 + ".example/", "not a host name"),
        ("http://example.com/" + "a" * MAX_URL_CHARS, "longer than"),
    ],
)
def test_url_that_cannot_be_trusted_is_refused_with_a_reason(url: str, message: str) -> None:
    with pytest.raises(InvalidFieldError, match=message) as refused:
        parse_url(url)
    assert refused.value.details == {"field": "url"}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/other", "http://example.com:8080/other"),
        ("next.mp4?x=1", "http://example.com:8080/a/next.mp4?x=1"),
        ("//cdn.example/x", "http://cdn.example/x"),
        ("https://cdn.example/a file", "https://cdn.example/a%20file"),
        ("https://cdn.example/\xc3\xbc", "https://cdn.example/ü"),
        ("", "http://example.com:8080/a/b"),
    ],
)
def test_redirect_is_resolved_against_where_it_came_from(location: str, expected: str) -> None:
    assert parse_url("http://example.com:8080/a/b").join(location).text == expected


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://u:p@x/", "http://[", "gopher://x/\r\n"])
def test_redirect_to_what_is_no_web_url_is_refused(location: str) -> None:
    with pytest.raises(InvalidFieldError):
        parse_url("http://example.com/").join(location)


def test_host_header_names_the_port_only_when_it_is_unusual() -> None:
    assert parse_url("https://example.com:443/").authority == "example.com"
    assert parse_url("https://example.com:80/").authority == "example.com:80"
    assert parse_url("http://[2606:4700::1]:81/").authority == "[2606:4700::1]:81"


def test_name_is_the_decoded_end_of_the_path() -> None:
    assert parse_url("http://example.com/a/My%20talk%20%C3%BC.mp4?x=/y").name == "My talk ü.mp4"
    assert parse_url("http://example.com/").name == ""


@pytest.mark.parametrize("port", [0, 22, 25, 139, 445, 1023])
def test_port_of_another_service_is_refused(port: int) -> None:
    with pytest.raises(InvalidFieldError, match=f"Port {port}"):
        check_port(port)


@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 65535])
def test_port_where_web_servers_listen_is_accepted(port: int) -> None:
    check_port(port)
