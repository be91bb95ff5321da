from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import httpx
import pytest
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.clips import state as clip_states
from services.jobs.service import JobError, lease_of
from services.lifecycle import outcome as lifecycle


def ask(person: Person, recording_id: str, /, **changes: Any) -> httpx.Response:
    return person.post("/api/clips", {"recording_id": recording_id, "start_s": 10, "end_s": 20, **changes})


def test_accepted_clip_comes_with_its_job(service: Service) -> None:
    person = service.person()
    answer = ask(person, service.ready_recording(person), formats=["mp4", "mp3"], loudness=-14, description="Look")
    clip, job = answer.json()["data"]["clip"], answer.json()["data"]["job"]
    assert answer.status_code == 202
    assert (clip["status"], clip["title"], clip["preset"], clip["accuracy"]) == ("queued", "Talk", "original", "exact")
    assert (clip["formats"], clip["loudness"], clip["description"]) == (["mp4", "mp3"], -14.0, "Look")
    assert (clip["duration_s"], clip["outputs"], clip["job_id"]) == (10.0, {}, job["id"])
    assert (job["kind"], job["status"], job["clip_id"]) == ("render", "queued", clip["id"])
    assert job["trace_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"start_s": 20, "end_s": 10}, 422, "end_s"),
        ({"start_s": 10, "end_s": 10}, 422, "end_s"),
        ({"start_s": -1}, 422, "start_s"),
        ({"start_s": 1e300, "end_s": 1e301}, 422, "start_s"),
        ({"start_s": 110, "end_s": 130}, 422, "end_s"),
        ({"start_s": 500, "end_s": 510}, 422, "start_s"),
        ({"end_s": 14}, 422, "end_s"),
        ({"start_s": None}, 422, "start_s"),
        ({"start_s": "NaN"}, 422, "start_s"),
        ({"preset": "wide"}, 422, "preset"),
        ({"formats": ["avi"]}, 422, "formats"),
        ({"formats": []}, 422, "formats"),
        ({"accuracy": "roughly"}, 422, "accuracy"),
        ({"loudness": 3}, 422, "loudness"),
        ({"title": "x" * 301}, 422, "title"),
        ({"recording_id": str(uuid4())}, 404, None),
        ({"recording_id": "1"}, 422, "recording_id"),
        ({"highlight_id": str(uuid4())}, 404, None),
    ],
)
def test_clip_that_cannot_be_made_is_refused_and_costs_nothing(
    service: Service, changes: dict[str, Any], status: int, field: str | None
) -> None:
    person = service.person()
    refused(ask(person, service.ready_recording(person), **changes), status, field)
    assert service.rows("SELECT 1 FROM jobs") == []
    assert service.rows("SELECT 1 FROM usage_quotas WHERE feature = 'clips_per_month' AND reserved + used > 0") == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "01"])
