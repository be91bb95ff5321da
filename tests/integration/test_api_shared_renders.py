"""The same clip asked for twice: one render, two clips."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from support.api.server import Person, Service

from db.connection import SERVICE
from services.clips import state as clip_states
from services.jobs.service import Job, JobError, lease_of
from services.lifecycle import maintenance
from services.lifecycle import outcome as lifecycle

ERROR = JobError(
    code="decode_failed",
    message="The file is damaged here.",
    remedy="Send it again.",
    retryable=False,
)


@pytest.fixture
def person(service: Service) -> Person:
    return service.person(tier="pro")


@pytest.fixture
def recording_id(service: Service, person: Person) -> str:
    return service.ready_recording(person)


def ask(person: Person, recording_id: str, **changes: Any) -> dict[str, Any]:
    body = {"recording_id": recording_id, "start_s": 10, "end_s": 20, **changes}
    answer = person.post("/api/clips", body)
    assert answer.status_code == 202, answer.text
    return dict(answer.json()["data"])


def states(service: Service) -> list[str]:
    return [row["status"] for row in service.rows("SELECT status FROM clips ORDER BY created_at, id")]


def usage(service: Service) -> tuple[int, int]:
    [row] = service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'")
    return row["used"], row["reserved"]


def sweeps(service: Service) -> list[str]:
    found = service.rows("SELECT payload ->> 'prefix' AS prefix FROM jobs WHERE kind = 'delete_objects'")
    return [row["prefix"] for row in found]


def finish(service: Service, shared: Job) -> None:
    """End a job as the worker that began it does, whichever clips it is for by now."""
    with service.deps.database.transaction(SERVICE) as tx:
        subject = clip_states.get_for_render(tx, job_id=shared.id)
    service.finish_clip(str(subject.id), shared)


def content(service: Service, person: Person, clip_id: str) -> bytes:
    url = person.get(f"/api/clips/{clip_id}/download").headers["Location"]
    return bytes(service.client.get(url).content)


def test_same_clip_asked_twice_has_one_job_and_the_same_objects(
    service: Service, person: Person, recording_id: str
) -> None:
    first, second = ask(person, recording_id), ask(person, recording_id)
    assert first["clip"]["id"] != second["clip"]["id"]
    assert first["job"]["id"] == second["job"]["id"]
    assert second["job"]["clip_id"] == second["clip"]["id"]
    service.finish_clip(first["clip"]["id"], service.begin(first["job"]["id"]))
    assert states(service) == ["completed", "completed"]
    assert len(service.rows("SELECT DISTINCT objects FROM clips")) == 1
    assert content(service, person, second["clip"]["id"]) == b"the moving images"
    assert usage(service) == (2, 0)
    events = service.rows("SELECT clip_id FROM events WHERE type = 'clip.completed'")
    assert {str(row["clip_id"]) for row in events} == {first["clip"]["id"], second["clip"]["id"]}


def test_clip_that_is_made_already_is_completed_at_once(service: Service, person: Person, recording_id: str) -> None:
    first_id = service.ready_clip(person, recording_id)
    service.execute("UPDATE clips SET expires_at = now() + interval '1 day'")
    second = ask(person, recording_id)
    assert (second["clip"]["status"], second["job"]["status"]) == ("completed", "succeeded")
    assert datetime.fromisoformat(second["clip"]["expires_at"]) > datetime.now(UTC).replace(microsecond=0)
    assert content(service, person, second["clip"]["id"]) == b"the moving images"
    assert usage(service) == (2, 0)
    assert len(service.rows("SELECT 1 FROM jobs WHERE kind = 'render'")) == 1
    shared = person.post(f"/api/clips/{second['clip']['id']}/share", {"platform": "direct_link"})
    assert shared.status_code == 201
    assert person.delete(f"/api/clips/{first_id}").status_code == 200
    assert service.client.get(f"/c/{shared.json()['data']['slug']}").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"start_s": 10.5},
        {"end_s": 21},
        {"preset": "720p"},
        {"formats": ["webm"]},
        {"accuracy": "fast"},
        {"loudness": -14},
        {"title": "Another"},
    ],
)
def test_another_setting_is_another_render(
    service: Service, person: Person, recording_id: str, change: dict[str, Any]
) -> None:
    assert ask(person, recording_id)["job"]["id"] != ask(person, recording_id, **change)["job"]["id"]
    other = service.ready_recording(person)
    assert len({ask(person, each)["job"]["id"] for each in (recording_id, other)}) == 2


def test_many_at_once_make_one_job(service: Service, person: Person, recording_id: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(person, recording_id), range(16)))
    assert len({answer["job"]["id"] for answer in answers}) == 1
    assert len({answer["clip"]["id"] for answer in answers}) == 16
    finish(service, service.begin(answers[0]["job"]["id"]))
    assert states(service) == ["completed"] * 16
    assert usage(service) == (16, 0)


@pytest.mark.parametrize("leaver", [0, 1])
@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_one_that_leaves_does_not_stop_the_other(  # noqa: PLR0913 - fixtures, and one a trait
    service: Service, person: Person, recording_id: str, leaver: int, *, is_running: bool, verb: str
) -> None:
    pair = [ask(person, recording_id) for _ in range(2)]
    job_id = pair[0]["job"]["id"]
    job = service.begin(job_id) if is_running else None
    left, stays = pair[leaver]["clip"]["id"], pair[1 - leaver]["clip"]["id"]
    if verb == "cancel":
        assert person.post(f"/api/clips/{left}/cancel").json()["data"]["clip"]["status"] == "cancelled"
        assert person.post(f"/api/clips/{left}/cancel").status_code == 200
    else:
        assert person.delete(f"/api/clips/{left}").status_code == 200
    assert usage(service) == (0, 1)
    [row] = service.rows("SELECT state, cancel_requested_at, clip_id::text FROM jobs WHERE kind = 'render'")
    assert row == {"state": "running" if is_running else "queued", "cancel_requested_at": None, "clip_id": stays}
    finish(service, job or service.begin(job_id))
    assert person.get(f"/api/clips/{stays}").json()["data"]["status"] == "completed"
    assert usage(service) == (1, 0)
    assert sweeps(service) == []
    if verb == "cancel":
        assert person.get(f"/api/clips/{left}").json()["data"]["status"] == "cancelled"
        again = person.post(f"/api/clips/{left}/retry").json()["data"]
        assert (again["clip"]["status"], again["job"]["id"]) == ("completed", job_id)
        assert usage(service) == (2, 0)


def test_last_one_that_leaves_cancels_the_job(service: Service, person: Person, recording_id: str) -> None:
    pair = [ask(person, recording_id) for _ in range(2)]
    for each in pair:
        assert person.post(f"/api/clips/{each['clip']['id']}/cancel").status_code == 200
    assert service.rows("SELECT state FROM jobs WHERE kind = 'render'") == [{"state": "cancelled"}]
    assert usage(service) == (0, 0)
    assert ask(person, recording_id)["job"]["id"] != pair[0]["job"]["id"]


def test_nobody_joins_a_job_that_was_asked_to_stop(service: Service, person: Person, recording_id: str) -> None:
    first = ask(person, recording_id)
    job = service.begin(first["job"]["id"])
    person.post(f"/api/clips/{first['clip']['id']}/cancel")
    second = ask(person, recording_id)
    assert second["job"]["id"] != first["job"]["id"]
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.end_cancelled(tx, lease_of(job))
    assert states(service) == ["cancelled", "queued"]
    assert usage(service) == (0, 1)


def test_failure_is_that_of_all_who_wait_and_retries_share_again(
    service: Service, person: Person, recording_id: str
) -> None:
    pair = [ask(person, recording_id) for _ in range(2)]
    job = service.begin(pair[0]["job"]["id"])
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(job), error=ERROR)
    assert states(service) == ["failed", "failed"]
    assert usage(service) == (0, 0)
    again = [person.post(f"/api/clips/{each['clip']['id']}/retry").json()["data"] for each in pair]
    assert again[0]["job"]["id"] == again[1]["job"]["id"] != pair[0]["job"]["id"]
    finish(service, service.begin(again[0]["job"]["id"]))
    assert states(service) == ["completed", "completed"]
    assert usage(service) == (2, 0)


def test_operators_retry_takes_up_all_of_them(service: Service, person: Person, recording_id: str) -> None:
    pair = [ask(person, recording_id) for _ in range(2)]
    job = service.begin(pair[0]["job"]["id"])
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(job), error=ERROR)
        lifecycle.retry_many(tx, [job.id])
    assert states(service) == ["queued", "queued"]
    finish(service, service.begin(str(job.id)))
    assert states(service) == ["completed", "completed"]


def test_one_that_joins_sees_the_early_version(service: Service, person: Person, recording_id: str) -> None:
    first = ask(person, recording_id)
    job = service.begin(first["job"]["id"])
    key = f"{person.id}/{first['clip']['id']}/1/early-clip.mp4"
    service.deps.buckets.clips.put_bytes(key, b"early", content_type="video/mp4")
    preview = {"mp4": {"key": key, "content_type": "video/mp4", "size_bytes": 5}}
    with service.deps.database.transaction(SERVICE) as tx:
        clip_states.publish_preview(tx, clip_id=job.clip_id, objects=preview)
    second = ask(person, recording_id)
    assert (second["clip"]["status"], second["clip"]["is_preview"]) == ("processing", True)
    assert content(service, person, second["clip"]["id"]) == b"early"
    finish(service, job)
    assert content(service, person, second["clip"]["id"]) == b"the moving images"


def test_objects_go_with_the_last_clip_that_uses_them(service: Service, person: Person, recording_id: str) -> None:
    first_id = service.ready_clip(person, recording_id)
    second_id, third_id = (ask(person, recording_id)["clip"]["id"] for _ in range(2))
    assert person.delete(f"/api/clips/{first_id}").status_code == 200
    service.execute("UPDATE clips SET expires_at = now() - interval '1 day' WHERE id::text = %(id)s", id=second_id)
    with service.deps.database.transaction(SERVICE) as tx:
        assert maintenance.expire_clips(tx) == 1
        key = f"{person.id}/{first_id}/1/clip.mp4"
        assert maintenance.find_orphans(tx, bucket="clips", keys=[key]) == []
    assert sweeps(service) == []
    assert content(service, person, third_id) == b"the moving images"
    assert person.get(f"/api/clips/{third_id}/status").json()["data"]["progress"] == 100
    assert person.delete(f"/api/clips/{third_id}").status_code == 200
    assert sweeps(service) == [f"{person.id}/{first_id}/"]
    # An expired clip is rendered again, because its objects are gone.
    again = person.post(f"/api/clips/{second_id}/retry").json()["data"]
    assert again["clip"]["status"] == "queued"


def test_new_title_of_one_is_not_written_into_the_file_of_the_other(
    service: Service, person: Person, recording_id: str
) -> None:
    alone = ask(person, recording_id)
    person.patch(f"/api/clips/{alone['clip']['id']}", {"title": "Renamed"})
    pair = [ask(person, recording_id) for _ in range(2)]
    assert pair[0]["job"]["id"] == pair[1]["job"]["id"] != alone["job"]["id"]
    person.patch(f"/api/clips/{pair[0]['clip']['id']}", {"title": "Renamed too"})
    with service.deps.database.transaction(SERVICE) as tx:
        titles = [
            clip_states.get_for_render(tx, job_id=service.begin(each["job"]["id"]).id).title
            for each in (alone, pair[0])
        ]
    assert titles == ["Renamed", "Talk"]


def test_refused_for_quota_joins_nothing(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    for _ in range(5):
        ask(person, recording_id)
    body = {"recording_id": recording_id, "start_s": 10, "end_s": 20}
    assert person.post("/api/clips", body).status_code == 429
    assert len(states(service)) == 5


def test_account_with_shared_clips_can_be_deleted(service: Service, person: Person, recording_id: str) -> None:
    service.ready_clip(person, recording_id)
    ask(person, recording_id)
    ask(person, recording_id, start_s=11)
    service.execute("DELETE FROM users")
    assert service.rows("SELECT 1 FROM renders") == []
