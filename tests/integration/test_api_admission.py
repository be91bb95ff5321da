"""What a client is told of when, and of no."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
import pytest
from support.api.server import Service, serving

from services.process.settings import Settings

ADD_WORKER = """
INSERT INTO workers (id, host, pid, version, queues, slots) VALUES (gen_random_uuid(), 'here', 1, '1', %(queues)s, 1)
"""


@pytest.fixture
def full(settings: Settings) -> Iterator[Service]:
    """A server whose disk is never free enough."""
    with serving(msgspec.structs.replace(settings, disk_reserve_bytes=2**60)) as running:
        yield running


@pytest.fixture
def staffed(service: Service) -> Iterator[Service]:
    service.execute(ADD_WORKER, queues=["render", "ingest"])
    yield service
    service.execute("DELETE FROM workers")


def test_full_disk_takes_nothing_new_and_says_so(full: Service) -> None:
    person = full.person()
    recording_id = full.ready_recording(person)
    announced = {"filename": "talk.mp4", "size_bytes": 1000, "content_type": "video/mp4"}
    clip = {"recording_id": recording_id, "start_s": 10, "end_s": 20}
    for path, body in (
        ("/api/recordings", announced),
        ("/api/clips", clip),
        ("/api/clips/auto-generate", {"recording_id": recording_id}),
    ):
        answer = person.post(path, body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["retryable"]) == (503, "unavailable", True), path
        assert error["details"]["reason"] == "disk"
        assert int(answer.headers["Retry-After"]) > 0
        assert "disk is nearly full" in error["message"]
    assert full.rows("SELECT 1 FROM clips") == []


def test_accepted_clip_says_when_it_begins_and_ends(staffed: Service) -> None:
    person = staffed.person(tier="pro")
    recording_id = staffed.ready_recording(person)
    told = [
        person.post("/api/clips", {"recording_id": recording_id, "start_s": start_s, "end_s": 30}).json()["data"]["job"]
        for start_s in (10, 11)
    ]
    starts = [datetime.fromisoformat(job["estimated_start_at"]) for job in told]
    ends = [datetime.fromisoformat(job["estimated_finish_at"]) for job in told]
    assert starts[0] < ends[0] <= starts[1] < ends[1]
    looked = person.get(f"/api/jobs/{told[1]['id']}").json()["data"]
    assert looked["estimated_finish_at"] >= told[1]["estimated_start_at"]
    assert person.get("/api/jobs").json()["data"]["items"][0]["estimated_start_at"] is None


def test_completed_upload_says_when_it_is_listened_to(staffed: Service) -> None:
    person = staffed.person()
    recording_id = staffed.upload(person)
    body = {"parts": staffed.tags(person, recording_id)}
    job = person.post(f"/api/recordings/{recording_id}/complete", body).json()["data"]["job"]
    assert job["created_at"] <= job["estimated_start_at"] < job["estimated_finish_at"]


def test_job_that_ended_has_no_estimate(staffed: Service) -> None:
    person = staffed.person()
    staffed.ready_clip(person)
    [job] = person.get("/api/jobs").json()["data"]["items"]
    assert person.get(f"/api/jobs/{job['id']}").json()["data"]["estimated_start_at"] is None
