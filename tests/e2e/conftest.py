"""What end-to-end tests share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api.command import Snuggles, run_snuggles
from support.api.product import Product, running_product
from support.storage.swift import swift_server

from cli.demo.sample import write_sample
from cli.embedded import postgres, valkey

__all__ = ["swift_server"]


@pytest.fixture
def snuggles(tmp_path: Path) -> Snuggles:
    """Run the command in the test's own folder; returns what `subprocess.run` does."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        return run_snuggles(*arguments, folder=tmp_path, **options)

    return run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's recording of three minutes."""
    path = tmp_path_factory.mktemp("sample") / "sample.mp4"
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    """A fleet for the tests of one module, which keep to one process (`xdist_group`)."""
    with running_product(postgres_server, valkey_server, tmp_path_factory.mktemp("product")) as running:
        yield running
