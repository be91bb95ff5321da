from typing import Any

import pytest
from support.api.server import LOCAL, Service, refused

from services.recordings.upload import LEAST_PART_BYTES

BODY = {"filename": "talk.mp4", "size_bytes": 1000, "content_type": "video/mp4"}
TWO_PARTS = (b"a" * LEAST_PART_BYTES, b"b" * 10)


def test_announced_recording_says_where_its_parts_go(service: Service) -> None:
    answer = service.person().post("/api/recordings", {**BODY, "size_bytes": LEAST_PART_BYTES * 2 + 1})
    data = answer.json()["data"]
    assert answer.status_code == 201
    assert (data["recording"]["status"], data["recording"]["title"]) == ("uploading", "talk")
    assert data["upload"]["part_size_bytes"] == LEAST_PART_BYTES
    assert [part["number"] for part in data["upload"]["parts"]] == [1, 2, 3]
    assert all(part["url"].startswith(LOCAL) and part["expires_at"] for part in data["upload"]["parts"])
    assert "source_key" not in answer.text


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"size_bytes": 0}, 422, "size_bytes"),
        ({"size_bytes": -1}, 422, "size_bytes"),
        ({"size_bytes": 1.5}, 422, "size_bytes"),
        ({"size_bytes": "1000"}, 422, "size_bytes"),
        ({"size_bytes": 10**30}, 413, "size_bytes"),
        ({"size_bytes": 2**63}, 413, "size_bytes"),
        ({"size_bytes": 10**15}, 413, "size_bytes"),
        ({"content_type": "application/zip"}, 415, "content_type"),
        ({"content_type": "text/plain"}, 415, "content_type"),
        ({"content_type": "application/vnd.apple.mpegurl"}, 415, "content_type"),
        ({"filename": ""}, 422, "filename"),
        ({"title": ""}, 422, "title"),
        ({"title": " \t "}, 422, "title"),
        ({"title": "a\0b"}, 422, "body"),
        ({"title": "x" * 301}, 422, "title"),
        ({"owner": "me"}, 422, "owner"),
    ],
)
def test_announcement_that_cannot_be_kept_is_refused(
    service: Service, changes: dict[str, Any], status: int, field: str
) -> None:
    person = service.person()
    refused(person.post("/api/recordings", {**BODY, **changes}), status, field)
    assert person.get("/api/recordings").json()["data"]["items"] == []


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/", "recording"),
        ("e\u0301té.mp4", "été.mp4"),
    ],
)
def test_tricks_in_file_names_lead_nowhere(service: Service, filename: str, kept: str) -> None:
    person = service.person()
    recording = person.post("/api/recordings", {**BODY, "filename": filename}).json()["data"]["recording"]
    assert recording["filename"] == kept
    (row,) = service.rows("SELECT source_key FROM recordings")
    assert row["source_key"] == f"{person.id}/{recording['id']}/source"


def test_upload_in_parts_is_completed_and_ingest_queued(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person, TWO_PARTS)
    answer = person.post(f"/api/recordings/{recording_id}/complete", {"parts": service.tags(person, recording_id)})
    data = answer.json()["data"]
    assert answer.status_code == 202
    assert data["recording"]["status"] == "processing"
    assert (data["job"]["kind"], data["job"]["status"], data["job"]["recording_id"]) == (
        "ingest",
        "queued",
        recording_id,
    )
    assert data["job"]["trace_id"] == answer.headers["X-Request-Id"]
    key = f"{person.id}/{recording_id}/source"
    assert service.deps.buckets.recordings.stat(key).size_bytes == sum(map(len, TWO_PARTS))
    assert service.deps.buckets.recordings.get_range(key, LEAST_PART_BYTES - 1, 3) == b"abb"


def test_completing_twice_is_safe(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    body = {"parts": service.tags(person, recording_id)}
    first = person.post(f"/api/recordings/{recording_id}/complete", body)
    second = person.post(f"/api/recordings/{recording_id}/complete", body)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["data"]["job"]["id"] == second.json()["data"]["job"]["id"]
    assert len(service.rows("SELECT 1 FROM jobs")) == 1


def test_completion_whose_answer_was_lost_with_its_transaction_goes_through(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    tags = service.tags(person, recording_id)
    person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags})
    (row,) = service.rows("SELECT upload_id, source_key FROM recordings")
    service.execute("DELETE FROM jobs")
    service.execute("UPDATE recordings SET status = 'uploading', upload_id = 'gone'")
    answer = person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags})
    assert answer.status_code == 202, (answer.text, row)


