"""A whole installation as processes, and the people who speak HTTP with it."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import msgspec
import redis
from support.api.server import PASSWORD
from support.servers.databases import clone_of_template, settings_for
from support.servers.fleet import Fleet, wait_for
from support.servers.range_server import RangeServer, serve_ranges

from cli.embedded import postgres, valkey
from db.connection import SERVICE, Database
from services.process.settings import Settings
from storage.factory import Buckets, open_local_buckets
from workers.scratch import CACHE

END_S = 90.0
REQUEST_S = 30.0


class Person:
    """Somebody with an account, or an operator's token, who speaks HTTP with the service."""

    def __init__(self, url: str, token: str, user_id: str = "", email: str = "") -> None:
        self.id = user_id
        self.email = email
        self.client = httpx.Client(base_url=url, timeout=REQUEST_S, headers={"Authorization": f"Bearer {token}"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def upload(self, content: bytes) -> str:
        """Send a file and return the recording's id; what becomes of it is another question."""
        body = {"filename": "talk.mp4", "size_bytes": len(content), "content_type": "video/mp4"}
        data = self.ask("POST", "/api/recordings", body)
        size, tags = data["upload"]["part_size_bytes"], []
        for place, part in enumerate(data["upload"]["parts"]):
            stored = httpx.put(part["url"], content=content[place * size :][:size], timeout=REQUEST_S)
            stored.raise_for_status()
            tags.append({"number": part["number"], "etag": stored.headers["ETag"]})
        path = f"/api/recordings/{data['recording']['id']}"
        self.ask("POST", f"{path}/complete", {"parts": tags})
        return str(data["recording"]["id"])

    def until(self, path: str, *states: str) -> Any:
        """Wait until what lies there is in one of these states."""

        def there() -> Any:
            found = self.ask("GET", path)
            return found if found["status"] in states else None

        return wait_for(there, timeout_s=END_S, what=f"{path} to be {' or '.join(states)}")

    def clip(self, recording_id: str, **asked: Any) -> Any:
        body = {"recording_id": recording_id, "start_s": 2.0, "end_s": 8.0, "formats": ["mp3"], **asked}
        return self.ask("POST", "/api/clips", body)


class Product:
    """An API, a dispatcher and a worker, as processes."""

    def __init__(self, settings: Settings, folder: Path, source: RangeServer, *, has_sockets: bool) -> None:
        self.has_sockets = has_sockets
        self.settings = settings
        self.folder = folder
        self.source = source
        self.url = settings.public_url
        self.buckets: Buckets = open_local_buckets(
            settings.storage_dir, base_url=settings.public_url, secret=settings.jwt_secret.encode()
        )
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.database = Database(self.settings.database_url)
        self.database.open(wait_s=20)
        self._open.callback(self.database.close)
        authority = self.source.url.removeprefix("http://")
        variables = {"ADMIN_TOKEN": self.settings.admin_token or "", "IMPORT_ALLOW_HOSTS": authority}
        variables["CORS_ORIGINS"] = ",".join(self.settings.cors_origins)
        self.fleet = self._open.enter_context(Fleet(self.settings, self.folder, **variables))
        self.fleet.api(port=self.settings.port, options=["--with-sockets"] if self.has_sockets else [])
        self.fleet.dispatcher()
        self.worker = self.fleet.worker(threads=1)
        wait_for(self._answers, what="the API")
        self.operator = Person(self.url, self.settings.admin_token or "")
        self._open.callback(self.operator.client.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def person(self) -> Person:
        email = f"{time.monotonic_ns()}@example.org"
        made = httpx.post(f"{self.url}/api/auth/signup", json={"email": email, "password": PASSWORD}, timeout=REQUEST_S)
        account = made.json()["data"]
        with self.database.transaction(SERVICE) as tx:
            tx.execute("UPDATE subscriptions SET tier = 'pro', status = 'active' WHERE user_id = %s", (account["id"],))
        person = Person(self.url, account["token"], account["id"], email)
        self._open.callback(person.client.close)
        return person

    def scratch(self) -> list[Path]:
        """What attempts have left; a living worker's own corner, and what it keeps there for the next, do not count."""
        found = (self.settings.scratch_dir or Path()).glob("*/*")
        return [path for path in found if path.is_dir() and path.name != CACHE]

    def objects(self, user_id: str) -> list[str]:
        prefix = f"{UUID(user_id)}/"
        return [
            stat.key for store in (self.buckets.clips, self.buckets.recordings) for stat in store.list_objects(prefix)
        ]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=REQUEST_S).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def running_product(  # noqa: PLR0913 - keyword-only, as settings
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    folder: Path,
    *,
    has_sockets: bool = False,
    host: str = "127.0.0.1",
    cors_origins: tuple[str, ...] = (),
) -> Iterator[Product]:
    """A whole installation on a database of its own, and on all of this Valkey.

    `host` is a name of this machine.
    """
    source = folder / "source"
    source.mkdir()
    with redis.Redis.from_url(valkey_server.url()) as client:
        client.flushall()
    with clone_of_template(postgres_server) as owner_url, serve_ranges(source) as served:
        settings = settings_for(postgres_server, owner_url, redis_url=valkey_server.url(), folder=folder)
        settings = msgspec.structs.replace(
            settings, public_url=f"http://{host}:{settings.port}", cors_origins=cors_origins
        )
        with Product(settings, folder, served, has_sockets=has_sockets) as running:
            yield running
