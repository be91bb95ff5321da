from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from api.jwks import FAILURE_PAUSE_S, KEEP_S, LEAST_PAUSE_S, PublishedKeys, open_keys
from services.errors import UnavailableError


def document(*names: str) -> dict[str, Any]:
    keys = [
        {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": name}
        for name in names
    ]
    return {"keys": [{**key, "use": "sig", "alg": "ES256"} for key in keys]}


class Publisher:
    """A key server and a clock that tests turn."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = document("k1")
        self.fetched = 0
        self.now_s = 1000.0

    def fetch(self) -> dict[str, Any]:
        self.fetched += 1
        if self.document is None:
            raise OSError("no route")
        return self.document

    def keys(self) -> PublishedKeys:
        return PublishedKeys(self.fetch, monotonic=lambda: self.now_s)


def test_keys_are_fetched_once_for_many_tokens() -> None:
    publisher = Publisher()
    keys = publisher.keys()
    assert publisher.fetched == 0
    assert all(keys.find("k1") for _ in range(5))
    assert publisher.fetched == 1


def test_made_up_key_ids_cause_no_flood_of_fetches() -> None:
    publisher = Publisher()
    keys = publisher.keys()
    assert [keys.find(f"x{number}") for number in range(50)] == [None] * 50
    assert publisher.fetched == 1


def test_new_key_is_found_after_the_pause() -> None:
    publisher = Publisher()
    keys = publisher.keys()
    keys.find("k1")
    publisher.document = document("k1", "k2")
    publisher.now_s += LEAST_PAUSE_S + 1
    assert keys.find("k2")


def test_withdrawn_key_is_forgotten() -> None:
    publisher = Publisher()
    keys = publisher.keys()
    keys.find("k1")
    publisher.document = document("k2")
    publisher.now_s += KEEP_S + 1
    assert keys.find("k1") is None


@pytest.mark.parametrize("answer", [None, {}, {"keys": "x"}, {"keys": [{"kty": "?"}]}])
def test_key_server_that_does_not_work_is_worth_another_try(answer: dict[str, Any] | None) -> None:
    publisher = Publisher()
    publisher.document = answer
    with pytest.raises(UnavailableError) as caught:
        publisher.keys().find("k1")
    assert caught.value.retryable


def test_key_server_that_is_down_is_left_alone_for_a_moment() -> None:
    publisher = Publisher()
    publisher.document = None
    keys = publisher.keys()
    for _ in range(10):
        with pytest.raises(UnavailableError):
            keys.find("k1")
    assert publisher.fetched == 1
    publisher.document = document("k1")
    publisher.now_s += FAILURE_PAUSE_S
    assert keys.find("k1")


def test_without_an_address_no_keys_are_believed() -> None:
    assert open_keys(None) is None