def test_interrupted_upload_is_resumed(service: Service) -> None:
    person = service.person()
    body = {**BODY, "size_bytes": sum(map(len, TWO_PARTS))}
    data = person.post("/api/recordings", body).json()["data"]
    recording_id = data["recording"]["id"]
    service.client.put(data["upload"]["parts"][0]["url"], content=TWO_PARTS[0])
    parts = person.get(f"/api/recordings/{recording_id}/parts").json()["data"]
    assert [part["number"] for part in parts["parts"]] == [1]
    assert [part["number"] for part in parts["missing"]] == [2]
    signed = person.post(f"/api/recordings/{recording_id}/parts/2/sign")
    assert signed.status_code == 200
    assert service.client.put(signed.json()["data"]["url"], content=TWO_PARTS[1]).status_code == 200
    tags = service.tags(person, recording_id)
    assert person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags}).status_code == 202
    refused(person.get(f"/api/recordings/{recording_id}/parts"), 409)
    refused(person.post(f"/api/recordings/{recording_id}/parts/1/sign"), 409)


@pytest.mark.parametrize("number", [0, 2, 10_001])
def test_part_that_the_recording_does_not_have_is_not_signed(service: Service, number: int) -> None:
    person = service.person()
    recording_id = service.upload(person)
    refused(person.post(f"/api/recordings/{recording_id}/parts/{number}/sign"), 422, "number")


def test_wrong_parts_are_named_and_the_upload_stays_open(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person, TWO_PARTS)
    good = service.tags(person, recording_id)
    path = f"/api/recordings/{recording_id}/complete"
    wrong: list[tuple[list[dict[str, Any]], str]] = [
        (good[:1], "part 2 is missing"),
        (good[1:], "part 1 is missing"),
        ([*good, {"number": 3, "etag": "x"}], "The recording has 2 parts; there is no part 3."),
        ([good[0], good[0]], "part 2 is missing"),
        ([good[0], good[1], good[1]], "The recording has 2 parts; part 2 is listed twice. List each part once"),
        ([good[0], {"number": 2, "etag": '"00000000000000000000000000000000"'}], "another ETag"),
    ]
    for parts, words in wrong:
        assert words in refused(person.post(path, {"parts": parts}), 422, "parts")["message"]
    refused(person.post(path, {"parts": []}), 422, "parts")
    refused(person.post(path, {"parts": [{"number": 0, "etag": "x"}]}), 422, "parts")
    assert person.get(f"/api/recordings/{recording_id}").json()["data"]["status"] == "uploading"
    assert person.post(path, {"parts": good[::-1]}).status_code == 202


def test_five_gigabytes_announced_with_three_bytes_sent_are_refused(service: Service) -> None:
    person = service.person()
    data = person.post("/api/recordings", {**BODY, "size_bytes": 5 * 1024**3}).json()["data"]
    path = f"/api/recordings/{data['recording']['id']}/complete"
    etag = service.client.put(data["upload"]["parts"][0]["url"], content=b"abc").headers["etag"]
    error = refused(person.post(path, {"parts": [{"number": 1, "etag": etag}]}), 422, "parts")
    assert "part 2 is missing" in error["message"]


def test_part_with_more_bytes_than_announced_is_refused_at_once_and_not_kept(service: Service) -> None:
    person = service.person()
    data = person.post("/api/recordings", BODY).json()["data"]
    answer = service.client.put(data["upload"]["parts"][0]["url"], content=b"x" * 1001)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "payload_too_large"
    assert "at most 1000 bytes, not 1001" in answer.json()["error"]["message"]
    assert person.get(f"/api/recordings/{data['recording']['id']}/parts").json()["data"]["parts"] == []


@pytest.mark.parametrize("sent", [b"x" * 999, b""])
def test_size_that_lies_is_refused_and_can_be_mended(service: Service, sent: bytes) -> None:
    person = service.person()
    data = person.post("/api/recordings", BODY).json()["data"]
    recording_id, url = data["recording"]["id"], data["upload"]["parts"][0]["url"]
    path = f"/api/recordings/{recording_id}/complete"
    etag = service.client.put(url, content=sent).headers["etag"]
    error = refused(person.post(path, {"parts": [{"number": 1, "etag": etag}]}), 422, "parts")
    assert f"{len(sent)} bytes, but 1000 belong there" in error["message"]
    service.client.put(url, content=b"y" * 1000)
    assert person.post(path, {"parts": service.tags(person, recording_id)}).status_code == 202


def test_part_that_was_never_sent_is_named(service: Service) -> None:
    person = service.person()
    data = person.post("/api/recordings", BODY).json()["data"]
    path = f"/api/recordings/{data['recording']['id']}/complete"
    error = refused(person.post(path, {"parts": [{"number": 1, "etag": "abc"}]}), 422, "parts")
    assert "Part 1 was not stored" in error["message"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/talk.mp4",
        "http://localhost:8000/health",
        "http://[::1]/talk.mp4",
        "http://0.0.0.0/",
        "http://10.0.0.1/talk.mp4",
        "http://192.168.1.1/talk.mp4",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/talk.mp4",
        "http://0x7f.1/talk.mp4",
        "http://[::ffff:127.0.0.1]/talk.mp4",
        "file:///etc/passwd",
        "ftp://example.com/talk.mp4",
        "concat:a.mp4|b.mp4",
        "http://user:password@example.com/talk.mp4",
        "http://",
        "talk.mp4",
        "x" * 3000,
    ],
)
def test_import_from_where_nobody_may_lead_us_is_refused(service: Service, url: str) -> None:
    person = service.person()
    refused(person.post("/api/recordings/import", {"url": url}), 422, "url")
    assert service.rows("SELECT 1 FROM jobs") == []


