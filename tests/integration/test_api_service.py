import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from msgspec.structs import replace
from structlog.testing import capture_logs
from support.api.server import LOCAL, PASSWORD, Service, refused, serving

from api.app import create_app, open_deps
from api.openapi import page as docs
from api.schemas import clips, recordings
from api.schemas.accounts import account
from cli.embedded.port import free_port
from pipeline.types import SIGNALS
from services.clips import service as clip_service
from services.process.settings import Settings

JSON = {"Content-Type": "application/json"}


def test_health_and_ready_answer_while_all_is_well(service: Service) -> None:
    assert service.client.get("/health").json() == {"success": True, "data": {"status": "ok"}}
    ready = service.client.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["data"] == {"status": "ready", "database": "ok", "redis": "ok", "storage": "ok"}


@contextmanager
def broken(settings: Settings, **changes: Any) -> Iterator[TestClient[Any]]:
    with TestClient(create_app(open_deps(replace(settings, **changes))), raise_server_exceptions=False) as client:
        yield client


def test_missing_database_is_named_and_answers_are_503(settings: Settings) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    with broken(settings, database_url=url) as client:
        assert client.get("/health").status_code == 200
        ready = client.get("/ready")
        assert ready.status_code == 503
        details = ready.json()["error"]["details"]
        assert (details["redis"], details["storage"]) == ("ok", "ok")
        assert details["database"] != "ok"
        assert "secret" not in ready.text