def test_number_that_json_does_not_know_is_refused(service: Service, number: str) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    body = f'{{"recording_id": "{recording_id}", "start_s": {number}, "end_s": 20}}'
    answer = person.post("/api/clips", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["message"]


def test_free_tier_is_held_to_two_minutes_and_pro_to_five(service: Service) -> None:
    free, pro = service.person(), service.person(tier="pro")
    for person, longest_s in ((free, 120), (pro, 300)):
        recording_id = service.ready_recording(person, duration_s=600)
        assert ask(person, recording_id, start_s=0, end_s=longest_s).status_code == 202
        refused(ask(person, recording_id, start_s=0, end_s=longest_s + 1), 422, "end_s")


def test_sound_alone_becomes_an_audiogram(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, has_video=False)
    assert ask(person, recording_id).json()["data"]["clip"]["preset"] == "audiogram"
    refused(ask(person, recording_id, preset="vertical"), 422, "preset")


def test_pictures_alone_cannot_be_heard(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, has_audio=False)
    refused(ask(person, recording_id, formats=["mp3"]), 422, "formats")
    assert ask(person, recording_id).status_code == 202


def test_recording_that_is_not_read_yet_is_worth_another_try(service: Service) -> None:
    person = service.person()
    assert refused(ask(person, service.upload(person)), 409)["retryable"]


def test_fifth_clip_of_the_month_is_the_last_on_the_free_tier(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    assert [ask(person, recording_id).status_code for _ in range(5)] == [202] * 5
    answer = ask(person, recording_id)
    error = refused(answer, 429)
    assert (error["code"], error["retryable"]) == ("quota_exceeded", False)
    assert error["details"]["limit"] == error["details"]["used"] == error["details"]["reserved"] == 5
    assert error["details"]["resets_at"].endswith("-01T00:00:00Z")
    assert int(answer.headers["Retry-After"]) > 0
    assert "All 5 clips that Free Tier includes this month" in error["message"]
    assert len(service.rows("SELECT 1 FROM clips")) == 5


def test_allowance_holds_when_many_ask_at_once(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    with ThreadPoolExecutor(12) as pool:
        statuses = sorted(pool.map(lambda _: ask(person, recording_id).status_code, range(24)))
    assert statuses == [202] * 5 + [429] * 19
    assert service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'") == [
        {"used": 0, "reserved": 5}
    ]
    assert len(service.rows("SELECT 1 FROM quota_holds")) == 5


def test_allowance_comes_back_when_a_clip_fails_or_is_cancelled(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    failing, cancelled = (ask(person, recording_id, start_s=start_s).json()["data"] for start_s in (10, 11))
    job = service.begin(failing["job"]["id"])
    error = JobError(
        code="decode_failed",
        message="The file is damaged here.",
        remedy="Send it again.",
        retryable=False,
    )
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(job), error=error)
    assert person.post(f"/api/clips/{cancelled['clip']['id']}/cancel").status_code == 200
    assert service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'") == [
        {"used": 0, "reserved": 0}
    ]
    status = person.get(f"/api/clips/{failing['clip']['id']}/status").json()["data"]
    assert (status["status"], status["error"]["code"]) == ("failed", "decode_failed")


def test_status_follows_the_job_to_its_end(service: Service) -> None:
    person = service.person()
    data = ask(person, service.ready_recording(person)).json()["data"]
    path = f"/api/clips/{data['clip']['id']}/status"

    def status() -> dict[str, Any]:
        return dict(person.get(path).json()["data"])

    assert (status()["status"], status()["progress"], status()["stage"]) == ("queued", 0.0, "queued")
    job = service.begin(data["job"]["id"])
    service.execute("UPDATE jobs SET progress = 40, stage = 'encoding', eta_s = 3 WHERE id = %(id)s", id=job.id)
    assert (status()["status"], status()["progress"]) == ("processing", 40.0)
    assert (status()["stage"], status()["eta_s"]) == ("encoding", 3.0)
    service.finish_clip(data["clip"]["id"], job)
    assert (status()["status"], status()["progress"], status()["eta_s"]) == ("completed", 100.0, 0.0)


def test_download_leads_to_the_file_under_a_name_that_people_know(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person, title="Öl & Äther: 1/2")
    answer = person.get(f"/api/clips/{clip_id}/download")
    assert answer.status_code == 302
    part = service.client.get(answer.headers["Location"], headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, b"moving")
    assert part.headers["Content-Type"] == "video/mp4"
    assert "Öl & Äther 1 2.mp4" in unquote(part.headers["Content-Disposition"])
    thumbnail = person.get(f"/api/clips/{clip_id}/download?format=jpeg").headers["Location"]
    assert service.client.get(thumbnail).content == b"the thumbnail"


def test_format_that_was_not_made_is_refused_with_those_that_were(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    error = refused(person.get(f"/api/clips/{clip_id}/download?format=webm"), 422, "format")
    assert error["message"] == "This clip was not made as webm; choose jpeg, mp4."
    assert error["details"]["allowed"] == ["jpeg", "mp4"]
    refused(person.get(f"/api/clips/{clip_id}/download?format=../../x"), 422, "format")


def test_preview_can_be_downloaded_while_the_exact_version_is_made(service: Service) -> None:
    person = service.person()
    data = ask(person, service.ready_recording(person)).json()["data"]
    clip_id = data["clip"]["id"]
    error = refused(person.get(f"/api/clips/{clip_id}/download"), 409)
    assert (error["code"], error["retryable"]) == ("not_ready", True)
    job = service.begin(data["job"]["id"])
    key = f"{person.id}/{clip_id}/1/preview.mp4"
    stored = service.deps.buckets.clips.put_bytes(key, b"early", content_type="video/mp4")
    preview = {"mp4": {"key": key, "content_type": "video/mp4", "size_bytes": stored.size_bytes}}
    with service.deps.database.transaction(SERVICE) as tx:
        clip_states.publish_preview(tx, clip_id=job.clip_id, objects=preview)
    assert person.get(f"/api/clips/{clip_id}/status").json()["data"]["is_preview"]
    url = person.get(f"/api/clips/{clip_id}/download").headers["Location"]
    assert service.client.get(url).content == b"early"
    service.finish_clip(clip_id, job)
    url = person.get(f"/api/clips/{clip_id}/download?format=mp4").headers["Location"]
    assert service.client.get(url).content == b"the moving images"


def test_clips_are_found_by_state_recording_and_text(service: Service) -> None:
    person = service.person()
    first, second = service.ready_recording(person), service.ready_recording(person)
    done = service.ready_clip(person, first, title="The demo works")
    waiting = ask(person, second, description="A demo to come").json()["data"]["clip"]["id"]

    def found(**query: str) -> list[str]:
        return [item["id"] for item in person.get("/api/clips", params=query).json()["data"]["items"]]

    assert found() == [waiting, done]
    assert found(status="completed") == [done]
    assert found(recording_id=second) == [waiting]
    assert found(q="DEMO") == [waiting, done]
    assert found(q="works") == [done]
    assert found(recording_id=str(uuid4())) == []
    refused(person.get("/api/clips?recording_id=x"), 422, "recording_id")
    refused(person.get("/api/clips?status=lost"), 422, "status")


def test_clips_are_paged_without_loss(service: Service) -> None:
    person = service.person(tier="pro")
    recording_id = service.ready_recording(person)
    made = [ask(person, recording_id).json()["data"]["clip"]["id"] for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        data = person.get(f"/api/clips?limit=2{'&cursor=' + cursor if cursor else ''}").json()["data"]
        seen += [item["id"] for item in data["items"]]
        cursor = data["next_cursor"]
    assert seen == made[::-1]


def test_title_and_description_can_be_changed(service: Service) -> None:
    person = service.person()
    clip_id = ask(person, service.ready_recording(person)).json()["data"]["clip"]["id"]
    changed = person.patch(f"/api/clips/{clip_id}", {"description": "New"}).json()["data"]
    assert (changed["title"], changed["description"]) == ("Talk", "New")
    assert person.patch(f"/api/clips/{clip_id}", {"title": "Newer"}).json()["data"]["title"] == "Newer"
    refused(person.patch(f"/api/clips/{clip_id}", {"status": "completed"}), 422, "status")


def test_cancelling_a_waiting_clip_ends_it_at_once_and_twice_is_no_error(service: Service) -> None:
    person = service.person()
    clip_id = ask(person, service.ready_recording(person)).json()["data"]["clip"]["id"]
    for _ in range(2):
        answer = person.post(f"/api/clips/{clip_id}/cancel")
        assert answer.status_code == 200
        assert answer.json()["data"]["clip"]["status"] == "cancelled"
        assert answer.json()["data"]["job"]["status"] == "cancelled"


def test_cancelling_a_running_clip_asks_its_worker(service: Service) -> None:
    person = service.person()
    data = ask(person, service.ready_recording(person)).json()["data"]
    service.begin(data["job"]["id"])
    answer = person.post(f"/api/clips/{data['clip']['id']}/cancel").json()["data"]
    assert (answer["clip"]["status"], answer["job"]["cancel_requested"]) == ("processing", True)
    assert "no other follows" in answer["job"]["cancellation"]


def test_finished_clip_cannot_be_cancelled_or_made_again(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    refused(person.post(f"/api/clips/{clip_id}/cancel"), 409)
    refused(person.post(f"/api/clips/{clip_id}/retry"), 409)


def test_retry_makes_a_new_job_with_an_allowance_of_its_own(service: Service) -> None:
    person = service.person()
    first = ask(person, service.ready_recording(person)).json()["data"]
    clip_id = first["clip"]["id"]
    person.post(f"/api/clips/{clip_id}/cancel")
    answer = person.post(f"/api/clips/{clip_id}/retry")
    again = answer.json()["data"]
    assert answer.status_code == 202
    assert (again["clip"]["id"], again["clip"]["status"]) == (clip_id, "queued")
    assert again["job"]["id"] != first["job"]["id"]
    service.finish_clip(clip_id, service.begin(again["job"]["id"]))
    assert person.get(f"/api/clips/{clip_id}").json()["data"]["status"] == "completed"
    assert service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'") == [
        {"used": 1, "reserved": 0}
    ]


def test_expired_clip_says_so_and_can_be_made_again(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    service.execute("UPDATE clips SET status = 'expired', objects = '{}'")
    assert "expired" in refused(person.get(f"/api/clips/{clip_id}/download"), 404)["message"]
    assert person.get(f"/api/clips/{clip_id}/status").json()["data"]["status"] == "expired"
    assert person.post(f"/api/clips/{clip_id}/retry").status_code == 202


def test_retry_without_the_recording_is_refused(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    clip_id = ask(person, recording_id).json()["data"]["clip"]["id"]
    person.post(f"/api/clips/{clip_id}/cancel")
    person.delete(f"/api/recordings/{recording_id}")
    refused(person.post(f"/api/clips/{clip_id}/retry"), 404)


def test_deleted_clip_is_gone_with_its_links_and_its_objects_are_swept(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    url = person.post(f"/api/clips/{clip_id}/share", {"platform": "direct_link"}).json()["data"]["url"]
    assert service.client.get(url).status_code == 200
    deleted = person.delete(f"/api/clips/{clip_id}").json()["data"]
    assert (deleted["id"], deleted["status"]) == (clip_id, "deleted")
    assert deleted["created_at"]
    for path in ("", "/status", "/download"):
        refused(person.get(f"/api/clips/{clip_id}{path}"), 404)
    assert service.client.get(url).status_code == 404
    (sweep,) = service.rows("SELECT payload FROM jobs WHERE kind = 'delete_objects'")
    assert sweep["payload"] == {"bucket": "clips", "prefix": f"{person.id}/{clip_id}/"}


def test_deleting_a_clip_that_is_being_made_gives_its_allowance_back(service: Service) -> None:
    person = service.person()
    for begin in (False, True):
        data = ask(person, service.ready_recording(person)).json()["data"]
        if begin:
            service.begin(data["job"]["id"])
        assert person.delete(f"/api/clips/{data['clip']['id']}").status_code == 200
    assert service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'") == [
        {"used": 0, "reserved": 0}
    ]


def test_clip_of_each_highlight_best_first(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    answer = person.post("/api/clips/auto-generate", {"recording_id": recording_id, "top": 2, "formats": ["mp3"]})
    data = answer.json()["data"]
    assert answer.status_code == 202
    assert [clip["title"] for clip in data["clips"]] == ["Talk: humor 1", "Talk: humor 2"]
    assert [(clip["start_s"], clip["end_s"]) for clip in data["clips"]] == [(0.0, 10.0), (20.0, 30.0)]
    assert all(clip["highlight_id"] and clip["formats"] == ["mp3"] for clip in data["clips"])
    assert data["job"]["id"] == data["jobs"][0]["id"] == data["clips"][0]["job_id"]
    assert data["skipped"] == 0


def test_highlights_beyond_the_allowance_are_skipped_and_counted(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=(0.9,) * 6, duration_s=200)
    body = {"recording_id": recording_id, "top": 6}
    data = person.post("/api/clips/auto-generate", body).json()["data"]
    assert (len(data["clips"]), data["skipped"]) == (5, 1)
    assert len(service.rows("SELECT 1 FROM clips")) == len(service.rows("SELECT 1 FROM quota_holds")) == 5
    refused(person.post("/api/clips/auto-generate", body), 429)


def test_recording_without_moments_makes_no_clips(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=(0.2,))
    data = person.post("/api/clips/auto-generate", {"recording_id": recording_id}).json()["data"]
    assert (data["clips"], data["job"], data["jobs"]) == ([], None, [])


def test_recording_that_was_never_scored_is_scored_by_a_job_that_makes_the_clips(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person, scores=())
    service.execute("UPDATE recordings SET curve_key = NULL")
    body = {"recording_id": recording_id, "sensitivity": 0.5, "top": 3, "preset": "square"}
    data = person.post("/api/clips/auto-generate", body).json()["data"]
    assert (data["clips"], data["job"]["kind"]) == ([], "detect")
    (row,) = service.rows("SELECT payload FROM jobs")
    wanted = row["payload"]["auto_clips"]
    assert (wanted["sensitivity"], wanted["top"], wanted["preset"], wanted["formats"]) == (0.5, 3, "square", None)


def test_unknown_state_in_a_query_is_answered_with_those_there_are(service: Service) -> None:
    error = refused(service.person().get("/api/clips?status=done"), 422, "status")
    assert error["details"]["allowed"] == ["queued", "processing", "completed", "failed", "cancelled", "expired"]
    assert "completed" in error["message"]
