"""Apply the plain-SQL migrations, one process at a time, and notice files that were edited after they ran."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.rows import TupleRow
from yoyo import get_backend, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.migrations import Migration, MigrationList

from db.adoption import AdoptionError, made_already

FOLDER = Path(__file__).parent / "migrations"
# Any fixed number will do, as long as it is ours: the first eight bytes of SHA-256("big-snuggles/migrate") as bigint.
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
# What a migration fails with whose file was applied by hand.
ALREADY_THERE = (
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateColumn,
    psycopg.errors.DuplicateFunction,
    psycopg.errors.DuplicateObject,
)


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message names the migration and says why."""


def migrate(url: str, *, folder: Path = FOLDER, on_adopted: Callable[[str], None] = lambda _: None) -> list[str]:
    """Apply what is missing, oldest first, and return the names.

    Waits for another process that is migrating the same database. Each migration is one transaction, so a failure
    leaves the database at the last one that worked. What was applied by hand, as by `psql -f`, is only recorded when
    the schema is as the files make it; `on_adopted` is told the names.

    MigrationError when a file was edited after it ran, or fails, or when its tables are there and are not as it makes
    them.
    """
    with _session(url, folder) as (connection, backend, migrations):
        _refuse_edited(connection, migrations)
        done: list[str] = []
        try:
            _apply_missing(connection, backend, migrations, done)
        except ALREADY_THERE as error:
            for name in _adopt(connection, backend, migrations, error):
                on_adopted(name)
            _apply_missing(connection, backend, migrations, done, is_last_try=True)
        return done


def rollback(url: str, steps: int, *, folder: Path = FOLDER) -> list[str]:
    """Undo the last `steps` migrations, newest first, and return their names.

    MigrationError when one cannot be undone.
    """
    with _session(url, folder) as (connection, backend, migrations):
        undone = []
        for migration in list(backend.to_rollback(migrations))[:steps]:
            with _explained(migration):
                backend.rollback_one(migration)
            connection.execute(FORGET_CHECKSUM, (migration.id,))
            undone.append(migration.id)
        return undone


def pending(url: str, *, folder: Path = FOLDER) -> list[str]:
    """Name the migrations that `migrate` would apply; MigrationError when a file was edited after it ran."""
    with _session(url, folder) as (connection, backend, migrations):
        _refuse_edited(connection, migrations)
        return [migration.id for migration in backend.to_apply(migrations)]


@contextmanager
def _session(url: str, folder: Path) -> Iterator[tuple[psycopg.Connection[TupleRow], DatabaseBackend, MigrationList]]:
    """Hold the lock for as long as the block runs.

    The lock is PostgreSQL's own: it goes when the process dies, where yoyo's lock table would stay behind.
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


def _apply_missing(
    connection: psycopg.Connection[TupleRow],
    backend: DatabaseBackend,
    migrations: MigrationList,
    done: list[str],
    *,
    is_last_try: bool = False,
) -> None:
    """Apply what is missing and add the names to `done`.

    MigrationError, or but for the last try psycopg's own error when something of it is there already.
    """
    for migration in backend.to_apply(migrations):
        with _explained(migration, but=() if is_last_try else ALREADY_THERE):
            backend.apply_one(migration)
        connection.execute(RECORD_CHECKSUM, (migration.id, _checksum(migration)))
        done.append(migration.id)


def _adopt(
    connection: psycopg.Connection[TupleRow], backend: DatabaseBackend, migrations: MigrationList, cause: psycopg.Error
) -> list[str]:
    """Record the migrations that were applied by hand and return their names; MigrationError when none was."""
    missing = [migration.id for migration in backend.to_apply(migrations)]
    try:
        count = made_already(connection, [Path(migration.path) for migration in migrations])
    except AdoptionError as error:
        raise MigrationError(
            f"The database holds tables that `snuggles migrate` has not made ({_first_line(cause)}), and they are not "
            f"what the migrations make: {error}. Mend that by hand, or give an empty database, and run it again"
        ) from cause
    adopted = [migration for migration in migrations[:count] if migration.id in missing]
    if not adopted:
        raise _failure(missing[0], cause) from cause
    for migration in adopted:
        with backend.transaction():
            backend.mark_one(migration)
        connection.execute(RECORD_CHECKSUM, (migration.id, _checksum(migration)))
    return [migration.id for migration in adopted]


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
                "Put the file back as it was, and make the change in a new migration."
            )


@contextmanager
def _explained(migration: Migration, *, but: tuple[type[psycopg.Error], ...] = ()) -> Iterator[None]:
    try:
        yield
    except but:
        raise
    except psycopg.Error as error:
        raise _failure(migration.id, error) from error


def _failure(name: str, error: psycopg.Error) -> MigrationError:
    return MigrationError(f"The migration {name} failed and was undone: {error}")


def _first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]
