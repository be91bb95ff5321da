"""The one server that a media child reaches: through the relay in its folder, in plain text and by TLS."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.jobs import job
from support.servers.fleet import make_media, wait_for
from support.servers.range_server import RangeServer, serve_ranges
from support.servers.requirement import unavailable

from pipeline.errors import READ_FAILED, MediaError
from pipeline.limits import Limits
from pipeline.reading.access.ranges import RangeReader
from pipeline.types import IngestResult, IngestTask, Source
from workers.attempt import Attempt
from workers.children.child import Policy, run_child
from workers.children.launcher import Launcher
from workers.children.relay import CONNECT_S, relaying

ROOMY = Policy(wall_s=60, limits=Limits(memory_bytes=2**31, cpu_s=60, file_bytes=2**30, files=256))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RangeServer]:
    folder = tmp_path / "served"
    folder.mkdir()
    with serve_ranges(folder) as server:
        yield server


@contextmanager
def in_front_of(server: RangeServer, tls: ssl.SSLContext) -> Iterator[int]:
    """Answer by TLS in front of a plain server, on the port that is yielded."""
    plain = int(server.url.rpartition(":")[2])
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with (
                suppress(OSError),
                tls.wrap_socket(accepted, server_side=True) as client,
                socket.create_connection(("127.0.0.1", plain)) as behind,
            ):
                answers = threading.Thread(target=carry, args=(behind, client), daemon=True)
                answers.start()
                carry(client, behind)

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.mark.parametrize("way", ["forked", "executed"])
def test_child_reads_an_address_through_the_relay_and_nothing_stays_behind(
    served: RangeServer, tmp_path: Path, way: str
) -> None:
    make_media(served.folder / "talk.mp4", duration_s=20)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    launcher = Launcher(can_fork=way == "forked")
    try:
        task = IngestTask(source=Source(location=served.address("talk.mp4")))
        result = run_child(task, launcher=launcher, attempt=Attempt(job()), scratch=scratch, policy=ROOMY)
    finally:
        launcher.close()
    assert isinstance(result, IngestResult)
    assert result.probe.duration_s == pytest.approx(20, abs=0.2)
    assert served.sent_bytes > 0
    assert not list(scratch.rglob("*.sock"))
    wait_for(lambda: not relay_threads(), what="the relay's threads to end")


def relay_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("relay")]


def test_relay_leads_to_its_server_whatever_the_reader_asks_for(served: RangeServer, tmp_path: Path) -> None:
    (served.folder / "file").write_bytes(b"here")
    with serve_ranges(tmp_path) as other, relaying(tmp_path, served.url) as name:
        with RangeReader(other.address("file"), relay=str(tmp_path / name)) as reader:
            assert reader.read() == b"here"
        assert other.requests == 0


def test_reader_and_server_speak_tls_through_the_relay(
    served: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl makes the certificate of this test")
    (served.folder / "file").write_bytes(b"sealed" * 50_000)
    pem = tmp_path / "server.pem"
    make = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*make, *names, "-keyout", pem, "-out", tmp_path / "ca.pem"], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.pem", pem)
    with in_front_of(served, tls) as port, relaying(tmp_path, f"https://localhost:{port}/") as name:
        relay = str(tmp_path / name)
        pauses: list[float] = []
        with (
            RangeReader(f"https://localhost:{port}/file", relay=relay, sleep=pauses.append) as stranger,
            pytest.raises(MediaError, match="certificate"),
        ):
            stranger.read()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with RangeReader(f"https://localhost:{port}/file", relay=relay) as reader:
            assert reader.read() == b"sealed" * 50_000


def test_server_that_is_away_is_a_passing_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    pauses: list[float] = []
    with relaying(tmp_path, url) as name:
        reader = RangeReader(f"{url}/file", relay=str(tmp_path / name), sleep=pauses.append)
        with reader, pytest.raises(MediaError) as caught:
            reader.read()
    assert caught.value.cause == READ_FAILED
    assert len(pauses) == 3


def test_end_of_the_relay_ends_its_connections(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket(socket.AF_UNIX) as client:
        with relaying(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}") as name:
            client.settimeout(CONNECT_S)
            client.connect(str(tmp_path / name))
            server, _ = silent.accept()
        with server:
            assert client.recv(1) == b""
            assert server.recv(1) == b""
    wait_for(lambda: not relay_threads(), what="the relay's threads to end")


def test_folder_with_a_long_path_has_its_relay(
    served: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (served.folder / "file").write_bytes(b"here")
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.chdir(folder)
    with relaying(folder, served.url) as name, RangeReader(served.address("file"), relay=name) as reader:
        assert reader.read() == b"here"