def test_import_is_accepted_as_a_job(service: Service) -> None:
    person = service.person()
    url = "http://192.0.0.9.example.invalid/"
    refused(person.post("/api/recordings/import", {"url": url}), 422, "url")  # a name that nobody has
    url = "http://8.8.8.8/a%20talk.mp4?token=x"
    answer = person.post("/api/recordings/import", {"url": url})
    data = answer.json()["data"]
    assert answer.status_code == 202
    assert (data["recording"]["status"], data["recording"]["filename"]) == ("processing", "a talk.mp4")
    assert (data["job"]["kind"], data["job"]["recording_id"]) == ("import", data["recording"]["id"])
    (row,) = service.rows("SELECT payload FROM jobs")
    assert row["payload"] == {"url": url}


def test_recordings_are_listed_in_pages_that_newcomers_do_not_move(service: Service) -> None:
    person = service.person()
    titles = [f"Talk {number}" for number in range(5)]
    for title in titles:
        person.post("/api/recordings", {**BODY, "title": title})
    seen, cursor = [], None
    while True:
        query = "?limit=2" + (f"&cursor={cursor}" if cursor else "")
        data = person.get(f"/api/recordings{query}").json()["data"]
        seen += [item["title"] for item in data["items"]]
        person.post("/api/recordings", {**BODY, "title": "Newcomer"})
        cursor = data["next_cursor"]
        if cursor is None:
            break
    assert seen == titles[::-1]


def test_recordings_are_found_by_a_part_of_the_title(service: Service) -> None:
    person = service.person()
    for title in ("Friday talk", "100% Öl", "Monday"):
        person.post("/api/recordings", {**BODY, "title": title})

    def found(**query: str) -> list[str]:
        return [item["title"] for item in person.get("/api/recordings", params=query).json()["data"]["items"]]

    assert found(q="TALK") == ["Friday talk"]
    assert found(q="%") == ["100% Öl"]
    assert found(q="% Öl") == ["100% Öl"]
    assert found(q="_") == []
    assert len(found(status="uploading")) == 3
    assert found(status="ready") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("status=lost", "status"),
        ("q=", "q"),
    ],
)
def test_wrong_query_is_refused_by_field(service: Service, query: str, field: str) -> None:
    refused(service.person().get(f"/api/recordings?{query}"), 422, field)


def test_recording_is_renamed(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    answer = person.patch(f"/api/recordings/{recording_id}", {"title": "  A\nbetter   title "})
    assert answer.json()["data"]["title"] == "A better title"
    refused(person.patch(f"/api/recordings/{recording_id}", {}), 422, "title")


def test_deleted_recording_is_gone_with_its_work_and_its_objects_are_swept(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    done = service.ready_clip(person, recording_id)
    waiting = person.post("/api/clips", {"recording_id": recording_id, "start_s": 30, "end_s": 40}).json()["data"]
    answer = person.delete(f"/api/recordings/{recording_id}")
    assert answer.json()["data"]["status"] == "deleted"
    for path in ("", "/highlights", "/timeline", "/parts"):
        refused(person.get(f"/api/recordings/{recording_id}{path}"), 404)
    refused(person.delete(f"/api/recordings/{recording_id}"), 404)
    assert person.get("/api/recordings").json()["data"]["items"] == []
    assert person.get(f"/api/clips/{done}").json()["data"]["status"] == "completed"
    assert person.get(f"/api/clips/{waiting['clip']['id']}").json()["data"]["status"] == "cancelled"
    assert person.get(f"/api/jobs/{waiting['job']['id']}").json()["data"]["status"] == "cancelled"
    sweeps = service.rows("SELECT payload, user_id FROM jobs WHERE kind = 'delete_objects'")
    assert {row["payload"]["prefix"] for row in sweeps} == {f"{person.id}/{recording_id}/"}
    assert {row["payload"]["bucket"] for row in sweeps} == {"recordings"}
    (usage,) = service.rows("SELECT used, reserved FROM usage_quotas WHERE feature = 'clips_per_month'")
    assert usage == {"used": 1, "reserved": 0}


def test_deleted_upload_leaves_no_parts(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    assert person.delete(f"/api/recordings/{recording_id}").status_code == 200
    assert list(service.deps.buckets.recordings.list_uploads(f"{person.id}/")) == []
