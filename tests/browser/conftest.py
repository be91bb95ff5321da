"""One installation and one Chromium for all journeys of a module, and a folder for the pictures they take."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright
from support.api.browser import launch
from support.api.product import Product, running_product
from support.api.server import Site, listening
from support.servers.databases import clone_of_template, settings_for

from cli.embedded import postgres, valkey

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    """An API, a dispatcher and a worker, as processes."""
    with running_product(
        postgres_server, valkey_server, tmp_path_factory.mktemp("product"), has_sockets=True
    ) as running:
        yield running


@pytest.fixture(scope="module")
def api(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    with clone_of_template(postgres_server) as owner_url:
        folder = tmp_path_factory.mktemp("api")
        settings = settings_for(postgres_server, owner_url, redis_url=valkey_server.url(), folder=folder)
        with listening(settings) as (url, _):
            yield Site(url, owner_url)


@pytest.fixture(scope="module")
def site(api: Site) -> str:
    """The address of the API."""
    return api.url


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots are kept, to be looked at (PICTURES, or `.cache/pictures`)."""
    folder = Path(os.environ.get("PICTURES") or ROOT / ".cache" / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
