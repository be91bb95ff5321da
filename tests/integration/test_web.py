"""The built pages as the API serves them, and what it says where nobody has built them."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from api.http.errors import exception_handlers
from api.metrics import RequestMetrics
from api.routes.pages.web import web_router


@pytest.fixture
def built(tmp_path: Path) -> Path:
    assets = tmp_path / "site" / "assets"
    assets.mkdir(parents=True)
    for name in ("app", "ops", "front.en", "front.de"):
        page = f'<!doctype html><script type="module" src="/assets/{name}-1a2b.js">'
        (tmp_path / "site" / f"{name}.html").write_text(page)
    (tmp_path / "site" / "manifest.webmanifest").write_text("{}")
    (assets / "ops-1a2b.js").write_text("export {};")
    (assets / "ops-1a2b.js.gz").write_bytes(gzip.compress(b"export {};"))
    (assets / "ops-1a2b.css").write_text("body{}")
    (assets / "notes.txt").write_text("nothing for the world")
    (tmp_path / "site" / "secret.js").write_text("outside")
    return tmp_path / "site"


def serving(built: Path, *sources: str) -> TestClient[Litestar]:
    """The pages alone; failures are counted, as in the whole application."""
    deps = SimpleNamespace(metrics=RequestMetrics(CollectorRegistry()))
    return TestClient(
        Litestar(
            [web_router(built, sources=sources)],
            exception_handlers=exception_handlers(),
            openapi_config=None,
            state=State({"deps": deps}),
        )
    )


@pytest.fixture
def client(built: Path) -> Iterator[TestClient[Litestar]]:
    with serving(built) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/ops", "ops"),
        ("/ops/jobs", "ops"),
        ("/ops/jobs/0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e?x=1", "ops"),
        ("/", "front.en"),
        ("/?utm_source=x", "front.en"),
        ("/signup", "app"),
        ("/login?next=%2Fclips", "app"),
        ("/verify", "app"),
        ("/forgot", "app"),
        ("/recordings", "app"),
        ("/recordings/0b6f6c1e-6d0a-4a53-9a53-1f9f6b1d2c3e?t=3", "app"),
        ("/clips?status=failed", "app"),
        ("/spaces", "app"),
        ("/spaces/K7MQ4X", "app"),
        ("/pricing", "app"),
        ("/subscription", "app"),
        ("/subscription/success?session_id=cs_1", "app"),
        ("/analytics", "app"),
        ("/settings", "app"),
        ("/settings/keys", "app"),
    ],
)
def test_every_address_of_a_page_answers_its_document(client: TestClient[Litestar], path: str, name: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"
    assert f"/assets/{name}-1a2b.js" in answer.text


def test_pages_may_record_and_others_may_not(client: TestClient[Litestar]) -> None:
    permissions = client.get("/spaces").headers["permissions-policy"]
    assert {"camera=(self)", "microphone=(self)", "display-capture=(self)"} <= set(permissions.split(", "))


def test_policy_admits_storage_and_nothing_else(built: Path) -> None:
    with serving(built, "https://s3.example.com") as client:
        policy = dict(
            part.split(" ", 1) for part in client.get("/").headers["content-security-policy"].split("; ") if " " in part
        )
    assert policy["connect-src"] == "'self' https://s3.example.com"
    assert policy["media-src"] == "'self' blob: https://s3.example.com"
    assert policy["script-src"] == "'self'"


def test_file_under_a_fixed_name_is_served(client: TestClient[Litestar]) -> None:
    answer = client.get("/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    assert client.get("/icon.svg").status_code == 404


def test_page_may_run_files_of_ours_and_nothing_else(client: TestClient[Litestar]) -> None:
    policy = client.get("/ops").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_assets_are_kept_for_good_under_their_type(client: TestClient[Litestar]) -> None:
    for name, kind in (("ops-1a2b.js", "text/javascript"), ("ops-1a2b.css", "text/css")):
        answer = client.get(f"/assets/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip, deflate, br", "gzip"),
        ("br;q=1.0, gzip;q=0.8", "gzip"),
        ("identity", None),
        ("br, gzip;q=0", None),
        ("gzip;q=0.0, br", None),
        ("", None),
    ],
)
def test_asset_is_compressed_for_whoever_takes_that(
    client: TestClient[Litestar], accepted: str, encoding: str | None
) -> None:
    answer = client.get("/assets/ops-1a2b.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.text == "export {};"
    assert client.get("/assets/ops-1a2b.css", headers={"Accept-Encoding": accepted}).text == "body{}"


@pytest.mark.parametrize(
    "name",
    [
        "gone-1a2b.js",
        "notes.txt",
        "ops-1a2b.js.gz",
        "..%2Fsecret.js",
        "%2e%2e%2fsecret.js",
        ".hidden.js",
        "a/b.js",
        "%00.js",
    ],
)
def test_whatever_is_no_asset_is_not_found(client: TestClient[Litestar], name: str) -> None:
    answer = client.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_page_that_was_not_built_says_how_to_build_it(tmp_path: Path) -> None:
    with serving(tmp_path / "none") as client:
        answer = client.get("/ops")
        assert answer.status_code == 503
        assert "make web" in answer.text
        assert client.get("/assets/ops.js").status_code == 404
