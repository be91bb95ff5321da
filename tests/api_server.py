"""The API in this process, on real servers, for tests that speak HTTP to it."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app, open_deps
from api.deps import Deps
from db.connection import SERVICE
from services.settings import Settings

PASSWORD = "a password of some length"


class Person:
    """Somebody with an account, and a client that carries the token."""

    def __init__(self, client: TestClient[Litestar], *, email: str, account: dict[str, Any]) -> None:
        self._client = client
        self.email = email
        self.id = UUID(account["id"])
        self.token = account["token"]

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self._client.request(method, path, headers=headers, follow_redirects=False, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, **({} if json is None else {"json": json}), **options)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)


class Service:
    """The application under test and what is behind it."""

    def __init__(self, client: TestClient[Litestar], deps: Deps, app: Litestar) -> None:
        self.client = client
        self.deps = deps
        self.app = app

    def person(self, *, tier: str = "free", is_admin: bool = False) -> Person:
        email = f"{secrets.token_hex(6)}@example.org"
        answer = self.client.post("/api/auth/signup", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        person = Person(self.client, email=email, account=answer.json()["data"])
        with self.deps.database.transaction(SERVICE) as tx:
            if tier != "free":
                tx.execute(
                    "INSERT INTO subscriptions (user_id, tier, status) VALUES (%s, %s, 'active')", (person.id, tier)
                )
            if is_admin:
                tx.execute("UPDATE users SET is_admin = true WHERE id = %s", (person.id,))
        return person

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.deps.database.transaction(SERVICE) as tx:
            return tx.execute(statement, values).fetchall()

    def execute(self, statement: str, **values: Any) -> None:
        with self.deps.database.transaction(SERVICE) as tx:
            tx.execute(statement, values)


@contextmanager
def serving(settings: Settings) -> Iterator[Service]:
    """Run the API for as long as the block."""
    deps = open_deps(settings)
    app = create_app(deps)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Service(client, deps, app)
