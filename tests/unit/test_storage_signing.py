from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.signing import SignatureError, UrlSigner

SECRET = b"a secret of thirty-two bytes, yes"
SIGNER = UrlSigner("http://127.0.0.1:8000/", SECRET)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def test_signed_url_lies_below_storage_on_the_base() -> None:
    url = SIGNER.sign("GET", "clips", "a b/ü", {"x": "1 2"}, expires_at=100)
    assert url.startswith("http://127.0.0.1:8000/storage/clips/a%20b/%C3%BC?x=1%202&expires=100&signature=")


def test_url_holds_until_its_second_and_not_after() -> None:
    query = query_of(SIGNER.sign("GET", "clips", "k", {}, expires_at=100))
    SIGNER.check("GET", "clips", "k", query, now_s=99.9)
    with pytest.raises(SignatureError, match="expired"):
        SIGNER.check("GET", "clips", "k", query, now_s=100.0)


@given(
    key=TEXT, query=st.dictionaries(TEXT.filter(lambda name: name not in {"expires", "signature"}), TEXT, max_size=3)
)
def test_signature_covers_key_and_query_of_any_text(key: str, query: dict[str, str]) -> None:
    signed = query_of(SIGNER.sign("GET", "clips", key, query, expires_at=100))
    SIGNER.check("GET", "clips", key, signed, now_s=0)
    for other in (
        ("GET", "clips", key + "x", signed),
        ("GET", "recordings", key, signed),
        ("PUT", "clips", key, signed),
        ("GET", "clips", key, signed | {"expires": "101"}),
        ("GET", "clips", key, signed | {"extra": ""}),
        ("GET", "clips", key, signed | {"signature": ""}),
        ("GET", "clips", key, signed | {"signature": "é"}),
        ("GET", "clips", key, {}),
    ):
        with pytest.raises(SignatureError, match="does not match"):
            SIGNER.check(*other, now_s=0)


def test_parts_of_the_message_cannot_be_shifted_into_each_other() -> None:
    signed = query_of(SIGNER.sign("GET", "clips", "a\nb", {"c": "d"}, expires_at=100))
    with pytest.raises(SignatureError):
        SIGNER.check("GET", "clips\na", "b", signed, now_s=0)
    signed = query_of(SIGNER.sign("GET", "clips", "k", {"a": "1&b=2"}, expires_at=100))
    with pytest.raises(SignatureError):
        SIGNER.check("GET", "clips", "k", {**signed, "a": "1", "b": "2"}, now_s=0)


def test_url_of_another_secret_is_refused() -> None:
    signed = query_of(UrlSigner("http://x", SECRET + b"!").sign("GET", "clips", "k", {}, expires_at=100))
    with pytest.raises(SignatureError):
        SIGNER.check("GET", "clips", "k", signed, now_s=0)


def test_secret_that_can_be_guessed_is_not_taken() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        UrlSigner("http://x", b"short")
