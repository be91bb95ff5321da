"""PostgreSQL 15, the oldest release that we promise to run on: Debian's, which `make test` installs where it may."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from support.servers.launch import start, stop

from cli.embedded import postgres
from cli.embedded.port import free_port
from db.connection import SERVICE, Database, user_identity
from db.migrate import FOLDER, baseline, migrate, rollback

APPLICATION_PASSWORD = "application"
BINARIES = Path("/usr/lib/postgresql/15/bin")

pytestmark = pytest.mark.skipif(
    not BINARIES.exists() and os.environ.get("CI") != "true",
    reason="PostgreSQL 15 is not installed; `apt-get install postgresql-15` adds it",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.PostgresServer]:
    folder = tmp_path_factory.mktemp("postgres15")
    server = postgres.PostgresServer(
        folder / "data", port=free_port(), password="owner", durable=False, binaries=BINARIES
    )
    server.prepare()
    with server.program() as program:
        process = start(program, lambda: postgres.is_ready(server.url("postgres")), folder / "log")
    yield server
    stop(process, 2)


def test_migrations_run_down_and_up_again(server: postgres.PostgresServer) -> None:
    url = server.url("postgres")

    applied = migrate(url)

    assert rollback(url, len(applied)) == applied[::-1]
    assert migrate(url) == applied


def test_baseline_records_what_psql_applied(server: postgres.PostgresServer) -> None:
    url = server.url("by_hand")
    files = sorted(path for path in FOLDER.glob("*.sql") if ".rollback." not in path.name)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE by_hand")
    for file in files:
        with psycopg.connect(url) as connection:
            connection.execute(file.read_bytes())

    assert baseline(url) == [file.stem for file in files]


def test_identity_of_a_transaction_decides_what_is_seen(server: postgres.PostgresServer) -> None:
    migrate(server.url("postgres"))
    postgres.let_application_in(server.url("postgres"), password=APPLICATION_PASSWORD)
    url = postgres.database_url(postgres.APPLICATION, APPLICATION_PASSWORD, server.port, "postgres")
    database = Database(url)
    database.open(wait_s=20)
    mine, other = uuid4(), uuid4()

    with database.transaction(SERVICE) as tx:
        for user in (mine, other):
            tx.execute("INSERT INTO users (id, email) VALUES (%s, %s)", (user, f"{user}@example.org"))
    with database.transaction(user_identity(mine)) as tx:
        seen = tx.execute("SELECT id FROM users").fetchall()
    database.close()

    assert seen == [{"id": mine}]
