"""What the system asks of an object store, held against both adapters: S3 on a real Swift, the folder on uvicorn."""

import os
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from support.storage.storage_contract import EXPIRY_PATIENCE_S, KEY, MIB, NewStore, md5, with_query

from storage.store import (
    InvalidKeyError,
    ObjectNotFoundError,
    Store,
)


@pytest.fixture
def store(new_contract_store: NewStore) -> Store:
    return new_contract_store()


# Objects


def test_put_bytes_is_read_back_whole(store: Store) -> None:
    put = store.put_bytes(KEY, b"some media", content_type="video/mp4")
    found = store.stat(KEY)
    assert (put.size_bytes, put.etag) == (10, md5(b"some media"))
    assert (found.key, found.size_bytes, found.etag, found.content_type) == (KEY, 10, put.etag, "video/mp4")
    assert abs(found.modified_at.timestamp() - time.time()) < 600
    with store.open(KEY) as stream:
        assert stream.read() == b"some media"


def test_put_bytes_over_an_object_replaces_it(store: Store) -> None:
    store.put_bytes(KEY, b"first", content_type="video/mp4")
    store.put_bytes(KEY, b"second!", content_type="audio/mpeg")
    assert store.get_range(KEY, 0, 100) == b"second!"
    found = store.stat(KEY)
    assert (found.size_bytes, found.etag, found.content_type) == (7, md5(b"second!"), "audio/mpeg")


def test_empty_object_is_kept(store: Store, tmp_path: Path) -> None:
    store.put_bytes(KEY, b"", content_type="text/plain")
    assert store.stat(KEY).size_bytes == 0
    assert store.get_range(KEY, 0, 10) == b""
    store.get_file(KEY, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [(0, 4, b"0123"), (3, 4, b"3456"), (8, 100, b"89"), (9, 1, b"9"), (10, 5, b""), (500, 5, b""), (4, 0, b"")],
)
def test_get_range_returns_what_is_there(store: Store, start: int, length: int, expected: bytes) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="text/plain")
    assert store.get_range(KEY, start, length) == expected


@pytest.mark.parametrize("size_bytes", [1, 3 * MIB + 17, 40 * MIB + 1])
def test_put_file_and_get_file_keep_every_byte(store: Store, tmp_path: Path, size_bytes: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size_bytes))
    put = store.put_file(KEY, source, content_type="video/webm")
    got = store.get_file(KEY, tmp_path / "copy")
    assert put.size_bytes == got.size_bytes == size_bytes
    assert put.etag == got.etag == store.stat(KEY).etag
    assert got.content_type == "video/webm"
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


def test_missing_object_is_not_found_everywhere(store: Store, tmp_path: Path) -> None:
    for read in (
        lambda: store.stat("owner/none"),
        lambda: store.get_range("owner/none", 0, 1),
        lambda: store.get_range("owner/none", 0, 0),
        lambda: store.open("owner/none"),
        lambda: store.get_file("owner/none", tmp_path / "copy"),
    ):
        with pytest.raises(ObjectNotFoundError):
            read()
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("key", ["", "/absolute", "a//b", "a/../b", "..", "a/./b", "a/", "a\\b", "a\nb", "x" * 300])
def test_key_that_leads_elsewhere_is_refused(store: Store, key: str) -> None:
    for use in (
        lambda: store.put_bytes(key, b"", content_type="text/plain"),
        lambda: store.stat(key),
        lambda: store.delete([key]),
        lambda: store.presign_get(key, expires_s=60),
        lambda: store.presign_put(key, expires_s=60),
        lambda: store.create_multipart(key, content_type="text/plain"),
    ):
        with pytest.raises(InvalidKeyError):
            use()


def test_list_objects_gives_the_prefix_in_key_order(store: Store) -> None:
    keys = ["a/2/x", "a/10/x", "a/2-x", "a/2.y", "b/1", "a/é/ø", "a/2/w/deep"]
    for key in keys:
        store.put_bytes(key, key.encode(), content_type="text/plain")
    listed = list(store.list_objects("a/"))
    assert [found.key for found in listed] == sorted((k for k in keys if k.startswith("a/")), key=str.encode)
    assert [(found.size_bytes, found.etag) for found in listed] == [
        (len(found.key.encode()), md5(found.key.encode())) for found in listed
    ]
    assert [found.key for found in store.list_objects("a/2/")] == ["a/2/w/deep", "a/2/x"]
    assert [found.key for found in store.list_objects("a/1")] == ["a/10/x"]
    assert len(list(store.list_objects(""))) == len(keys)
    assert list(store.list_objects("none/")) == []


def test_delete_removes_what_is_named_and_nothing_else(store: Store) -> None:
    for name in ("one", "two", "three"):
        store.put_bytes(f"owner/{name}", b"x", content_type="text/plain")
    store.delete(["owner/one", "owner/none", "owner/two"])
    assert [found.key for found in store.list_objects("")] == ["owner/three"]
    store.delete([])


def test_ping_answers(store: Store) -> None:
    store.ping()


# Signed URLs


