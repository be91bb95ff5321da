"""Real servers for tests: one PostgreSQL and one Valkey for each test process, a fresh database for each test."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
import redis
from psycopg import sql
from support.servers.databases import APPLICATION_PASSWORD, TEMPLATE, application_url, clone_of_template, settings_for
from support.servers.launch import start, stop
from support.servers.requirement import unavailable

from cli.embedded import postgres, valkey
from cli.embedded.errors import EmbeddedError
from cli.embedded.port import free_port
from db.connection import STRICT, Database, forbid_in_transaction
from db.migrate import migrate
from services.process.settings import Settings
from storage.factory import Buckets, guarded, open_local_buckets

# Storage and network refuse calls inside a transaction, here and in every process that tests start.
os.environ[STRICT] = "1"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets what it starts in the background ignore Ctrl-C, and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: how long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("snuggles", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("snuggles")


SLOW_LEVELS = ("browser", "chaos", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the files of all levels, so that those that wait run beside those that compute; slow levels begin early."""
    levels: dict[str, list[Path]] = {}
    for path in dict.fromkeys(item.path for item in items):
        levels.setdefault(path.parent.name, []).append(path)
    turns = {
        path: (number / len(paths) * (0.7 if level in SLOW_LEVELS else 1), path)
        for level, paths in levels.items()
        for number, path in enumerate(paths)
    }
    items.sort(key=lambda item: turns[item.path])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.PostgresServer]:
    """PostgreSQL with a migrated template database, from which each test's database is cloned."""
    folder = tmp_path_factory.mktemp("postgres")
    process = None
    try:
        server = postgres.PostgresServer(
            folder / "data", port=free_port(), password=secrets.token_urlsafe(), durable=False
        )
        server.prepare()
        with server.program() as program:
            process = start(program, lambda: postgres.is_ready(server.url("postgres")), folder / "log")
    except EmbeddedError as error:
        unavailable(str(error))
    else:
        postgres.ensure_database(server.url("postgres"), TEMPLATE)
        migrate(server.url(TEMPLATE))
        postgres.let_application_in(server.url(TEMPLATE), password=APPLICATION_PASSWORD)
        yield server
    finally:
        if process:
            stop(process, 2)


@pytest.fixture
def owner_url(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """The tables' owner (a superuser) in this test's own, migrated database."""
    with clone_of_template(postgres_server) as url:
        yield url


@pytest.fixture
def database_url(postgres_server: postgres.PostgresServer, owner_url: str) -> str:
    """The application's login in this test's own database."""
    return application_url(postgres_server, owner_url)


@pytest.fixture
def empty_database_url(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """The owner in a database without a schema, for tests of migrations."""
    name = f"empty_{uuid4().hex}"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield postgres_server.url(name)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    pool = Database(database_url)
    pool.open(wait_s=20)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[valkey.ValkeyServer]:
    folder = tmp_path_factory.mktemp("valkey")
    process = None
    try:
        server = valkey.ValkeyServer(folder / "data", port=free_port(), password=secrets.token_urlsafe(), durable=False)
        server.prepare()
        process = start(server.program(), lambda: valkey.is_ready(server.url()), folder / "log")
    except EmbeddedError as error:
        unavailable(str(error))
    else:
        yield server
    finally:
        if process:
            stop(process)


@pytest.fixture
def redis_url(valkey_server: valkey.ValkeyServer) -> Iterator[str]:
    """An empty Valkey."""
    url = valkey_server.url()
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def settings(postgres_server: postgres.PostgresServer, owner_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of a development server on this test's database, Valkey and storage folder."""
    return settings_for(postgres_server, owner_url, redis_url=redis_url, folder=tmp_path)


@pytest.fixture
def buckets(settings: Settings) -> Buckets:
    """Storage in this test's folder."""
    opened = open_local_buckets(settings.storage_dir, base_url=settings.public_url, secret=settings.jwt_secret.encode())
    return guarded(opened, forbid_in_transaction)
