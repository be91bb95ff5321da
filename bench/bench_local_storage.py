"""Local storage through its signed URLs beside a plain file copy of the same bytes, and the server's memory.

Run: `make bench-local-storage`, or `python bench/bench_local_storage.py [MIB]`. Client and server share the machine:
each byte is sent and received here.
"""

import hashlib
import http
import http.client
import multiprocessing
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import uvicorn
from litestar import Litestar

from api.routes.storage import storage_router
from storage.local import LocalStore
from storage.store import PartLayout, PartTag

MIB = 1024 * 1024
ROUNDS = 3
PARTS = 8
SECRET = b"a secret for a benchmark, no more"
KEY = "bench/object"


def open_store(root: Path, port: int) -> LocalStore:
    """Open the benchmark's one bucket."""
    return LocalStore(root, bucket="bench", base_url=f"http://127.0.0.1:{port}", secret=SECRET)


def serve(root: Path, ready: Connection) -> None:
    """Serve the bucket on a port that the system chooses, which goes through `ready`."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    ready.send(port)
    app = Litestar([storage_router({"bench": open_store(root, port)})], openapi_config=None)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


def seconds(work: Callable[[], object]) -> float:
    """Return the median time of some rounds."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def send(url: str, path: Path, offset: int, length: int) -> str:
    """PUT a stretch of a file and return the ETag."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, blocksize=MIB)
    with path.open("rb") as file:
        file.seek(offset)
        connection.putrequest("PUT", f"{parts.path}?{parts.query}")
        connection.putheader("Content-Length", str(length))
        connection.endheaders()
        connection.sock.sendfile(file, offset, length)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"PUT answered {answer.status}")
    return answer.headers["ETag"]


def receive(url: str) -> None:
    """GET an object and drop its bytes."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    buffer = bytearray(MIB)
    while answer.readinto(buffer):
        pass
    connection.close()


def copy(source: Path, target: Path) -> None:
    """Copy a file and force it to the disk: the least that storing bytes can cost."""
    shutil.copyfile(source, target)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def copy_hashed(source: Path, target: Path) -> None:
    """Copy like `copy`, with the MD5 that every S3 answers as ETag."""
    digest = hashlib.md5(usedforsecurity=False)
    with source.open("rb") as read, target.open("wb") as write:
        while chunk := read.read(MIB):
            digest.update(chunk)
            write.write(chunk)
        os.fsync(write.fileno())


def upload_parts(store: LocalStore, source: Path, size: int) -> tuple[str, list[PartTag]]:
    """PUT a file in equal parts."""
    step = size // PARTS
    layout = PartLayout(size_bytes=step * PARTS, part_bytes=step)
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    tags = []
    for number in range(1, PARTS + 1):
        url = store.presign_part(KEY, upload_id, number, expires_s=600)
        tags.append(PartTag(number=number, etag=send(url, source, (number - 1) * step, step)))
    return upload_id, tags


def complete(store: LocalStore, source: Path, size: int) -> float:
    """Return the median time of joining parts."""
    times = []
    for _ in range(ROUNDS):
        upload_id, tags = upload_parts(store, source, size)
        started = time.perf_counter()
        store.complete_multipart(KEY, upload_id, tags)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def report(name: str, took_s: float, peer: tuple[str, float], size: int) -> None:
    """Print one line: time, rate, and ratio to the peer."""
    rate = size / MIB / took_s
    print(f"{name:20} {took_s:6.2f} s  {rate:6.0f} MiB/s  {took_s / peer[1]:5.2f} x {peer[0]} ({peer[1]:.2f} s)")


def measure(root: Path, port: int, server: psutil.Process, size: int) -> None:
    """Measure everything on one source file."""
    store = open_store(root, port)
    source = root / "source"
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    idle = server.memory_info().rss
    raw = ("copy + fsync", seconds(lambda: copy(source, root / "copy")))
    hashed = ("copy + MD5 + fsync", seconds(lambda: copy_hashed(source, root / "copy")))
    put_s = seconds(lambda: send(store.presign_put(KEY, expires_s=600), source, 0, size))
    report("PUT one object", put_s, raw, size)
    report("PUT one object", put_s, hashed, size)
    report("put_file in process", seconds(lambda: store.put_file(KEY, source, content_type="video/mp4")), hashed, size)
    report("GET one object", seconds(lambda: receive(store.presign_get(KEY, expires_s=600))), raw, size)
    report(f"complete {PARTS} parts", complete(store, source, size), raw, size)
    print(f"server memory: {idle / MIB:.0f} MiB idle, {server.memory_info().rss / MIB:.0f} MiB after")


def main() -> None:
    """Start the server in a process of its own, measure, and stop it."""
    size = int(sys.argv[1] if len(sys.argv) > 1 else 512) * MIB
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        root = Path(folder)
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(root, there))
        process.start()
        try:
            measure(root, here.recv(), psutil.Process(process.pid), size)
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    main()
