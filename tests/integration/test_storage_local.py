"""The local folder beyond the contract: crashes, races, and what a dead writer leaves."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from support.storage.local_store import HOUR, KEY, SECRET, files_below, folder_of, raw_put, wait_until

from storage.local import LocalStore
from storage.store import ObjectNotFoundError, PartTag, StorageError


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
