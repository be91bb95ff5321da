"""Servers that only these tests use."""

from collections.abc import Iterator

import psycopg
import pytest
from support.api.server import Service, serving
from support.api.webhook_worker import owner, told, worker
from support.servers.databases import clone_of_template, settings_for
from support.servers.local_store import http, new_store, store
from support.servers.storage_contract import new_contract_store
from support.servers.swift import swift_server
from support.servers.talking_server import serve

from cli.embedded import postgres, valkey

__all__ = ["http", "new_contract_store", "new_store", "owner", "serve", "store", "swift_server", "told", "worker"]


@pytest.fixture(scope="session")
def running_service(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Service, str]]:
    """One API for all tests of this process, and the address of its database's owner."""
    with clone_of_template(postgres_server) as owner_url:
        settings = settings_for(
            postgres_server, owner_url, redis_url=valkey_server.url(), folder=tmp_path_factory.mktemp("service")
        )
        with serving(settings) as service:
            yield service, owner_url


@pytest.fixture
def service(running_service: tuple[Service, str]) -> Service:
    """The API in this process, with nothing in it."""
    running, owner_url = running_service
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("TRUNCATE users, jobs, audit_log CASCADE")
    running.deps.redis.flushall()
    running.client.cookies.clear()
    return running


@pytest.fixture(scope="module")
def template_connection(postgres_server: postgres.PostgresServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The owner of a migrated database that nothing is written to."""
    with clone_of_template(postgres_server) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection
