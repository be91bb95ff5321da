import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from api.jwks import open_keys
from cli.embedded.port import free_port
from services.errors import UnavailableError


class KeyServer(ThreadingHTTPServer):
    """Publishes what tests give it."""

    status = 200
    document: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/auth/v1/.well-known/jwks.json"


class Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        body = json.dumps(self.server.document).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with KeyServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_published_key_is_fetched_and_found(key_server: KeyServer) -> None:
    key = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    key_server.document = {"keys": [{**key, "kid": "k1", "alg": "ES256", "use": "sig"}]}
    find = open_keys(key_server.url)
    assert find is not None
    found = find("k1")
    assert found is not None
    assert found.key_id == "k1"
    assert find("k2") is None


@pytest.mark.parametrize("status", [404, 500])
def test_key_server_that_answers_otherwise_is_worth_another_try(key_server: KeyServer, status: int) -> None:
    key_server.status = status
    find = open_keys(key_server.url)
    assert find is not None
    with pytest.raises(UnavailableError):
        find("k1")


def test_key_server_that_is_not_there_is_worth_another_try() -> None:
    find = open_keys(f"http://127.0.0.1:{free_port()}/")
    assert find is not None
    with pytest.raises(UnavailableError):
        find("k1")
