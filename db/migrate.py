"""Applies the plain-SQL migrations, one process at a time, and refuses files that were edited after they ran."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import TupleRow
from yoyo import get_backend, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.migrations import Migration, MigrationList

from db.baseline import SchemaDiffersError, count_applied

FOLDER = Path(__file__).parent / "migrations"
# An arbitrary unique number: the first eight bytes of SHA-256("big-snuggles/migrate") as bigint.
LOCK_ID = int.from_bytes(hashlib.sha256(b"big-snuggles/migrate").digest()[:8], "big", signed=True)

CREATE_CHECKSUMS = """
CREATE TABLE IF NOT EXISTS schema_checksums (
    migration text PRIMARY KEY,
    sha256 text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
)
"""
LIST_CHECKSUMS = "SELECT migration, sha256 FROM schema_checksums"
RECORD_CHECKSUM = "INSERT INTO schema_checksums (migration, sha256) VALUES (%s, %s)"
FORGET_CHECKSUM = "DELETE FROM schema_checksums WHERE migration = %s"
# Errors of a migration that was applied before without being recorded.
ALREADY_APPLIED = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateColumn,
    psycopg.errors.DuplicateFunction,
    psycopg.errors.DuplicateObject,
)


class MigrationError(Exception):
    """The schema cannot be migrated; the message names the migration and says why."""


def migrate(url: str, *, folder: Path = FOLDER) -> list[str]:
    """Apply the missing migrations, oldest first, and return their names.

    Waits for another process that is migrating the same database. Each migration is one transaction, so a failure
    leaves the database at the last one that worked. MigrationError when a file was edited after it ran, or fails.
    """
    with _session(url, folder) as (connection, backend, migrations):
        _refuse_edited(connection, migrations)
        done: list[str] = []
        for migration in backend.to_apply(migrations):
            with _explained(migration):
                backend.apply_one(migration)
            connection.execute(RECORD_CHECKSUM, (migration.id, _checksum(migration)))
            done.append(migration.id)
        return done


def baseline(url: str, *, folder: Path = FOLDER) -> list[str]:
    """Record the migrations that were applied by other means, such as `psql -f`; return their names.

    Changes nothing but the records. MigrationError if the schema differs from that of the migrations.
    """
    with _session(url, folder) as (connection, backend, migrations):
        _refuse_edited(connection, migrations)
        try:
            count = count_applied(connection, [Path(migration.path) for migration in migrations])
        except SchemaDiffersError as error:
            raise MigrationError(
                f"The schema differs from that of the migrations: {error}. Correct it by hand, or use an empty database"
            ) from error
        missing = {migration.id for migration in backend.to_apply(migrations)}
        recorded = [migration for migration in migrations[:count] if migration.id in missing]
        for migration in recorded:
            with backend.transaction():
                backend.mark_one(migration)
            connection.execute(RECORD_CHECKSUM, (migration.id, _checksum(migration)))
        return [migration.id for migration in recorded]


def rollback(url: str, steps: int, *, folder: Path = FOLDER) -> list[str]:
    """Undo the last `steps` migrations, newest first, and return their names; MigrationError when one fails."""
    with _session(url, folder) as (connection, backend, migrations):
        undone = []
        for migration in list(backend.to_rollback(migrations))[:steps]:
            with _explained(migration):
                backend.rollback_one(migration)
            connection.execute(FORGET_CHECKSUM, (migration.id,))
            undone.append(migration.id)
        return undone


def pending(url: str, *, folder: Path = FOLDER) -> list[str]:
    """Return the names of the migrations that `migrate` would apply; MigrationError when a file was edited."""
    with _session(url, folder) as (connection, backend, migrations):
        _refuse_edited(connection, migrations)
        return [migration.id for migration in backend.to_apply(migrations)]


@contextmanager
def _session(url: str, folder: Path) -> Iterator[tuple[psycopg.Connection[TupleRow], DatabaseBackend, MigrationList]]:
    """Hold the lock for as long as the block runs.

    PostgreSQL's lock ends with the process, whereas yoyo's lock table would remain.
    """
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise MigrationError(
            "The database does not answer; check DATABASE_URL and that PostgreSQL is running"
        ) from error
    with connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOCK_ID,))
        connection.execute(CREATE_CHECKSUMS)
        backend = get_backend(_yoyo_url(url))
        try:
            yield connection, backend, read_migrations(str(folder))
        finally:
            backend.connection.close()


def _yoyo_url(url: str) -> str:
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg"))


def _checksum(migration: Migration) -> str:
    return hashlib.sha256(Path(migration.path).read_bytes()).hexdigest()


def _refuse_edited(connection: psycopg.Connection[TupleRow], migrations: MigrationList) -> None:
    recorded: dict[str, str] = dict(connection.execute(LIST_CHECKSUMS).fetchall())
    for migration in migrations:
        if recorded.get(migration.id, _checksum(migration)) != _checksum(migration):
            raise MigrationError(
                f"The migration {migration.id} was edited after it was applied here. "
                "Restore the file, and make the change in a new migration."
            )


@contextmanager
def _explained(migration: Migration) -> Iterator[None]:
    try:
        yield
    except ALREADY_APPLIED as error:
        raise MigrationError(
            f"The migration {migration.id} failed and was undone, because something that it creates exists already: "
            f"{_first_line(error)}. If it was applied with `psql -f`, run `snuggles migrate --baseline` first"
        ) from error
    except psycopg.Error as error:
        raise MigrationError(f"The migration {migration.id} failed and was undone: {error}") from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
