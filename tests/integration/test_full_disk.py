"""Storage on a disk that fills up: what is promised fits, what is received stops at the reserve, and all can go on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from support.api.server import Service, serving
from support.storage.small_disk import MIB, fill, free_bytes, small_disk

from services.process.settings import Settings

RESERVE = 40 * MIB
ANNOUNCED = {"filename": "talk.mp4", "content_type": "video/mp4"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", size_bytes=100 * MIB) as folder:
        yield folder


@pytest.fixture
def small(disk: Path, settings: Settings) -> Iterator[Service]:
    with serving(
        msgspec.structs.replace(settings, storage_dir=disk / "storage", disk_reserve_bytes=RESERVE)
    ) as running:
        yield running


def test_announcements_at_once_never_promise_more_than_fits(small: Service) -> None:
    person = small.person()
    wanted = {**ANNOUNCED, "size_bytes": 12 * MIB}
    # No more at once than there are connections to the database, so that a busy machine refuses none for want of one.
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: person.post("/api/recordings", wanted), range(20)))
    taken = [answer for answer in answers if answer.status_code == 201]
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {(answer.status_code, answer.json()["error"]["details"]["reason"]) for answer in refused} == {(503, "disk")}
    # None of the refused ones keeps any room.
    later = [person.post("/api/recordings", wanted).status_code for _ in range(6)]
    promised = len(taken) + later.count(201)
    assert 1 <= promised <= 5
    assert len(list(small.deps.buckets.recordings.list_uploads())) == promised


def test_receiving_stops_at_the_reserve_and_goes_on_when_there_is_room(small: Service, disk: Path) -> None:
    person = small.person()
    body = b"x" * (10 * MIB)
    upload = person.post("/api/recordings", {**ANNOUNCED, "size_bytes": len(body)}).json()["data"]
    fill(disk / "filler", leave_bytes=RESERVE + 3 * MIB)
    url = upload["upload"]["parts"][0]["url"]
    answer = small.client.put(url, content=body)
    assert (answer.status_code, answer.json()["error"]["retryable"]) == (503, True)
    assert int(answer.headers["Retry-After"]) > 0
    assert free_bytes(disk) >= RESERVE - 2 * MIB
    assert small.tags(person, upload["recording"]["id"]) == []
    assert person.delete(f"/api/recordings/{upload['recording']['id']}").status_code == 200
    (disk / "filler").unlink()
    recording_id = small.upload(person, [body])
    tags = small.tags(person, recording_id)
    assert person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags}).status_code == 202


def test_part_sent_again_keeps_one_copy(small: Service, disk: Path) -> None:
    person = small.person()
    body = b"x" * (8 * MIB)
    recording_id = small.upload(person, [body])
    before = free_bytes(disk)
    url = person.post(f"/api/recordings/{recording_id}/parts/1/sign").json()["data"]["url"]
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda _: small.client.put(url, content=body).status_code, range(4)))
    assert set(answers) == {200}
    assert before - free_bytes(disk) < MIB
    assert len(small.tags(person, recording_id)) == 1
