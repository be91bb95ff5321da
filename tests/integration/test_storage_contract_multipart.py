"""What the system asks of uploads in parts, held against both adapters of object stores."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from support.storage.storage_contract import KEY, LAYOUT, NewStore, md5, upload_part, with_query

from storage.multipart import MIN_PART_BYTES
from storage.store import (
    InvalidPartError,
    ObjectNotFoundError,
    PartLayout,
    PartTag,
    StorageError,
    Store,
)
from storage.sweep import sweep_uploads


@pytest.fixture
def store(new_contract_store: NewStore) -> Store:
    return new_contract_store()


def test_multipart_upload_becomes_the_object(store: Store, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    chunks = [os.urandom(MIN_PART_BYTES), os.urandom(MIN_PART_BYTES + 3), b"the end"]
    tags = [upload_part(http, store, (KEY, upload_id), n, chunk) for n, chunk in enumerate(chunks, 1)]
    assert [(part.number, part.etag, part.size_bytes) for part in store.list_parts(KEY, upload_id)] == [
        (n, md5(chunk), len(chunk)) for n, chunk in enumerate(chunks, 1)
    ]
    with pytest.raises(ObjectNotFoundError):
        store.stat(KEY)
    done = store.complete_multipart(KEY, upload_id, tags)
    whole = b"".join(chunks)
    digest = md5(b"".join(bytes.fromhex(md5(chunk)) for chunk in chunks))
    assert (done.size_bytes, done.etag, done.content_type) == (len(whole), f"{digest}-3", "video/mp4")
    assert store.get_range(KEY, 0, len(whole)) == whole
    assert store.get_range(KEY, MIN_PART_BYTES - 2, 6) == whole[MIN_PART_BYTES - 2 : MIN_PART_BYTES + 4]
    assert list(store.list_uploads()) == []
    assert [found.key for found in store.list_objects("")] == [KEY]


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_parts_may_come_at_once_and_in_any_order(store: Store, http: httpx.Client, layout: PartLayout | None) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    chunks = {n: os.urandom(MIN_PART_BYTES) for n in (3, 1, 4, 2)}
    with ThreadPoolExecutor(4) as pool:
        tags = list(pool.map(lambda item: upload_part(http, store, (KEY, upload_id), *item), chunks.items()))
    store.complete_multipart(KEY, upload_id, sorted(tags, key=lambda tag: tag.number))
    assert store.get_range(KEY, 0, 5 * MIN_PART_BYTES) == b"".join(chunks[n] for n in (1, 2, 3, 4))


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_part_sent_again_replaces_the_first(store: Store, http: httpx.Client, layout: PartLayout | None) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    first = upload_part(http, store, (KEY, upload_id), 1, b"wrong bytes")
    second = upload_part(http, store, (KEY, upload_id), 1, b"right")
    assert [(part.etag, part.size_bytes) for part in store.list_parts(KEY, upload_id)] == [(md5(b"right"), 5)]
    with pytest.raises(InvalidPartError, match="Part 1 was stored with another ETag"):
        store.complete_multipart(KEY, upload_id, [first])
    assert store.complete_multipart(KEY, upload_id, [second]).size_bytes == 5


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_completion_may_leave_parts_out(store: Store, http: httpx.Client, layout: PartLayout | None) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    tags = [upload_part(http, store, (KEY, upload_id), n, os.urandom(MIN_PART_BYTES)) for n in (1, 2, 3)]
    assert store.complete_multipart(KEY, upload_id, [tags[0], tags[2]]).size_bytes == 2 * MIN_PART_BYTES


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_parts_that_do_not_fit_are_named_and_the_upload_stays_open(
    store: Store, http: httpx.Client, layout: PartLayout | None
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    one = upload_part(http, store, (KEY, upload_id), 1, b"small")
    two = upload_part(http, store, (KEY, upload_id), 2, b"end")
    cases = [
        ([one, PartTag(number=3, etag=md5(b""))], "Part 3 was not stored"),
        ([PartTag(number=1, etag=md5(b"?"))], "Part 1 was stored with another ETag"),
        ([PartTag(number=1, etag="no etag")], "Part 1 was stored with another ETag"),
        ([two, one], "ascending"),
        ([one, one], "ascending"),
        ([one, two], "Part 1 has 5 bytes"),
        ([], "at least one part"),
    ]
    for tags, message in cases:
        with pytest.raises(InvalidPartError, match=message):
            store.complete_multipart(KEY, upload_id, tags)
    with pytest.raises(ObjectNotFoundError):
        store.stat(KEY)
    assert store.complete_multipart(KEY, upload_id, [one]).size_bytes == 5


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_completion_repeated_after_a_lost_answer_returns_the_object(
    store: Store, http: httpx.Client, layout: PartLayout | None
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    tags = [upload_part(http, store, (KEY, upload_id), 1, b"all")]
    first = store.complete_multipart(KEY, upload_id, tags)
    assert store.complete_multipart(KEY, upload_id, tags).etag == first.etag
    with pytest.raises((ObjectNotFoundError, InvalidPartError)):
        store.complete_multipart(KEY, upload_id, [PartTag(number=1, etag=md5(b"else"))])
    assert store.get_range(KEY, 0, 10) == b"all"


@pytest.mark.parametrize("layout", [None, LAYOUT])
def test_aborted_upload_is_gone(store: Store, http: httpx.Client, layout: PartLayout | None) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=layout)
    tag = upload_part(http, store, (KEY, upload_id), 1, b"all")
    store.abort_multipart(KEY, upload_id)
    store.abort_multipart(KEY, upload_id)
    assert list(store.list_uploads()) == []
    with pytest.raises(ObjectNotFoundError):
        store.list_parts(KEY, upload_id)
    with pytest.raises(ObjectNotFoundError):
        store.complete_multipart(KEY, upload_id, [tag])
    assert http.put(store.presign_part(KEY, upload_id, 2, expires_s=60), content=b"late").status_code == 404
    assert list(store.list_objects("")) == []


@pytest.mark.parametrize("upload_id", ["none", "../../objects", "", "0" * 32, "%00"])
def test_unknown_upload_is_not_found(store: Store, upload_id: str) -> None:
    with pytest.raises((ObjectNotFoundError, StorageError)):
        store.list_parts(KEY, upload_id)
    with pytest.raises((ObjectNotFoundError, StorageError)):
        store.complete_multipart(KEY, upload_id, [PartTag(number=1, etag=md5(b""))])


def test_part_url_serves_no_other_part_or_upload(store: Store, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    other_id = store.create_multipart(KEY, content_type="video/mp4")
    url = store.presign_part(KEY, upload_id, 1, expires_s=60)
    for changed in (
        url.replace("partNumber=1", "partNumber=2"),
        with_query(url, lambda q: q | {"uploadId": other_id}),
        with_query(url, lambda q: {k: v for k, v in q.items() if k not in {"uploadId", "partNumber"}}),
    ):
        assert http.put(changed, content=b"x").status_code == 403
    assert store.list_parts(KEY, upload_id) == store.list_parts(KEY, other_id) == []


@pytest.mark.parametrize("number", [0, -1, 10_001])
def test_part_number_outside_the_rules_is_not_signed(store: Store, number: int) -> None:
    with pytest.raises(InvalidPartError, match="run from 1 to 10000"):
        store.presign_part(KEY, "upload", number, expires_s=60)


def test_list_uploads_gives_the_open_ones_below_a_prefix(store: Store) -> None:
    first = store.create_multipart("one/a", content_type="video/mp4")
    second = store.create_multipart("one/a", content_type="video/mp4")
    third = store.create_multipart("two/b", content_type="video/mp4")
    listed = list(store.list_uploads())
    found = {(upload.key, upload.upload_id) for upload in listed}
    assert found == {
        ("one/a", first),
        ("one/a", second),
        ("two/b", third),
    }
    assert all(abs(upload.initiated_at.timestamp() - time.time()) < 600 for upload in listed)
    assert {upload.upload_id for upload in store.list_uploads("one/")} == {first, second}


def test_sweep_aborts_old_uploads_and_keeps_young_ones(store: Store, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4")
    upload_part(http, store, (KEY, upload_id), 1, b"begun")
    assert sweep_uploads(store, now=datetime.now(UTC), older_than=timedelta(hours=1)) == 0
    assert len(list(store.list_uploads())) == 1
    assert sweep_uploads(store, now=datetime.now(UTC) + timedelta(hours=2), older_than=timedelta(hours=1)) == 1
    assert list(store.list_uploads()) == []
    with pytest.raises(ObjectNotFoundError):
        store.list_parts(KEY, upload_id)
