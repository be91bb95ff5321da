"""Opens the database of a stack for other commands, whether the stack runs or not."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from cli.embedded.port import free_port
from cli.embedded.postgres import PostgresServer
from cli.errors import BrokenEnvironmentError
from cli.stack.folder import DataFolder, default_folder
from cli.stack.log import Terminal
from cli.stack.parts import application_url, database_part
from cli.stack.supervisor import Supervisor
from cli.stack.up import SERVERS_READY_S, prepare_database
from db.connection import Database
from services.process.settings import load

CONNECT_S = 10


class Access(Struct, frozen=True):
    """An open database, and the secret that signs tokens for the service on it."""

    database: Database
    jwt_secret: str


@contextmanager
def open_access(data: Path | None, environment: Mapping[str, str]) -> Iterator[Access]:
    """Open the database of DATABASE_URL or, with `data` or without DATABASE_URL, that of a data folder.

    If the stack of the folder does not run, its PostgreSQL runs during the block.
    BrokenEnvironmentError when neither exists; SettingsError, DatabaseUnavailableError, MigrationError.
    """
    if data is None and environment.get("DATABASE_URL"):
        settings = load(environment)
        with _opened(settings.database_url) as database:
            yield Access(database, settings.jwt_secret)
        return
    folder = DataFolder(data or default_folder())
    if not folder.path.is_dir():
        raise BrokenEnvironmentError(
            f"There is no stack in {folder.path}; start one with `snuggles up`, name its folder with --data, "
            "or set DATABASE_URL"
        )
    if folder.is_locked():
        running = folder.running().environment
        with _opened(running.get("DATABASE_URL", "")) as database:
            yield Access(database, running.get("JWT_SECRET", ""))
        return
    with folder.locked(), _postgres_of(folder) as url, _opened(url) as database:
        yield Access(database, environment.get("JWT_SECRET") or folder.secrets().jwt)


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = Database(url, max_size=1, name="snuggles-command")
    try:
        database.open(wait_s=CONNECT_S)
        yield database
    finally:
        database.close()


@contextmanager
def _postgres_of(folder: DataFolder) -> Iterator[str]:
    secrets = folder.secrets()
    folder.create()
    folder.end_leftovers()
    server = PostgresServer(folder.postgres, port=free_port(), password=secrets.database_owner)
    supervisor = Supervisor(logs=folder.logs, terminal=Terminal.silent(), on_change=lambda _: None)
    try:
        supervisor.start([database_part(server)], ready_s=SERVERS_READY_S)
        prepare_database(server.url(), application_password=secrets.database_application)
        yield application_url(secrets, server.port)
    finally:
        supervisor.stop()
