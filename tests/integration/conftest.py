"""Servers that only these tests use."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import msgspec
import psycopg
import pytest
from msgspec.structs import replace
from support.api.server import Service, listening, serving
from support.api.webhook_worker import owner, told, worker
from support.servers.databases import clone_of_template, settings_for
from support.servers.talking_server import serve
from support.sockets.house import GRACE, House
from support.sockets.node import Driver, driver
from support.sockets.sticky import sticky_proxy
from support.storage.local_store import http, new_store, store
from support.storage.storage_contract import new_contract_store
from support.storage.swift import swift_server
from support.stripe.shop import Shop
from support.stripe.till import Till
from support.stripe.world import stripe_server

from cli.embedded import postgres, valkey
from cli.embedded.port import free_port
from db.connection import Database
from services.outbound.fetch import SafeFetcher
from storage.factory import Buckets
from workers.children.launcher import Launcher
from workers.completer import Completer
from workers.lease_renewer import Identity, LeaseRenewer
from workers.queue.slots import SlotLimit
from workers.runtime import Runtime
from workers.scratch import Scratch

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


@pytest.fixture(scope="session")
def node() -> Iterator[Driver]:
    """Clients of the real socket.io-client."""
    with driver() as started:
        yield started


@pytest.fixture(scope="session", params=["one process", "two processes"])
def house(
    request: pytest.FixtureRequest,
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    node: Driver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """A service with Socket.IO for all tests of rooms; each makes people and rooms of its own.

    Alone, and once more as two processes behind a balancer, where neighbours in a room are served by different ones.
    """
    with clone_of_template(postgres_server) as owner_url:
        settings = settings_for(
            postgres_server, owner_url, redis_url=valkey_server.url(), folder=tmp_path_factory.mktemp("house")
        )
        database = Database(settings.database_url)
        database.open(wait_s=20)
        with ExitStack() as stack:
            ports = [settings.port] if request.param == "one process" else [free_port(), free_port()]
            # Storage is a folder, which either process serves.
            settings = msgspec.structs.replace(settings, public_url=f"http://127.0.0.1:{ports[0]}")
            for port in ports:
                stack.enter_context(listening(msgspec.structs.replace(settings, port=port), GRACE))
            url = f"http://127.0.0.1:{settings.port}"
            if len(ports) > 1:
                url = stack.enter_context(sticky_proxy(ports))
            yield House(url=url, settings=settings, database=database, driver=node)
        database.close()


@pytest.fixture(scope="module")
def template_connection(postgres_server: postgres.PostgresServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """The owner of a migrated database that nothing is written to."""
    with clone_of_template(postgres_server) as url, psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def runtime(database: Database, buckets: Buckets, tmp_path: Path) -> Iterator[Runtime]:
    """What the actors of a worker process share, without the process."""
    worker_id = uuid4()
    identity = Identity(worker_id=worker_id, version="1", queues=["render"], slots=1)
    lease_renewer = LeaseRenewer(database, identity)
    scratch = Scratch(tmp_path / "corner", "worker")
    yield Runtime(
        worker_id=worker_id,
        database=database,
        buckets=buckets,
        fetcher=SafeFetcher(),
        scratch=scratch,
        lease_renewer=lease_renewer,
        completer=Completer(database, worker_id),
        slots=SlotLimit(1),
        launcher=Launcher(),
        threads=1,
        recording_max_bytes=10**9,
    )
    scratch.close()


@pytest.fixture(scope="session")
def running_till(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Till]:
    shop = Shop()
    with clone_of_template(postgres_server) as owner_url, stripe_server(shop.world):
        settings = settings_for(
            postgres_server, owner_url, redis_url=valkey_server.url(), folder=tmp_path_factory.mktemp("till")
        )
        with serving(replace(settings, stripe=shop.settings())) as service:
            yield Till(service, shop)


@pytest.fixture
def till(running_till: Till) -> Till:
    """The service and the shop, with nothing in them."""
    with psycopg.connect(running_till.service.owner_url, autocommit=True) as owner:
        owner.execute("TRUNCATE users, jobs, audit_log, stripe_events, trial_cards CASCADE")
    running_till.service.deps.redis.flushall()
    running_till.shop.reset()
    return running_till
