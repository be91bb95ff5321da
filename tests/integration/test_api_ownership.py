"""Walks the routes of the application as they are, so that a new one is covered before anybody thinks of it."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute
from support.access.routes import PARAMETER, somewhere
from support.api.server import Person, Service

from api.openapi import document as docs
from api.routes.pages.web import PAGES, ROOT_FILES

PUBLIC = {
    ("POST", "/api/auth/signup"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/session"),
    ("POST", "/api/auth/passkey/options"),
    ("POST", "/api/auth/passkey/login"),
    ("POST", "/api/auth/verify"),
    ("POST", "/api/auth/forgot"),
    ("POST", "/api/auth/reset"),
    # What each tier costs and includes, the same for everybody.
    ("GET", "/api/subscription/tiers"),
    # Signed by Stripe.
    ("POST", "/api/subscription/webhook"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/c/{slug}"),
    ("GET", "/c/{slug}/media/{name}"),
    ("GET", "/c/{slug}/waveform.svg"),
    ("GET", "/embed/{slug}"),
    ("GET", "/oembed"),
    ("GET", "/verify/{token}"),
    ("POST", "/verify/{token}"),
    ("GET", "/reset/{token}"),
    ("POST", "/reset/{token}"),
    ("GET", "/api/docs"),
    ("GET", "/api/docs/openapi.json"),
    ("GET", "/api/docs/{path}"),
    ("GET", "/api/docs/page.css"),
    ("GET", "/api/docs/page.js"),
    # The pages as they were built, the same for everybody; what they show they ask the API for.
    ("GET", "/"),
    *(("GET", re.sub(r":\w+}", "}", path)) for path in PAGES),
    *(("GET", f"/{name}") for name in ROOT_FILES),
    ("GET", "/ops"),
    ("GET", "/ops/{part}"),
    ("GET", "/assets/{name}"),
    # The room's code is the proof; tries are limited.
    ("POST", "/api/rooms/code/{code}/guest"),
    # Signed addresses are their own proof.
    ("GET", "/storage/{bucket}/{key}"),
    ("HEAD", "/storage/{bucket}/{key}"),
    ("PUT", "/storage/{bucket}/{key}"),
}
"""Whoever adds to this list says why nobody's things are reached by it."""

FOR_OPERATORS = ("/api/ops/", "/api/admin/")
TABLES = (
    "users",
    "recordings",
    "highlights",
    "clips",
    "clip_shares",
    "jobs",
    "api_keys",
    "webhooks",
    "webhook_deliveries",
)


def routes(app: Litestar) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method in sorted(route.route_handler_map):
                if method != "OPTIONS":
                    yield method, route.path_format


def test_every_route_asks_who_it_is_but_for_a_short_list(service: Service) -> None:
    found = set(routes(service.app))
    assert found >= PUBLIC - {("GET", "/api/docs/{path}")}
    for method, path in sorted(found - PUBLIC):
        answer = service.client.request(method, somewhere(path), json={})
        assert answer.status_code == 401, f"{method} {path} answers {answer.status_code} to nobody"
        assert answer.json()["error"]["code"] == "unauthenticated"


class Possessions:
    """One of everything that has an id, belonging to somebody."""

    def __init__(self, service: Service, owner: Person) -> None:
        recording_id = service.ready_recording(owner)
        clip_id = service.ready_clip(owner, recording_id)
        waiting = owner.post("/api/clips", {"recording_id": recording_id, "start_s": 0, "end_s": 10}).json()["data"]
        key = owner.post("/api/me/keys", {"name": "key"}).json()["data"]
        self.upload = service.upload(owner)
        self.ids: dict[str, list[str]] = {
            "recording_id": [recording_id, self.upload],
            "clip_id": [clip_id, waiting["clip"]["id"]],
            "job_id": [waiting["job"]["id"]],
            "key_id": [key["id"]],
            "highlight_id": [str(row["id"]) for row in service.rows("SELECT id FROM highlights LIMIT 1")],
        }
        self._add_webhook(owner)
        self._add_room(owner)

    def _add_room(self, owner: Person) -> None:
        room = owner.post("/api/rooms/create", {"name": "Thursday table", "is_private": True}).json()["data"]
        options = {"poll_type": "topic", "question": "What next?", "options": ["a", "b"], "duration_seconds": 60}
        poll = owner.post(f"/api/rooms/{room['id']}/polls/create", options).json()["data"]
        path = f"/api/rooms/{room['id']}/recording"
        assert owner.post(f"{path}/start", {}).status_code == 201
        microphone = {"source": "microphone", "content_type": "audio/webm", "client_now_ms": 0}
        track = owner.post(f"{path}/tracks", microphone).json()["data"]["track"]
        self.ids["track_id"] = [track["id"]]
        self.ids |= {"room_id": [room["id"]], "code": [room["room_code"]], "poll_id": [poll["id"]]}

    def _add_webhook(self, owner: Person) -> None:
        made = owner.post("/api/webhooks", {"url": "http://8.8.8.8/hook", "events": ["clip.completed"]})
        assert made.status_code == 201, made.text
        webhook_id = made.json()["data"]["id"]
        delivery = owner.post(f"/api/webhooks/{webhook_id}/test").json()["data"]
        self.ids |= {"webhook_id": [webhook_id], "delivery_id": [delivery["id"]]}

    def addresses(self, path: str) -> list[str]:
        """The addresses that a path has for these things."""
        names = PARAMETER.findall(path)
        number = max(len(self.ids.get(name, [""])) for name in names)
        filled = []
        for index in range(number):
            values = {name: (self.ids.get(name) or ["1"]) for name in names}
            filled.append(PARAMETER.sub(lambda found: values[found[1]][min(index, len(values[found[1]]) - 1)], path))  # noqa: B023 - called at once
        return filled

    def place_in(self, body: Any) -> Any:
        """Put these things' ids into a body where it names some."""
        if isinstance(body, dict):
            return {
                name: self.ids[name][0] if name in self.ids else self.place_in(value) for name, value in body.items()
            }
        return [self.place_in(value) for value in body] if isinstance(body, list) else body


