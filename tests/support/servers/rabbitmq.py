"""A real RabbitMQ on loopback, as an ordinary process in a folder, which a test may kill and start again."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from cli.embedded.port import HOST, free_port

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_S = 90.0
STOP_S = 10.0
GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitServer:
    """One broker; its queues and their messages outlive it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.port = free_port()
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"snuggles-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "ERL_EPMD_ADDRESS": HOST,
            # A register of nodes of our own: the usual one is the machine's, and would outlive us.
            "ERL_EPMD_PORT": str(free_port()),
        }
        (folder / "plugins").write_text("[].\n")
        # A disk that fills up is another test's; a broker that refuses messages on a busy machine would spoil this one.
        (folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\nloopback_users.guest = true\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{HOST}:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM], env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not self._greets():
            is_starting = self._process.poll() is None and time.monotonic() < deadline
            assert is_starting, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """kill -9 the broker with all that belongs to it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        self.kill()
        # It refuses while it still counts the broker among the living.
        deadline = time.monotonic() + STOP_S
        while self._epmd("-names") == 0 and time.monotonic() < deadline:
            self._epmd("-kill")
            time.sleep(0.1)

    def _epmd(self, command: str) -> int:
        return subprocess.run(["epmd", command], env=self._environment, check=False, capture_output=True).returncode

    def _greets(self) -> bool:
        """Whether it speaks AMQP: the port opens before the broker does."""
        try:
            with socket.create_connection((HOST, self.port), timeout=5) as connection:
                connection.sendall(GREETING)
                return bool(connection.recv(1))
        except OSError:
            return False
