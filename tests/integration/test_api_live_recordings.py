"""Recording a room over HTTP, up to the job that makes one file of it."""

from typing import Any
from uuid import uuid4

import pytest
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.lifecycle import maintenance

START_MS = 1_000


class Stage:
    """A room that is being recorded, its host, and somebody else in it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.host, self.other = service.person(tier="premium"), service.person()
        self.room = self.host.post("/api/rooms/create", {"name": "Thursday table"}).json()["data"]
        self.path = f"/api/rooms/{self.room['id']}/recording"
        assert self.other.post(f"/api/rooms/{self.room['id']}/join").status_code == 200

    def start(self) -> dict[str, Any]:
        answer = self.host.post(f"{self.path}/start", {"title": "Small tools"})
        assert answer.status_code == 201, answer.text
        recording: dict[str, Any] = answer.json()["data"]["recording"]
        return recording

    def track(self, person: Person | None = None, source: str = "microphone") -> dict[str, Any]:
        body = {"source": source, "content_type": "audio/webm;codecs=opus", "client_now_ms": START_MS}
        answer = (person or self.host).post(f"{self.path}/tracks", body)
        assert answer.status_code == 201, answer.text
        track: dict[str, Any] = answer.json()["data"]["track"]
        return track

    def announce(self, track: dict[str, Any], number: int, data: bytes, person: Person | None = None) -> Any:
        body = {
            "number": number,
            "size_bytes": len(data),
            "start_ms": START_MS + 2000 * (number - 1),
            "duration_ms": 2000,
        }
        return (person or self.host).post(f"{self.path}/tracks/{track['id']}/parts", body)

    def send(self, track: dict[str, Any], number: int, data: bytes = b"part", *, person: Person | None = None) -> None:
        announced = self.announce(track, number, data, person)
        assert announced.status_code == 201, announced.text
        stored = self.service.client.put(announced.json()["data"]["url"], content=data)
        assert stored.status_code == 200, stored.text
        told = (person or self.host).post(
            f"{self.path}/tracks/{track['id']}/parts/{number}/stored", {"etag": stored.headers["ETag"]}
        )
        assert told.status_code == 200, told.text

    def complete(self, person: Person | None = None) -> None:
        assert (person or self.host).post(f"{self.path}/complete").status_code == 200

    def due_in_s(self, job_id: str) -> float:
        query = "SELECT extract(epoch FROM run_at - now())::float8 AS due_s FROM jobs WHERE id = %(id)s"
        [row] = self.service.rows(query, id=job_id)
        due_s: float = row["due_s"]
        return due_s

    def conversations(self) -> tuple[int, int]:
        items = self.host.get("/api/subscription/usage").json()["data"]["items"]
        [row] = [item for item in items if item["feature"] == "conversations_per_month"]
        return row["used"], row["reserved"]


@pytest.fixture
def stage(service: Service) -> Stage:
    return Stage(service)


def test_recording_runs_from_start_to_stop(stage: Stage) -> None:
    recording = stage.start()
    assert (recording["status"], recording["title"]) == ("live", "Small tools")
    room = stage.other.get(f"/api/rooms/{stage.room['id']}").json()["data"]
    assert room["recording"]["recording_id"] == recording["id"]
    assert stage.conversations() == (0, 1)
    assert refused(stage.host.post(f"{stage.path}/start", {}), 409)["code"] == "recording_running"
    track = stage.track()
    for number in (1, 2, 4, 5, 6):
        stage.send(track, number)
    shown = stage.other.get(stage.path).json()["data"]
    assert shown["recording"]["id"] == recording["id"]
    assert [(each["stored"], each["next_number"]) for each in shown["tracks"]] == [([[1, 2], [4, 6]], 7)]
    assert stage.conversations() == (1, 0), "ten seconds are stored"
    stopped = stage.host.post(f"{stage.path}/stop")
    assert stopped.status_code == 202
    data = stopped.json()["data"]
    assert (data["recording"]["status"], data["job"]["kind"]) == ("processing", "finalise_live")
    assert stage.host.post(f"{stage.path}/stop").json()["data"]["job"]["id"] == data["job"]["id"]
    assert stage.conversations() == (1, 0)
    assert stage.host.get(f"/api/rooms/{stage.room['id']}").json()["data"]["recording"] is None
    stage.complete()
    refused(stage.announce(track, 7, b"late"), 409)
    waiting = stage.service.rows("SELECT kind FROM jobs WHERE recording_id = %(id)s ORDER BY kind", id=recording["id"])
    assert [row["kind"] for row in waiting] == ["finalise_live", "listen_live"]


def test_recording_of_less_than_ten_seconds_is_not_counted(stage: Stage) -> None:
    stage.start()
    stage.send(stage.track(), 1)
    assert stage.conversations() == (0, 1)
    stage.host.post(f"{stage.path}/stop")
    assert stage.conversations() == (0, 1), "more may come"
    stage.complete()
    assert stage.conversations() == (0, 0)


def test_parts_of_all_tracks_are_taken_for_a_while_after_the_stop(stage: Stage) -> None:
    stage.start()
    stage.other.post(f"{stage.path}/consent", {"given": True})
    mine, theirs = stage.track(), stage.track(stage.other)
    for number in range(1, 5):
        stage.send(mine, number)
    data = stage.host.post(f"{stage.path}/stop").json()["data"]
    assert data["recording"]["status"] == "processing"
    assert stage.due_in_s(data["job"]["id"]) == pytest.approx(30, abs=5)
    stage.complete()
    assert stage.due_in_s(data["job"]["id"]) > 0, "the other's parts are missing"
    stage.send(mine, 5)
    assert stage.conversations() == (1, 0), "the tenth second came after the stop"
    stage.send(theirs, 1, person=stage.other)
    stage.complete(stage.other)
    assert stage.due_in_s(data["job"]["id"]) <= 0
    refused(stage.announce(theirs, 2, b"late", stage.other), 409)
    shown = stage.host.get(stage.path).json()["data"]["tracks"]
    assert [track["stored"] for track in shown] == [[[1, 5]], [[1, 1]]]


def test_part_that_is_larger_than_announced_is_refused_by_its_address(stage: Stage) -> None:
    stage.start()
    url = stage.announce(stage.track(), 1, b"1234").json()["data"]["url"]
    assert stage.service.client.put(url, content=b"12345").status_code == 413
    assert stage.service.client.put(url, content=b"1234").status_code == 200


def test_grace_period_ends_by_itself(stage: Stage) -> None:
    recording = stage.start()
    track = stage.track()
    stage.send(track, 1)
    stage.host.post(f"{stage.path}/stop")
    stage.send(track, 2)
    stage.service.execute(
        "UPDATE recordings SET live_ended_at = live_ended_at - interval '40 s',"
        " live_closes_at = live_closes_at - interval '40 s' WHERE id = %(id)s",
        id=recording["id"],
    )
    refused(stage.announce(track, 3, b"late"), 409)


def test_parts_are_taken_of_those_who_left_and_not_of_those_who_were_removed(stage: Stage) -> None:
    stage.start()
    stage.other.post(f"{stage.path}/consent", {"given": True})
    track = stage.track(stage.other)
    assert stage.other.request("DELETE", f"/api/rooms/{stage.room['id']}/leave").status_code == 200
    stage.send(track, 1, person=stage.other)
    assert stage.other.post(f"/api/rooms/{stage.room['id']}/join").status_code == 200
    assert stage.host.post(f"/api/rooms/{stage.room['id']}/participants/{stage.other.id}/kick").status_code == 200
    refused(stage.announce(track, 2, b"x", stage.other), 404)


def test_tracks_before_and_after_a_reload_count_together(stage: Stage) -> None:
    stage.start()
    for numbers in (range(1, 4), range(1, 3)):
        track = stage.track()
        for number in numbers:
            stage.send(track, number)
    assert stage.conversations() == (1, 0)


def test_recording_ends_and_counts_with_its_room(stage: Stage) -> None:
    recording = stage.start()
    track = stage.track()
    for number in range(1, 6):
        stage.send(track, number)
    assert stage.host.delete(f"/api/rooms/{stage.room['id']}").status_code == 200
    assert stage.host.get(f"/api/recordings/{recording['id']}").json()["data"]["status"] == "processing"
    assert stage.conversations() == (1, 0)


def test_nobody_is_recorded_before_agreeing(stage: Stage) -> None:
    body = {"source": "microphone", "content_type": "audio/webm", "client_now_ms": 0}
    refused(stage.other.post(f"{stage.path}/consent", {"given": True}), 409)
    recording = stage.start()
    refused(stage.other.post(f"{stage.path}/tracks", body), 403)
    assert stage.other.post(f"{stage.path}/consent", {"given": False}).json()["data"] == {"given": False}
    refused(stage.other.post(f"{stage.path}/tracks", body), 403)
    stage.other.post(f"{stage.path}/consent", {"given": True})
    assert stage.other.post(f"{stage.path}/tracks", body).status_code == 201
    refused(stage.other.post(f"{stage.path}/tracks", body | {"source": "screen"}), 403)
    people = stage.host.get(f"/api/rooms/{stage.room['id']}/participants").json()["data"]["items"]
    assert [person["has_consented"] for person in people] == [True, True]
    answers = stage.service.rows(
        "SELECT given FROM recording_consents WHERE recording_id = %(id)s AND user_id = %(user_id)s",
        id=recording["id"],
        user_id=stage.other.id,
    )
    assert answers == [{"given": True}]


def test_parts_that_do_not_fit_are_refused_and_the_recording_goes_on(stage: Stage) -> None:
    stage.start()
    track = stage.track()
    refused(stage.announce({"id": uuid4()}, 1, b"x"), 404)
    refused(stage.announce(track, 1, b"x", stage.other), 404)
    refused(stage.announce(track, 0, b"x"), 422, "number")
    too_large = {"number": 1, "size_bytes": 10**9, "start_ms": 0, "duration_ms": 2000}
    refused(stage.host.post(f"{stage.path}/tracks/{track['id']}/parts", too_large), 413)
    path = f"{stage.path}/tracks/{track['id']}/parts"
    refused(stage.host.post(f"{path}/1/stored", {"etag": "x"}), 404)
    url = stage.announce(track, 1, b"four").json()["data"]["url"]
    refused(stage.host.post(f"{path}/1/stored", {"etag": "x"}), 422, "number")
    assert stage.service.client.put(url, content=b"five!").status_code == 413
    etag = stage.service.client.put(url, content=b"two").headers["ETag"]
    refused(stage.host.post(f"{path}/1/stored", {"etag": etag}), 422, "number")
    stage.send(track, 1, b"four")
    stage.send(track, 1, b"four")
    stage.send(track, 2, b"")
    assert stage.host.get(stage.path).json()["data"]["tracks"][0]["stored"] == [[1, 2]]


def test_people_outside_see_nothing_of_it(stage: Stage) -> None:
    stage.start()
    stranger = stage.service.person(tier="pro")
    for method, path in (
        ("GET", ""),
        ("POST", "/start"),
        ("POST", "/consent"),
        ("POST", "/tracks"),
        ("POST", "/stop"),
        ("POST", "/marks"),
    ):
        body = {"given": True} if path == "/consent" else {}
        if path == "/tracks":
            body = {"source": "microphone", "content_type": "audio/webm", "client_now_ms": 0}
        assert stranger.request(method, stage.path + path, json=body).status_code == 404, path
    refused(stage.other.post(f"{stage.path}/start", {}), 403)
    refused(stage.other.post(f"{stage.path}/stop"), 403)


def test_moments_are_saved_and_counted(stage: Stage) -> None:
    recording = stage.start()
    saved = stage.other.post(f"{stage.path}/marks", {"label": "the keyboard story"})
    assert saved.status_code == 201, saved.text
    memory = saved.json()["data"]
    assert memory["recording_id"] == recording["id"]
    assert 0 <= memory["at_s"] < 60
    refused(stage.other.post(f"{stage.path}/marks", {"at_s": 4000}), 422, "at_s")
    items = stage.other.get("/api/subscription/usage").json()["data"]["items"]
    assert [item["used"] for item in items if item["feature"] == "memory_entries"] == [1]
    stage.host.post(f"{stage.path}/stop")
    refused(stage.other.post(f"{stage.path}/marks"), 422, "at_s")
    assert stage.other.post(f"{stage.path}/marks", {"at_s": 0}).status_code == 201


def test_recording_ends_before_it_is_longer_than_the_tier_allows(stage: Stage) -> None:
    recording = stage.start()
    track = stage.track()
    stage.send(track, 1)

    def grow(seconds: float) -> int:
        stage.service.execute(
            "UPDATE recordings SET live_started_at = now() - make_interval(secs => %(s)s) WHERE id = %(id)s",
            s=seconds,
            id=recording["id"],
        )
        with stage.service.deps.database.transaction(SERVICE) as tx:
            return maintenance.end_silent_recordings(tx)["ended"]

    limit_s = 12 * 3600
    assert grow(limit_s - 90) == 0
    stage.send(track, 2)
    stage.service.execute(
        "UPDATE recordings SET live_started_at = now() - make_interval(secs => %(s)s) WHERE id = %(id)s",
        s=limit_s + 1,
        id=recording["id"],
    )
    refused(stage.announce(track, 3, b"too late"), 409)
    assert grow(limit_s - 30) == 1
    assert stage.host.get(f"/api/recordings/{recording['id']}").json()["data"]["status"] == "processing"


def test_recording_that_falls_silent_is_stopped_by_the_scheduler(stage: Stage) -> None:
    recording = stage.start()
    stage.service.execute("UPDATE recordings SET live_started_at = now() - interval '1 hour' WHERE status = 'live'")
    for ended in (1, 0):
        with stage.service.deps.database.transaction(SERVICE) as tx:
            assert maintenance.end_silent_recordings(tx) == {"ended": ended}
    assert stage.host.get(f"/api/recordings/{recording['id']}").json()["data"]["status"] == "processing"
    assert stage.conversations() == (0, 0)
