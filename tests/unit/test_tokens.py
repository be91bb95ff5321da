import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from services.accounts.token import Tokens, new_api_key, secret_hash
from services.errors import UnauthenticatedError

SECRET = "a secret that has more than thirty-two bytes"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def tokens(now: datetime = NOW) -> Tokens:
    return Tokens(SECRET, clock=lambda: now)


def claims(**changes: object) -> dict[str, object]:
    given = {
        "sub": str(uuid4()),
        "role": "authenticated",
        "aud": "authenticated",
        "exp": int(NOW.timestamp()) + 60,
        **changes,
    }
    return {name: value for name, value in given.items() if value is not None}


def test_issued_token_says_who_it_is_for() -> None:
    user_id = uuid4()
    session = tokens().issue(user_id)
    found = tokens().check(session.token)
    assert found.user_id == user_id
    assert found.expires_at == session.expires_at
    assert found.issued_at == NOW
    assert not found.is_foreign


def test_token_with_only_the_claims_of_the_contract_is_believed() -> None:
    given = claims()
    found = tokens().check(jwt.encode(given, SECRET, algorithm="HS256"))
    assert str(found.user_id) == given["sub"]
    assert found.issued_at is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"exp": int(NOW.timestamp())}, "expired"),
        ({"exp": int(NOW.timestamp()) - 3600}, "expired"),
        ({"aud": "somebody-else"}, "audience"),
        ({"aud": None}, "invalid"),
        ({"role": "service_role"}, "role"),
        ({"role": "anon"}, "role"),
        ({"role": None}, "role"),
        ({"sub": "not-a-uuid"}, "invalid"),
        ({"sub": None}, "invalid"),
        ({"exp": None}, "invalid"),
        ({"exp": "soon"}, "invalid"),
        ({"nbf": 4_000_000_000}, "not valid yet"),
    ],
)
def test_token_with_wrong_claims_is_refused_in_words(changes: dict[str, object], word: str) -> None:
    with pytest.raises(UnauthenticatedError, match=word):
        tokens().check(jwt.encode(claims(**changes), SECRET, algorithm="HS256"))


def test_unsigned_token_is_refused() -> None:
    with pytest.raises(UnauthenticatedError):
        tokens().check(jwt.encode(claims(), None, algorithm="none"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_token_of_another_algorithm_is_refused(algorithm: str) -> None:
    with pytest.raises(UnauthenticatedError):
        tokens().check(jwt.encode(claims(), SECRET + SECRET, algorithm=algorithm))


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "x" * 10_000, "eyJhbGciOiJIUzI1NiJ9..", "\0"])
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(UnauthenticatedError):
        tokens().check(text)


def test_token_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(UnauthenticatedError):
        tokens().check(jwt.encode(claims(), SECRET[::-1], algorithm="HS256"))


def test_token_with_changed_claims_is_refused() -> None:
    head, _, signature = tokens().issue(uuid4()).token.split(".")
    body = base64.urlsafe_b64encode(jwt.api_jwt.json.dumps(claims()).encode()).rstrip(b"=").decode()
    with pytest.raises(UnauthenticatedError):
        tokens().check(f"{head}.{body}.{signature}")


def published(key: ec.EllipticCurvePrivateKey) -> PyJWK:
    document = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return PyJWK({**document, "kid": "k1", "alg": "ES256", "use": "sig"})


def test_foreign_token_is_believed_by_its_published_key() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    checker = Tokens(SECRET, clock=lambda: NOW, find_key={"k1": published(key)}.get)
    token = jwt.encode(claims(email="ada@example.com"), key, algorithm="ES256", headers={"kid": "k1"})
    found = checker.check(token)
    assert found.is_foreign
    assert found.email == "ada@example.com"


def test_foreign_token_of_an_unpublished_key_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    checker = Tokens(SECRET, clock=lambda: NOW, find_key={"k1": published(key)}.get)
    with pytest.raises(UnauthenticatedError, match="not published"):
        checker.check(jwt.encode(claims(), key, algorithm="ES256", headers={"kid": "k2"}))


def test_foreign_token_is_refused_where_no_keys_are_published() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(UnauthenticatedError):
        tokens().check(jwt.encode(claims(), key, algorithm="ES256", headers={"kid": "k1"}))


def test_public_key_used_as_a_secret_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    checker = Tokens(SECRET, clock=lambda: NOW, find_key={"k1": published(key)}.get)
    token = jwt.api_jws.PyJWS().encode(b"{}", SECRET.encode(), algorithm="HS256", headers={"kid": "k1"})
    forged = token.split(".")[0] + "." + base64.urlsafe_b64encode(pem).decode().rstrip("=") + "." + token.split(".")[2]
    with pytest.raises(UnauthenticatedError):
        checker.check(forged)


def test_issue_times_within_one_second_are_told_apart() -> None:
    first = tokens().check(tokens().issue(uuid4()).token)
    later = tokens(NOW + timedelta(milliseconds=5))
    second = later.check(later.issue(uuid4()).token)
    assert first.issued_at is not None
    assert second.issued_at is not None
    assert first.issued_at < second.issued_at


def test_api_keys_are_recognisable_and_never_equal() -> None:
    first, second = new_api_key(), new_api_key()
    assert first.startswith("snk_")
    assert first != second
    assert secret_hash(first) != secret_hash(second)
