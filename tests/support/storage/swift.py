"""A real Swift for tests of S3: signatures, ranges and multipart are checked by a server that we did not write."""

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from support.servers.requirement import unavailable

from storage.s3_client import S3Access

TESTS = Path(__file__).parents[2]
VENV = Path(os.environ.get("SWIFT_VENV", TESTS.parent / ".cache" / "swift-venv"))
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
REGION = "us-east-1"
MOUNT = "/storage/v1/s3"  # as in swift/serve.py, which this Python cannot import


class SwiftServer:
    """One Swift on a folder. `kill` and `start` again: the data and the port stay."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def access(self) -> S3Access:
        return S3Access(
            endpoint=f"127.0.0.1:{self.port}",
            secure=False,
            region=REGION,
            access_key="media:app",
            secret_key="secretsecret123",
        )

    @property
    def access_below_a_path(self) -> S3Access:
        """The same S3 at an address that has a path."""
        return msgspec.structs.replace(self.access, endpoint=f"{self.access.endpoint}{MOUNT}")

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a process that shall use this server."""
        return {
            "S3_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "S3_REGION": REGION,
            "S3_ACCESS_KEY": self.access.access_key,
            "S3_SECRET_KEY": self.access.secret_key,
        }

    def start(self) -> None:
        command = [VENV / "bin" / "python", "-W", "ignore", TESTS / "swift" / "serve.py", self._folder, str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self.port = self._read_port()

    def _read_port(self) -> int:
        assert self._process
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            answer = self._process.stdout.readline() if selector.select(START_TIMEOUT_S) else b""
        if not answer.startswith(b"ready "):
            self.kill()
            raise RuntimeError(f"Swift did not start: {(self._folder / 'log').read_text(errors='replace')[-2000:]}")
        return int(answer.split()[1])

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(number)
            self._process.wait(STOP_TIMEOUT_S)
            assert self._process.stdout
            self._process.stdout.close()
            self._process = None


def require_swift() -> None:
    """Install Swift's programs where they are missing."""
    environment = {**os.environ, "PYTHON": sys.executable}
    installed = subprocess.run(
        [TESTS / "venv.sh", "swift"], env=environment, capture_output=True, text=True, check=False
    )
    if installed.returncode != 0:
        unavailable(f"Swift could not be installed by tests/venv.sh: {installed.stderr[-2000:]}")


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    """One Swift for each test process; each test makes a bucket of its own."""
    require_swift()
    server = SwiftServer(tmp_path_factory.mktemp("swift"))
    server.start()
    yield server
    server.stop()