def test_missing_redis_is_named_and_tries_are_503(settings: Settings) -> None:
    with broken(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0") as client:
        ready = client.get("/ready").json()["error"]
        assert ready["details"]["redis"] != "ok"
        assert "redis" in ready["message"]
        answer = client.post("/api/auth/login", json={"email": "a@example.com", "password": PASSWORD})
        assert answer.status_code == 503
        assert answer.json()["error"]["retryable"]
        assert int(answer.headers["Retry-After"]) > 0


def test_missing_storage_is_named_and_uploads_are_503(settings: Settings) -> None:
    storage = {"s3_endpoint": f"http://127.0.0.1:{free_port()}", "s3_access_key": "key", "s3_secret_key": "secret-key"}
    with serving(replace(settings, **storage)) as service:
        assert service.client.get("/ready").json()["error"]["details"]["storage"] != "ok"
        person = service.person()
        body = {"filename": "a.mp4", "size_bytes": 10, "content_type": "video/mp4"}
        answer = person.post("/api/recordings", body)
        assert answer.status_code == 503
        assert answer.json()["error"]["details"]["part"] == "storage"
        assert service.rows("SELECT 1 FROM recordings") == []


def test_database_that_comes_back_is_used_again(service: Service, running_service: tuple[Service, str]) -> None:
    person = service.person()
    with psycopg.connect(running_service[1], autocommit=True) as owner:
        owner.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert person.get("/api/me").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "not_found"),
        ("GET", "/api/recordings/not-an-id", 404, "not_found"),
        ("GET", "/api/recordings/%ff", 404, "not_found"),
        ("PUT", "/api/recordings", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
    ],
)
def test_addresses_that_do_not_exist_are_refused_in_the_envelope(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    answer = service.client.request(method, path)
    assert answer.status_code == status
    assert (answer.json()["success"], answer.json()["error"]["code"]) == (False, code)
    if status == 405:
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", JSON, 400, "malformed_json"),
        (b"", JSON, 400, "malformed_json"),
        (b"\xff\xfe", JSON, 400, "malformed_json"),
        (b'{"email": "\xff"}', JSON, 400, "malformed_json"),
        (b'{"email": "a", "email": "b"', JSON, 400, "malformed_json"),
        (b"[" * 100_000, JSON, 422, "invalid_field"),
        (b'{"email": ' + b"[" * 100_000, JSON, 422, "invalid_field"),
        (b"null", JSON, 422, "invalid_field"),
        (b'"text"', JSON, 422, "invalid_field"),
        (b"email=a&password=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
        (b"<a/>", {"Content-Type": "text/xml"}, 415, "unsupported_media_type"),
        (b"{}" + b" " * 128 * 1024, JSON, 413, "payload_too_large"),
    ],
)
def test_bodies_that_are_none_are_refused_in_the_envelope(
    service: Service, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = service.client.post("/api/auth/login", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]


def test_fault_of_ours_is_500_with_an_id_and_without_its_insides(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the secret inside")

    person = service.person()
    monkeypatch.setattr(clip_service, "list_clips", fail)
    with capture_logs() as logs:
        answer = person.get("/api/clips")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (500, "internal_error")
    assert error["details"]["id"] == answer.headers["X-Request-Id"]
    assert "secret" not in answer.text
    (entry,) = [entry for entry in logs if entry["event"] == "unexpected_error"]
    assert isinstance(entry["exc_info"], RuntimeError)


def test_every_answer_carries_an_id_and_guards(service: Service) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = service.client.get("/nothing", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"})
    assert answer.headers["X-Request-Id"] == trace_id
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert service.client.get("/api/me").headers["Cache-Control"] == "no-store"
    other = service.client.get("/nothing", headers={"traceparent": "nonsense\n"}).headers["X-Request-Id"]
    assert len(other) == 32


def test_request_is_logged_with_its_route_and_without_its_secrets(service: Service) -> None:
    person = service.person()
    with capture_logs() as logs:
        person.get("/api/recordings?q=private%20words")
    (entry,) = [entry for entry in logs if entry["event"] == "request"]
    assert (entry["route"], entry["status"], entry["method"]) == ("/api/recordings", 200, "GET")
    assert "private" not in str(entry)
    assert person.token not in str(entry)


def test_metrics_count_requests_by_route(service: Service) -> None:
    person = service.person()
    person.get("/api/recordings/0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e")
    text = service.metrics()
    assert 'snuggles_http_requests_total{method="GET",route="/api/recordings/{recording_id}",status="404"}' in text
    assert "0b6f6c1e" not in text


def test_origins_that_are_named_may_ask_and_others_may_not(settings: Settings) -> None:
    with broken(settings, cors_origins=("https://app.example.com",)) as client:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        good = client.options("/api/clips", headers={"Origin": "https://app.example.com", **asked})
        assert good.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert good.headers["Access-Control-Allow-Credentials"] == "true"
        bad = client.options("/api/clips", headers={"Origin": "https://evil.example.com", **asked})
        assert "Access-Control-Allow-Origin" not in bad.headers


class Page(HTMLParser):
    """What a page would make a browser fetch or run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "a":
            self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


def test_documentation_page_needs_no_other_host_and_no_inline_script(service: Service) -> None:
    answer = service.client.get("/api/docs")
    assert answer.status_code == 200
    page = Page(answer.text)
    assert page.addresses
    assert all(address.startswith("/") and not address.startswith("//") for address in page.addresses)
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert "/<wbr>api/<wbr>clips/<wbr>auto-generate" in answer.text
    assert "curl -X POST &quot;$SNUGGLES/api/clips&quot;" in answer.text
    assert "<code>quota_exceeded</code>" in answer.text
    assert answer.headers["Content-Security-Policy"] == docs.POLICY
    for address in page.addresses:
        if address.startswith("/api/docs/page."):
            assert service.client.get(address).status_code == 200


def test_operations_have_short_names_of_their_own(service: Service) -> None:
    document = service.client.get("/api/docs/openapi.json").json()
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(?:[A-Z][a-z]+)*", name) for name in names), names
    assert {"createClip", "listRecordings", "cancelClip", "login", "createRoom", "createPoll"} <= set(names)


def test_request_bodies_say_that_they_take_no_other_fields(service: Service) -> None:
    document = service.client.get("/api/docs/openapi.json").json()
    schemas = document["components"]["schemas"]
    bodies = [
        content["schema"]["$ref"].rpartition("/")[2]
        for item in document["paths"].values()
        for operation in item.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in content["schema"]
    ]
    assert len(bodies) > 20
    assert not [name for name in bodies if schemas[name].get("additionalProperties") is not False]


def test_handlers_that_answer_once_say_so(service: Service) -> None:
    document = service.client.get("/api/docs/openapi.json").json()
    keyed = {
        path
        for path, item in document["paths"].items()
        if any(each["name"] == "Idempotency-Key" for each in item.get("post", {}).get("parameters", []))
    }
    answering = {
        route.path_format
        for route in service.app.routes
        if isinstance(route, HTTPRoute)
        for handler, _ in route.route_handler_map.values()
        if "answer_once" in getattr(handler.fn, "func", handler.fn).__code__.co_names
    }
    assert answering
    assert answering <= keyed


def test_literals_and_redirects_suit_generated_clients(service: Service) -> None:
    document = service.client.get("/api/docs/openapi.json").json()
    assert document["components"]["schemas"]["Failure"]["properties"]["success"]["const"] is False
    assert "content" not in document["paths"]["/api/clips/{clip_id}/download"]["get"]["responses"]["302"]
    assert document["components"]["securitySchemes"].keys() == {"bearer", "session"}


def test_openapi_describes_every_operation_with_examples_that_fit(service: Service) -> None:
    document = service.client.get("/api/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    schemas = document["components"]["schemas"]
    assert all(schema.get("examples") for schema in schemas.values() if "properties" in schema)
    assert not [name for name in schemas if "." in name]
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len(operations) > 40
    for operation in operations:
        assert operation["description"]
        assert "default" in operation["responses"]
        assert "400" not in operation["responses"]
    open_to_all = {path for path, item in document["paths"].items() for op in item.values() if op.get("security") == []}
    assert open_to_all == {
        "/api/subscription/tiers",
        "/api/subscription/webhook",
        "/api/auth/signup",
        "/api/auth/login",
        "/api/auth/session",
        "/api/auth/passkey/options",
        "/api/auth/passkey/login",
        "/api/auth/verify",
        "/api/auth/forgot",
        "/api/auth/reset",
        "/api/rooms/code/{code}/guest",
        "/health",
        "/ready",
        "/oembed",
    }


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b'{"size_bytes": NaN}', 400, "The body is not JSON: invalid character (byte 15)."),
        (b"{", 400, "The body is not JSON: input data was truncated."),
        (b'{"filename": "\\ud83d', 400, "The body is not JSON: input data was truncated."),
        (b'{"filename": "\\ud83d"}', 400, "The body is not JSON: unexpected end of escaped utf-16 surrogate pair."),
        (b'{"filename": "\xff"}', 400, "The body is not JSON: its text is not UTF-8."),
        (b'{"filename": "a", "content_type": "video/mp4", "size_bytes": 1e400}', 422, "size_bytes must be"),
    ],
)
def test_body_that_cannot_be_read_is_refused_in_words(service: Service, body: bytes, status: int, message: str) -> None:
    answer = service.person().request("POST", "/api/recordings", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(message)
    assert "api/docs" not in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/docs/nothing", "/api/docs/openapi.yaml", "/api/docs/a/b", "/api/docs/x.json"])
def test_unknown_address_below_the_documentation_is_refused_in_the_envelope(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("module", [account, clips, recordings])
def test_examples_of_requests_are_accepted_as_they_stand(service: Service, module: Any) -> None:
    schemas = service.client.get("/api/docs/openapi.json").json()["components"]["schemas"]
    kinds = [kind for name, kind in vars(module).items() if name.endswith("Request") and name in schemas]
    assert kinds
    for kind in kinds:
        msgspec.convert(schemas[kind.__name__]["examples"][0], kind)


def test_example_of_weights_names_signals_that_there_are(service: Service) -> None:
    schemas = service.client.get("/api/docs/openapi.json").json()["components"]["schemas"]
    assert set(schemas["ScoreRequest"]["examples"][0]["weights"]) <= set(SIGNALS)


def test_example_of_a_clip_is_one_that_could_be_made(service: Service) -> None:
    schemas = service.client.get("/api/docs/openapi.json").json()["components"]["schemas"]
    person = service.person()
    body = schemas["ClipRequest"]["examples"][0] | {"recording_id": service.ready_recording(person)}
    del body["highlight_id"]
    assert person.post("/api/clips", body).status_code == 202


def test_addresses_of_storage_are_the_services_own(service: Service) -> None:
    assert service.deps.settings.public_url == LOCAL


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_parameter_that_an_operation_does_not_take_is_refused(service: Service, method: str) -> None:
    person = service.person()
    path = {"GET": "/api/clips", "POST": "/api/clips", "DELETE": "/api/me/keys/" + str(uuid4())}[method]
    error = refused(person.request(method, f"{path}?stauts=failed", json={}), 422, "stauts")
    assert "There is no parameter stauts here" in error["message"]
    assert service.client.get("/?utm_source=mail").status_code != 422


def test_head_answers_like_get_without_a_body(service: Service) -> None:
    person = service.person()
    for path in ("/health", "/api/docs", "/api/clips", "/c/no-such-slug-at-all"):
        got, head = person.get(path), person.request("HEAD", path)
        assert head.status_code == got.status_code
        assert head.headers["Content-Type"] == got.headers["Content-Type"]
        assert head.content == b""
