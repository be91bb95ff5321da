"""The local folder beyond the contract: crashes, races, hostile clients, and what the routes add to plain files."""

import json
import os
import secrets
import shutil
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from storage_server import bound_socket, serve_stores

from storage.local import LocalStore
from storage.multipart import MAX_PUT_BYTES, MIN_PART_BYTES
from storage.store import ObjectNotFoundError, PartLayout, PartTag, PartTooLargeError, StorageError

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = "owner/thing/1/clip.mp4"
PATIENCE_S = 20
HOUR = timedelta(hours=1)
MIB = 1024 * 1024
LARGE_MIB = 128
MEMORY_LIMIT = 24 * MIB  # of Python objects, client and server together, whatever the body's size


@pytest.fixture(scope="module")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], LocalStore]]:
    root = tmp_path_factory.mktemp("storage")
    served: dict[str, LocalStore] = {}
    listener = bound_socket()
    base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def new() -> LocalStore:
        bucket = f"test-{secrets.token_hex(8)}"
        served[bucket] = LocalStore(root, bucket=bucket, base_url=base_url, secret=SECRET)
        return served[bucket]

    with serve_stores(served, listener):
        yield new


@pytest.fixture
def store(new_store: Callable[[], LocalStore]) -> LocalStore:
    return new_store()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=60) as client:
        yield client


