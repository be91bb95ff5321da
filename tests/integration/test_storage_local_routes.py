"""What the routes add to plain files: the failures, headers and limits that hostile clients meet."""

import os
import socket
import tracemalloc
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from support.storage.local_store import KEY, LARGE_MIB, MEMORY_LIMIT, MIB, files_below, folder_of, raw_put, wait_until

from storage.local import LocalStore
from storage.multipart import MAX_PUT_BYTES


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


def test_url_for_one_object_takes_no_more_than_it_was_signed_for(store: LocalStore, http: httpx.Client) -> None:
    url = store.presign_put(KEY, expires_s=60, max_bytes=4)
    assert http.put(url.replace("maxBytes=4", "maxBytes=9"), content=b"large").status_code == 403
    answer = raw_put(url, {"Content-Length": "5"}, b"large")
    assert answer.startswith(b"HTTP/1.1 413")
    assert files_below(folder_of(store)) == []
    assert http.put(url, content=b"fits").status_code == 200


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