def test_presigned_get_reads_the_object(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    answer = http.get(store.presign_get(KEY, expires_s=60))
    assert answer.status_code == 200
    assert answer.content == b"0123456789"
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["etag"].strip('"') == md5(b"0123456789")
    assert answer.headers["content-length"] == "10"


@pytest.mark.parametrize(
    ("asked", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-500", b"56789", "bytes 5-9/10"),
    ],
)
def test_presigned_get_answers_byte_ranges(
    store: Store, http: httpx.Client, asked: str, expected: bytes, content_range: str
) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    answer = http.get(store.presign_get(KEY, expires_s=60), headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, expected)
    assert answer.headers["content-range"] == content_range


def test_range_behind_the_end_is_416(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    assert http.get(store.presign_get(KEY, expires_s=60), headers={"Range": "bytes=10-"}).status_code == 416


def test_presigned_get_carries_the_file_name_and_type(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=60, filename='Ünï "🎉" 100%.mp4', content_type="audio/mpeg")
    answer = http.get(url)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Uni __ 100_.mp4\"; filename*=UTF-8''%C3%9Cn%C3%AF%20%22%F0%9F%8E%89%22%20100%25.mp4"
    )


def test_presigned_get_of_a_missing_object_is_404(store: Store, http: httpx.Client) -> None:
    assert http.get(store.presign_get("owner/none", expires_s=60)).status_code == 404


@pytest.mark.parametrize(
    "key", ["owner/with space+plus", "owner/ünï/🎉", "owner/100%25", "owner/a&b=c?d#e", "owner/~x"]
)
def test_unusual_key_survives_its_url(store: Store, http: httpx.Client, key: str) -> None:
    assert http.put(store.presign_put(key, expires_s=60), content=key.encode()).status_code == 200
    assert http.get(store.presign_get(key, expires_s=60)).content == key.encode()
    assert [found.key for found in store.list_objects("owner/")] == [key]


def test_presigned_put_stores_the_object(store: Store, http: httpx.Client) -> None:
    answer = http.put(store.presign_put(KEY, expires_s=60), content=b"sent", headers={"Content-Type": "audio/mpeg"})
    assert answer.status_code == 200
    assert answer.headers["etag"].strip('"') == md5(b"sent")
    found = store.stat(KEY)
    assert (found.size_bytes, found.content_type) == (4, "audio/mpeg")


def test_changed_url_is_refused(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"secret", content_type="video/mp4")
    store.put_bytes("other/recording/source", b"other's", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=60, filename="a.mp4")
    expiry = "X-Amz-Expires" if "X-Amz-Expires" in url else "expires"
    signature = "X-Amz-Signature" if "X-Amz-Signature" in url else "signature"
    changed = [
        url.replace("/owner/", "/other/"),
        with_query(url, lambda q: q | {expiry: str(int(q[expiry]) + 3600)}),
        with_query(url, lambda q: q | {signature: q[signature][:-1] + ("0" if q[signature][-1] != "0" else "1")}),
        with_query(url, lambda q: q | {"response-content-disposition": 'attachment; filename="b.exe"'}),
        with_query(url, lambda q: q | {"response-content-type": "text/html"}),
        with_query(url, lambda q: {k: v for k, v in q.items() if k != signature}),
    ]
    assert [http.get(each).status_code for each in changed] == [403] * len(changed)
    bare = http.get(urlunsplit(urlsplit(url)._replace(query="")))
    assert bare.status_code in {400, 401, 403}
    assert b"secret" not in b"".join([bare.content, *(http.get(each).content for each in changed)])


def test_url_for_one_method_is_refused_for_another(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"kept", content_type="video/mp4")
    assert http.put(store.presign_get(KEY, expires_s=60), content=b"changed").status_code == 403
    assert http.get(store.presign_put(KEY, expires_s=60)).status_code == 403
    assert http.delete(store.presign_put(KEY, expires_s=60)).status_code in {403, 405}
    assert store.get_range(KEY, 0, 10) == b"kept"


def test_expired_url_is_refused(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"secret", content_type="video/mp4")
    url = store.presign_get(KEY, expires_s=1)
    put_url = store.presign_put(KEY, expires_s=1)
    deadline = time.monotonic() + EXPIRY_PATIENCE_S
    while http.get(url).status_code != 403:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert http.put(put_url, content=b"changed").status_code == 403
    assert store.get_range(KEY, 0, 10) == b"secret"


@pytest.mark.parametrize("expires_s", [0, -5, 8 * 24 * 3600])
def test_url_that_would_live_too_long_or_not_at_all_is_not_signed(store: Store, expires_s: int) -> None:
    with pytest.raises(ValueError, match="lives 1 to 604800 seconds"):
        store.presign_get(KEY, expires_s=expires_s)


def test_child_source_can_be_read_without_credentials(store: Store, http: httpx.Client) -> None:
    store.put_bytes(KEY, b"0123456789", content_type="video/mp4")
    source = store.child_source(KEY, expires_s=60)
    data = http.get(source).content if source.startswith("http://") else Path(source).read_bytes()
    assert data == b"0123456789"