def folder_of(store: LocalStore) -> Path:
    return Path(store.child_source("x", expires_s=1)).parent.parent


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def raw_put(url: str, headers: dict[str, str], body: bytes, *, end: bool = True) -> bytes:
    """Send a request as written, close the sending side (or the whole connection), and return what comes back."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=PATIENCE_S) as connection:
        lines = [f"PUT {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        if not end:
            return b""
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Files


def test_folders_and_files_are_closed_to_other_users(store: LocalStore) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    for path in [folder_of(store), *folder_of(store).rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0


def test_delete_leaves_no_empty_folders(store: LocalStore) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    store.put_bytes("owner/other", b"x", content_type="video/mp4")
    store.delete([KEY])
    assert files_below(folder_of(store)) == ["facts/owner/other", "objects/owner/other"]
    assert not (folder_of(store) / "objects/owner/thing").exists()


def test_symbolic_links_are_not_followed(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    objects = folder_of(store) / "objects"
    (objects / "owner").mkdir()
    (objects / "owner" / "link").symlink_to(tmp_path / "secret")
    (objects / "elsewhere").symlink_to(tmp_path)
    for read in (store.stat, store.open, lambda key: store.get_range(key, 0, 9)):
        with pytest.raises(StorageError):
            read("owner/link")
        with pytest.raises(StorageError, match="links are not followed"):
            read("elsewhere/secret")
    with pytest.raises(StorageError, match="links are not followed"):
        store.put_bytes("elsewhere/new", b"x", content_type="text/plain")
    with pytest.raises(StorageError, match="links are not followed"):
        store.delete(["elsewhere/secret"])
    assert list(store.list_objects("")) == []
    assert (tmp_path / "secret").read_text() == "secret"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret"]


def test_stray_file_whose_name_can_be_no_key_is_not_listed(store: LocalStore) -> None:
    store.put_bytes("owner/a", b"x", content_type="video/mp4")
    for name in (b"\xff\xfe", b"line\nbreak"):
        (folder_of(store) / "objects" / "owner" / os.fsdecode(name)).write_bytes(b"x")
    assert [found.key for found in store.list_objects("")] == ["owner/a"]


def test_folder_is_no_object(store: LocalStore) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    with pytest.raises(ObjectNotFoundError):
        store.stat("owner/thing")
    store.delete(["owner/thing"])
    assert store.get_range(KEY, 0, 1) == b"x"
    with pytest.raises(StorageError):
        store.put_bytes("owner/thing", b"y", content_type="video/mp4")
    with pytest.raises(StorageError):
        store.put_bytes(f"{KEY}/below", b"y", content_type="video/mp4")


@pytest.mark.parametrize("damage", ["missing", "empty", "other"])
def test_facts_lost_in_a_crash_are_worked_out_again(store: LocalStore, damage: str) -> None:
    put = store.put_bytes(KEY, b"some media", content_type="video/mp4")
    facts = folder_of(store) / "facts" / KEY
    if damage == "missing":
        facts.unlink()
    elif damage == "empty":
        facts.write_bytes(b"")
    else:  # as if the machine stopped after the facts of a second version and before its bytes
        facts.write_text(json.dumps(json.loads(facts.read_text()) | {"etag": "0" * 32, "modified_ns": 1}))
    found = store.stat(KEY)
    assert (found.size_bytes, found.etag) == (10, put.etag)
    assert found.content_type == ("video/mp4" if damage == "other" else "application/octet-stream")
    assert store.stat(KEY) == found


def test_reader_sees_one_version_while_another_is_written(store: LocalStore) -> None:
    versions = [bytes([65 + n]) * (100_000 + n) for n in range(2)]
    known = {store.put_bytes(KEY, data, content_type="video/mp4").etag: data for data in versions}
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            for data in versions:
                store.put_bytes(KEY, data, content_type="video/mp4")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            for _ in range(300):
                file, described = store.open_with_stat(KEY)
                with file:
                    assert file.read() == known[described.etag]
        finally:
            over.set()
        writing.result()


def test_writers_and_deleters_of_one_folder_do_not_trip_each_other(store: LocalStore) -> None:
    def work(name: int) -> None:
        key = f"owner/shared/{name}"
        for _ in range(60):
            store.put_bytes(key, b"x", content_type="text/plain")
            store.delete([key])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert files_below(folder_of(store)) == []


def test_get_file_that_fails_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    with pytest.raises(StorageError):
        store.get_file(KEY, tmp_path / "none" / "copy")
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_fails_the_ping(store: LocalStore) -> None:
    (folder_of(store) / "drafts").rmdir()
    with pytest.raises(StorageError, match="could not be created"):
        store.ping()


def test_two_stores_on_one_folder_work_together(store: LocalStore, http: httpx.Client) -> None:
    second = LocalStore(folder_of(store).parent, bucket=store.bucket, base_url="http://elsewhere", secret=SECRET)
    upload_id = second.create_multipart(KEY, content_type="video/mp4")
    etag = http.put(store.presign_part(KEY, upload_id, 1, expires_s=60), content=b"part").headers["etag"]
    second.complete_multipart(KEY, upload_id, [PartTag(number=1, etag=etag)])
    assert store.get_range(KEY, 0, 9) == b"part"


def test_the_same_part_sent_many_times_at_once_stays_whole(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    bodies = [bytes([n]) * 300_000 for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        url = store.presign_part(KEY, upload_id, 1, expires_s=60)
        answers = list(pool.map(lambda body: http.put(url, content=body), bodies))
    assert {answer.status_code for answer in answers} == {200}
    (part,) = store.list_parts(KEY, upload_id)
    store.complete_multipart(KEY, upload_id, [PartTag(number=1, etag=part.etag)])
    assert store.get_range(KEY, 0, 400_000) in bodies


# Parts written in place


LAYOUT = PartLayout(size_bytes=2 * MIN_PART_BYTES + 3, part_bytes=MIN_PART_BYTES)
BODIES = {1: b"1" * MIN_PART_BYTES, 2: b"2" * MIN_PART_BYTES, 3: b"3!!"}
WHOLE = b"".join(BODIES.values())


def upload_folder(store: LocalStore, upload_id: str) -> Path:
    return folder_of(store) / "uploads" / upload_id


def send(http: httpx.Client, store: LocalStore, upload_id: str, bodies: dict[int, bytes]) -> list[PartTag]:
    tags = []
    for number, body in bodies.items():
        answer = http.put(store.presign_part(KEY, upload_id, number, expires_s=60), content=body)
        assert answer.status_code == 200, answer.text
        tags.append(PartTag(number=number, etag=answer.headers["etag"]))
    return tags


def test_completion_renames_the_file_that_the_parts_were_written_to(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    tags = send(http, store, upload_id, dict(reversed(BODIES.items())))
    written = (upload_folder(store, upload_id) / "joined").stat()
    assert written.st_size == len(WHOLE)
    store.complete_multipart(KEY, upload_id, sorted(tags, key=lambda tag: tag.number))
    assert Path(store.child_source(KEY, expires_s=1)).stat().st_ino == written.st_ino
    assert store.get_range(KEY, 0, len(WHOLE) + 1) == WHOLE
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


@pytest.mark.parametrize(
    ("number", "size_bytes", "status"), [(1, MIN_PART_BYTES + 1, 413), (3, 4, 413), (4, 1, 422), (3, 3, 200)]
)
def test_part_larger_than_its_place_is_refused_and_nothing_is_kept(
    store: LocalStore, http: httpx.Client, number: int, size_bytes: int, status: int
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    before = files_below(folder_of(store))
    answer = http.put(store.presign_part(KEY, upload_id, number, expires_s=60), content=b"x" * size_bytes)
    assert answer.status_code == status
    if status != 200:
        assert files_below(folder_of(store)) == before
        assert store.list_parts(KEY, upload_id) == []


def test_part_sent_again_counts_and_the_first_stays_until_it_is_whole(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    first = send(http, store, upload_id, BODIES)
    with store.new_part(KEY, upload_id, 1, size_bytes=MIN_PART_BYTES) as broken_off:
        broken_off.write(b"x" * 1000)
    assert [part.etag for part in store.list_parts(KEY, upload_id)] == [tag.etag.strip('"') for tag in first]
    (again,) = send(http, store, upload_id, {1: b"A" * MIN_PART_BYTES})
    store.complete_multipart(KEY, upload_id, [again, *first[1:]])
    assert store.get_range(KEY, 0, len(WHOLE)) == b"A" * MIN_PART_BYTES + BODIES[2] + BODIES[3]
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


def test_part_whose_writer_died_can_be_sent_again(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    dead = store.new_part(KEY, upload_id, 3, size_bytes=3)
    dead.write(b"xy")
    dead.discard()  # what the kernel does with the files of a process that is killed
    assert store.list_parts(KEY, upload_id) == []
    store.complete_multipart(KEY, upload_id, send(http, store, upload_id, BODIES))
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE


def test_writer_that_is_late_does_not_reach_the_object(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 1, size_bytes=MIN_PART_BYTES) as slow:
        slow.write(b"x" * 1000)
        store.complete_multipart(KEY, upload_id, send(http, store, upload_id, BODIES))
        slow.write(b"x" * 1000)
        with pytest.raises(ObjectNotFoundError):
            store.publish_part(slow, KEY, upload_id, 1)
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE


def test_writer_stops_at_the_end_of_its_place(store: LocalStore) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 3, size_bytes=3) as part:
        part.write(b"3!")
        with pytest.raises(PartTooLargeError):
            part.write(b"!!")


def test_kill_between_the_new_name_and_the_end_of_the_upload_loses_nothing(
    store: LocalStore, http: httpx.Client, tmp_path: Path
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    tags = send(http, store, upload_id, BODIES)
    folder = upload_folder(store, upload_id)
    shutil.copytree(folder, tmp_path / "kept", ignore=shutil.ignore_patterns("joined"))
    described = store.complete_multipart(KEY, upload_id, tags)
    shutil.copytree(tmp_path / "kept", folder)
    assert list(store.list_uploads()) == []
    assert store.complete_multipart(KEY, upload_id, tags) == described
    assert http.put(store.presign_part(KEY, upload_id, 1, expires_s=60), content=BODIES[1]).status_code == 404
    store.discard_leftovers(datetime.now(UTC) + HOUR)
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


def test_upload_begun_by_a_version_without_layouts_can_be_finished(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    description = json.loads((upload_folder(store, upload_id) / "upload.json").read_text())
    del description["layout"]
    (upload_folder(store, upload_id) / "upload.json").write_text(json.dumps(description))
    store.complete_multipart(KEY, upload_id, send(http, store, upload_id, BODIES))
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE


# What a dead writer leaves


def test_upload_that_breaks_off_leaves_nothing(store: LocalStore) -> None:
    url = store.presign_put(KEY, expires_s=60)
    raw_put(url, {"Content-Length": "5000000000"}, b"abc", end=False)
    upload_id = store.create_multipart("owner/x", content_type="video/mp4")
    part_url = store.presign_part("owner/x", upload_id, 1, expires_s=60)
    raw_put(part_url, {"Content-Length": "5000000000"}, b"abc", end=False)
    wait_until(lambda: files_below(folder_of(store)) == [f"uploads/{upload_id}/upload.json"])
    assert store.list_parts("owner/x", upload_id) == []
    with pytest.raises(ObjectNotFoundError):
        store.stat(KEY)


def test_drafts_of_dead_writers_are_swept_and_living_ones_kept(store: LocalStore) -> None:
    dead, living = store.new_draft(), store.new_draft()
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    part = store.new_part(KEY, upload_id, 1, size_bytes=9)
    half = folder_of(store) / "uploads" / ("0" * 32)
    half.mkdir()
    for old in (dead.path, part.path, half):
        os.utime(old, (0, 0))
    assert store.discard_leftovers(datetime.now(UTC) - HOUR) == 3
    assert living.path.exists()
    assert [upload.upload_id for upload in store.list_uploads()] == [upload_id]
    for draft in (dead, living, part):
        draft.discard()


# Routes


def test_failure_carries_the_envelope(store: LocalStore, http: httpx.Client) -> None:
    answer = http.get(store.presign_get(KEY, expires_s=60))
    assert answer.status_code == 404
    assert answer.json() == {
        "success": False,
        "error": {"code": "not_found", "message": "There is no object 'clip.mp4'.", "retryable": False, "details": {}},
    }
    refused = http.get(store.presign_get(KEY, expires_s=60) + "0")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


def test_unknown_bucket_and_doubled_parameters_are_refused(store: LocalStore, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=60)
    assert http.get(url.replace(store.bucket, "none")).status_code == 404
    assert http.get(url + "&expires=9999999999").status_code == 403


@pytest.mark.parametrize("path", ["/", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/a%00b", "//x", "/a/"])
def test_path_that_no_key_can_have_is_refused_without_a_signature(
    store: LocalStore, http: httpx.Client, path: str
) -> None:
    base = store.presign_get(KEY, expires_s=60).split(f"/{KEY}")[0]
    assert http.get(httpx.URL(base + path)).status_code in {403, 404}


def test_head_answers_like_get_without_the_body(store: LocalStore, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=60)
    got, head = http.get(url), http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    skipped = {"date"}
    assert {k: v for k, v in head.headers.items() if k not in skipped} == {
        k: v for k, v in got.headers.items() if k not in skipped
    }
    part = http.head(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.headers["content-length"], part.content) == (206, "3", b"")
    missing = http.head(store.presign_get("owner/none", expires_s=60))
    assert (missing.status_code, missing.content) == (404, b"")


def test_version_that_the_client_has_is_not_sent_again(store: LocalStore, http: httpx.Client) -> None:
    put = store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=60)
    unchanged = http.get(url, headers={"If-None-Match": f'"{put.etag}"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["etag"] == f'"{put.etag}"'
    fresh = http.get(url, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (fresh.status_code, fresh.content) == (200, b"0123456789")
    resumed = http.get(url, headers={"Range": "bytes=4-", "If-Range": f'"{put.etag}"'})
    assert (resumed.status_code, resumed.content) == (206, b"456789")


@pytest.mark.parametrize(
    ("content_type", "stored", "is_inline"),
    [
        ("video/mp4", "video/mp4", True),
        ("audio/mpeg", "audio/mpeg", True),
        ("image/webp", "image/webp", True),
        ("image/svg+xml", "image/svg+xml", False),
        ("text/html", "text/html", False),
        ("text/html; charset=utf-8", "text/html; charset=utf-8", False),
        ("nonsense", "application/octet-stream", False),
        ("", "application/octet-stream", False),
    ],
)
def test_only_plain_media_opens_in_the_page(
    store: LocalStore, http: httpx.Client, content_type: str, stored: str, *, is_inline: bool
) -> None:
    sent = http.put(store.presign_put(KEY, expires_s=60), content=b"x", headers={"Content-Type": content_type})
    assert sent.status_code == 200
    answer = http.get(store.presign_get(KEY, expires_s=60))
    assert answer.headers["content-type"].removesuffix("; charset=utf-8") == stored.removesuffix("; charset=utf-8")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.get("content-disposition") == (None if is_inline else "attachment")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n", b"411"),
        ({}, b"", b"411"),
        ({"Content-Length": str(MAX_PUT_BYTES + 1)}, b"abc", b"413"),
    ],
)
def test_body_of_unknown_or_excessive_length_is_refused_unread(
    store: LocalStore, headers: dict[str, str], body: bytes, status: bytes
) -> None:
    answer = raw_put(store.presign_put(KEY, expires_s=60), headers, body)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert files_below(folder_of(store)) == []


def test_put_with_a_bad_signature_stores_nothing(store: LocalStore, http: httpx.Client) -> None:
    url = store.presign_put(KEY, expires_s=60)
    assert http.put(url[:-1] + ("0" if url[-1] != "0" else "1"), content=b"x" * 100_000).status_code == 403
    assert files_below(folder_of(store)) == []


def test_large_body_passes_both_ways_in_constant_memory(store: LocalStore, http: httpx.Client) -> None:
    chunk = os.urandom(MIB)
    headers = {"Content-Length": str(LARGE_MIB * MIB)}
    received = 0
    tracemalloc.start()
    try:
        body = (chunk for _ in range(LARGE_MIB))
        assert http.put(store.presign_put(KEY, expires_s=60), content=body, headers=headers).status_code == 200
        with http.stream("GET", store.presign_get(KEY, expires_s=60)) as answer:
            for data in answer.iter_bytes(MIB):
                assert data == chunk
                received += len(data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()
    assert received == LARGE_MIB * MIB


def test_reader_who_leaves_early_does_not_hold_the_file(store: LocalStore) -> None:
    store.put_bytes(KEY, bytes(64 * 1024 * 1024), content_type="video/mp4")
    parts = urlsplit(store.presign_get(KEY, expires_s=60))
    path = store.child_source(KEY, expires_s=60)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(100)
    wait_until(lambda: path not in open_files())


def open_files() -> set[str]:
    return {file.path for file in psutil.Process().open_files()}
