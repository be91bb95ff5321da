"""Parts of an upload into a folder: sizes, repeats, and writers that die."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from support.storage.local_store import KEY, files_below, folder_of

from storage.local import LocalStore
from storage.multipart import MIN_PART_BYTES
from storage.store import ObjectNotFoundError, PartBusyError, PartLayout, PartTag, PartTooLargeError

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


def test_completion_joins_the_parts_and_drops_them(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    tags = send(http, store, upload_id, dict(reversed(BODIES.items())))
    store.complete_multipart(KEY, upload_id, sorted(tags, key=lambda tag: tag.number))
    assert store.get_range(KEY, 0, len(WHOLE) + 1) == WHOLE
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


@pytest.mark.parametrize(
    ("number", "size_bytes", "status"), [(1, MIN_PART_BYTES + 1, 413), (3, 4, 413), (4, 1, 422), (3, 3, 200)]
)
def test_part_larger_than_announced_is_refused_and_not_kept(
    store: LocalStore, http: httpx.Client, number: int, size_bytes: int, status: int
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    before = files_below(folder_of(store))
    answer = http.put(store.presign_part(KEY, upload_id, number, expires_s=60), content=b"x" * size_bytes)
    assert answer.status_code == status
    if status != 200:
        assert files_below(folder_of(store)) == before
        assert store.list_parts(KEY, upload_id) == []


def test_part_sent_again_replaces_the_first_once_it_is_complete(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    first = send(http, store, upload_id, BODIES)
    with store.new_part(KEY, upload_id, 1, size_bytes=MIN_PART_BYTES) as broken_off:
        broken_off.write(b"x" * 1000)
    assert [part.etag for part in store.list_parts(KEY, upload_id)] == [tag.etag.strip('"') for tag in first]
    (again,) = send(http, store, upload_id, {1: b"A" * MIN_PART_BYTES})
    store.complete_multipart(KEY, upload_id, [again, *first[1:]])
    assert store.get_range(KEY, 0, len(WHOLE)) == b"A" * MIN_PART_BYTES + BODIES[2] + BODIES[3]
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


def test_older_part_that_arrives_after_a_newer_one_is_not_kept(store: LocalStore) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 3, size_bytes=3) as older:
        older.write(b"old")
        with store.new_part(KEY, upload_id, 3, size_bytes=3) as newer:
            newer.write(b"new")
            kept = store.publish_part(newer, KEY, upload_id, 3)
        (file,) = upload_folder(store, upload_id).glob("part-*")
        later = file.stat().st_mtime + 60
        os.utime(file, (later, later))
        store.publish_part(older, KEY, upload_id, 3)
    assert [path.name for path in upload_folder(store, upload_id).glob("part-*")] == [f"part-00003-{kept.etag}"]


def test_part_whose_writer_died_can_be_sent_again(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    dead = store.new_part(KEY, upload_id, 3, size_bytes=3)
    dead.write(b"xy")
    dead.discard()  # what the kernel does with the files of a process that is killed
    assert store.list_parts(KEY, upload_id) == []
    store.complete_multipart(KEY, upload_id, send(http, store, upload_id, BODIES))
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE


def test_late_writer_does_not_reach_the_object(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 1, size_bytes=MIN_PART_BYTES) as slow:
        slow.write(b"x" * 1000)
        store.complete_multipart(KEY, upload_id, send(http, store, upload_id, BODIES))
        slow.write(b"x" * 1000)
        with pytest.raises(ObjectNotFoundError):
            store.publish_part(slow, KEY, upload_id, 1)
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE


def test_part_draft_refuses_bytes_beyond_its_announced_size(store: LocalStore) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 3, size_bytes=3) as part:
        part.write(b"3!")
        with pytest.raises(PartTooLargeError):
            part.write(b"!!")


def test_third_writer_of_one_part_is_busy_until_another_ends(store: LocalStore) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    with store.new_part(KEY, upload_id, 3, size_bytes=3):
        with store.new_part(KEY, upload_id, 3, size_bytes=3), pytest.raises(PartBusyError):
            store.new_part(KEY, upload_id, 3, size_bytes=3)
        store.new_part(KEY, upload_id, 3, size_bytes=3).discard()


def test_completions_at_once_return_the_same_object(store: LocalStore, http: httpx.Client) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    tags = send(http, store, upload_id, BODIES)
    with ThreadPoolExecutor(8) as clients:
        completed = list(clients.map(lambda _: store.complete_multipart(KEY, upload_id, tags), range(8)))
    assert all(described == completed[0] for described in completed)
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]


def test_kill_between_completion_and_removal_of_the_parts_loses_nothing(
    store: LocalStore, http: httpx.Client, tmp_path: Path
) -> None:
    upload_id = store.create_multipart(KEY, content_type="video/mp4", layout=LAYOUT)
    tags = send(http, store, upload_id, BODIES)
    folder = upload_folder(store, upload_id)
    shutil.copytree(folder, tmp_path / "kept")
    completed = store.complete_multipart(KEY, upload_id, tags)
    shutil.copytree(tmp_path / "kept", folder)
    assert store.complete_multipart(KEY, upload_id, tags).etag == completed.etag
    assert store.get_range(KEY, 0, len(WHOLE)) == WHOLE
    assert files_below(folder_of(store)) == [f"facts/{KEY}", f"objects/{KEY}"]