@pytest.fixture
def owner(service: Service) -> Person:
    return service.person(tier="pro")


@pytest.fixture
def possessions(service: Service, owner: Person) -> Possessions:
    return Possessions(service, owner)


def snapshot(owner_url: str) -> dict[str, list[Any]]:
    with psycopg.connect(owner_url) as connection:
        return {
            table: sorted(row[0] for row in connection.execute(f"SELECT t::text FROM {table} t").fetchall())  # noqa: S608 - names above
            for table in TABLES
        }


def example_bodies(app: Litestar) -> dict[tuple[str, str], Any]:
    """A body that each operation accepts: the example of its own documentation."""
    document = docs.complete(app, app.openapi_schema.to_schema())
    components = document["components"]["schemas"]
    bodies = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                bodies[method.upper(), path] = docs.example(content["schema"], components)
    return bodies


def test_strangers_ids_are_404_everywhere_and_nothing_changes(
    service: Service, running_service: tuple[Service, str], possessions: Possessions
) -> None:
    stranger = service.person(tier="pro")
    bodies = example_bodies(service.app)
    before = snapshot(running_service[1])
    tried = 0
    for method, path in routes(service.app):
        if (method, path) in PUBLIC or path.startswith(FOR_OPERATORS) or "{" not in path:
            continue
        if "{code}" in path:
            continue  # who knows a room's code may look at it and join
        body = possessions.place_in(bodies.get((method, path)))
        for address in possessions.addresses(path):
            answer = stranger.request(method, address, **({} if body is None else {"json": body}))
            assert answer.status_code == 404, f"{method} {address} answers {answer.status_code}: {answer.text}"
            assert answer.json()["error"]["code"] == "not_found"
            tried += 1
    assert tried > 20
    assert snapshot(running_service[1]) == before


def test_strangers_ids_in_bodies_are_404_too(
    service: Service, running_service: tuple[Service, str], possessions: Possessions
) -> None:
    stranger = service.person(tier="pro")
    own = service.ready_recording(stranger)
    before = snapshot(running_service[1])
    tried = 0
    for (method, path), body in example_bodies(service.app).items():
        if path.startswith("/api/me/totp"):
            continue  # its code is that of an app, not of a room
        placed = possessions.place_in(body)
        if (
            (method, path) in PUBLIC
            or "{" in path
            or path.startswith(FOR_OPERATORS)
            or msgspec.json.encode(placed) == msgspec.json.encode(body)
        ):
            continue
        answer = stranger.request(method, path, json=placed)
        assert answer.status_code == 404, f"{method} {path} answers {answer.status_code}: {answer.text}"
        tried += 1
    assert tried >= 2
    (highlight_id,) = possessions.ids["highlight_id"]
    body = {"recording_id": own, "start_s": 0, "end_s": 10, "highlight_id": highlight_id}
    assert stranger.post("/api/clips", body).status_code == 404
    assert snapshot(running_service[1]) == before


def test_lists_show_ones_own_things_only(service: Service, possessions: Possessions) -> None:
    assert possessions.ids
    stranger = service.person(tier="pro")
    for path in ("/api/recordings", "/api/clips", "/api/jobs", "/api/me/keys", "/api/webhooks"):
        assert stranger.get(path).json()["data"]["items"] == [], path


def test_owner_reaches_what_strangers_do_not(service: Service, owner: Person, possessions: Possessions) -> None:
    for method, path in routes(service.app):
        if method != "GET" or (method, path) in PUBLIC or path.startswith(FOR_OPERATORS) or "{" not in path:
            continue
        if path.endswith("/events"):
            continue  # a stream that does not end while the job waits
        statuses = {owner.get(address).status_code for address in possessions.addresses(path)}
        assert statuses & {200, 302}, f"{path}: {statuses}"


def test_row_level_security_hides_what_a_forgotten_condition_would_show(
    service: Service, possessions: Possessions
) -> None:
    from db.connection import user_identity

    assert possessions.ids
    stranger = service.person()
    with service.deps.database.transaction(user_identity(stranger.id)) as tx:
        for table in (
            "recordings",
            "highlights",
            "clips",
            "clip_shares",
            "jobs",
            "job_events",
            "api_keys",
            "quota_holds",
        ):
            assert tx.execute(f"SELECT 1 FROM {table}").fetchall() == [], table  # noqa: S608 - names above


def test_operators_routes_are_closed_to_others(service: Service) -> None:
    person = service.person()
    for method, path in routes(service.app):
        if path.startswith(FOR_OPERATORS):
            answer = person.request(method, somewhere(path), json={})
            assert answer.status_code == 403, f"{method} {path} answers {answer.status_code}"
