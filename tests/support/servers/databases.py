"""Databases cloned from a migrated template, and settings that lead to them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from cli.embedded import postgres
from cli.embedded.port import free_port
from services.process.settings import Settings, load

TEMPLATE = "template_snuggles"
APPLICATION_PASSWORD = "application"


@contextmanager
def clone_of_template(server: postgres.PostgresServer, *, prefix: str = "test") -> Iterator[str]:
    """Make a migrated database for as long as the block; yields the address of its owner, a superuser."""
    name = f"{prefix}_{uuid4().hex}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        identifiers = sql.Identifier(name), sql.Identifier(TEMPLATE)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*identifiers))
        yield server.url(name)
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifiers[0]))


def application_url(server: postgres.PostgresServer, owner_url: str) -> str:
    """The application's login in a database whose owner's address is known."""
    name = owner_url.rsplit("/", 1)[1]
    return postgres.database_url(postgres.APPLICATION, APPLICATION_PASSWORD, server.port, name)


def settings_for(server: postgres.PostgresServer, owner_url: str, *, redis_url: str, folder: Path) -> Settings:
    """Settings of a development server on this database, this Valkey and a folder."""
    return load(
        {
            "DATABASE_URL": application_url(server, owner_url),
            "MIGRATION_DATABASE_URL": owner_url,
            "REDIS_URL": redis_url,
            "STORAGE_DIR": str(folder / "storage"),
            "SCRATCH_DIR": str(folder / "scratch"),
            "JWT_SECRET": "test-secret-that-is-long-enough-for-hs256",
            "ADMIN_TOKEN": "test-admin-token-that-is-long-enough-too",
            "PORT": str(free_port()),
            "LOG_LEVEL": "warning",
        }
    )
