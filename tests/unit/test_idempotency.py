from services.idempotency import fingerprint

SECRET = "a secret that has more than thirty-two bytes"


def of(body: bytes, *, method: str = "POST", path: str = "/api/clips", secret: str = SECRET) -> bytes:
    return fingerprint(secret, method=method, path=path, body=body)


def test_spacing_and_order_of_fields_do_not_matter() -> None:
    assert of(b'{"a": 1, "b": [1, 2]}') == of(b'{"b":[1,2],"a":1}')


def test_values_order_in_lists_and_the_address_matter() -> None:
    base = of(b'{"a":1}')
    others = {of(b'{"a":2}'), of(b'{"a":1}', path="/api/x"), of(b'{"a":1}', method="PUT"), of(b""), of(b"{")}
    assert base not in others
    assert of(b"[1,2]") != of(b"[2,1]")


def test_fingerprint_needs_the_secret() -> None:
    assert of(b"{}") != of(b"{}", secret=SECRET[::-1])
