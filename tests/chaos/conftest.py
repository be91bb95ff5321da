"""An installation of its own for each test: durable servers, storage, and the processes of a fleet."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.durable import PASSWORD, Servers
from support.servers.fleet import Fleet

from cli.embedded import postgres
from cli.embedded.port import free_port
from db.connection import Database
from db.migrate import migrate
from services.process.settings import Settings, load
from storage.factory import Buckets, open_local_buckets


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    running = Servers(tmp_path)
    try:
        running.start_postgres()
        running.start_valkey()
        postgres.ensure_database(running.postgres.url("postgres"))
        migrate(running.postgres.url())
        postgres.let_application_in(running.postgres.url(), password=PASSWORD)
        yield running
    finally:
        running.stop()


@pytest.fixture
def settings(servers: Servers, tmp_path: Path) -> Settings:
    url = postgres.database_url(postgres.APPLICATION, PASSWORD, servers.postgres.port, postgres.DATABASE)
    return load(
        {
            "DATABASE_URL": url,
            "REDIS_URL": servers.valkey.url(),
            "STORAGE_DIR": str(tmp_path / "storage"),
            "SCRATCH_DIR": str(tmp_path / "scratch"),
            "JWT_SECRET": secrets.token_hex(32),
            "PORT": str(free_port()),
        }
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    pool = Database(settings.database_url)
    pool.open(wait_s=20)
    yield pool
    pool.close()


@pytest.fixture
def buckets(settings: Settings) -> Buckets:
    assert settings.storage_dir is not None
    return open_local_buckets(settings.storage_dir, base_url=settings.public_url, secret=settings.jwt_secret.encode())


@pytest.fixture
def fleet(settings: Settings, tmp_path: Path) -> Iterator[Fleet]:
    with Fleet(settings, tmp_path) as started:
        yield started
