import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from support.api.server import Person, Service

from db.connection import user_identity
from services import idempotency


def ask(person: Person, body: dict[str, Any], key: str, path: str = "/api/clips") -> httpx.Response:
    return person.post(path, body, headers={"Idempotency-Key": key})


def clip(service: Service, person: Person) -> dict[str, Any]:
    return {"recording_id": service.ready_recording(person), "start_s": 10, "end_s": 20}


def test_repeated_request_gets_the_first_answer_and_does_nothing(service: Service) -> None:
    person = service.person()
    body = clip(service, person)
    first, second = ask(person, body, "a"), ask(person, dict(reversed(body.items())), "a")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert len(service.rows("SELECT 1 FROM clips")) == len(service.rows("SELECT 1 FROM jobs")) == 1


def test_repeated_announcement_is_answered_with_fresh_addresses_that_are_stored_nowhere(service: Service) -> None:
    person = service.person()
    body = {"filename": "a.mp4", "size_bytes": 10, "content_type": "video/mp4"}
    first = ask(person, body, "a", "/api/recordings").json()["data"]
    (row,) = service.rows("SELECT response FROM idempotency_keys")
    assert [part["url"] for part in row["response"]["data"]["upload"]["parts"]] == [None]
    assert "signature" not in str(row)
    time.sleep(1.1)  # addresses end at a whole second
    again = ask(person, body, "a", "/api/recordings").json()["data"]
    assert again["recording"] == first["recording"]
    (old,), (new,) = first["upload"]["parts"], again["upload"]["parts"]
    assert new["expires_at"] > old["expires_at"]
    assert new["url"] != old["url"]
    stored = service.client.put(new["url"], content=b"0123456789")
    assert stored.status_code == 200
    assert len(list(service.deps.buckets.recordings.list_uploads(f"{person.id}/"))) == 1
    tags = [{"number": 1, "etag": stored.headers["ETag"]}]
    person.post(f"/api/recordings/{first['recording']['id']}/complete", {"parts": tags})
    assert ask(person, body, "a", "/api/recordings").json()["data"]["upload"]["parts"] == []


def test_announcement_of_a_recording_that_was_deleted_is_not_repeated(service: Service) -> None:
    person = service.person()
    body = {"filename": "a.mp4", "size_bytes": 10, "content_type": "video/mp4"}
    recording_id = ask(person, body, "a", "/api/recordings").json()["data"]["recording"]["id"]
    person.request("DELETE", f"/api/recordings/{recording_id}")
    assert ask(person, body, "a", "/api/recordings").status_code == 404


def test_same_key_for_another_request_is_refused(service: Service) -> None:
    person = service.person()
    body = clip(service, person)
    ask(person, body, "a")
    others = [
        ask(person, {**body, "end_s": 21}, "a"),
        ask(person, {"recording_id": body["recording_id"]}, "a", "/api/clips/auto-generate"),
    ]
    for answer in others:
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "idempotency_key_reused"
    assert len(service.rows("SELECT 1 FROM clips")) == 1


def test_keys_of_two_people_have_nothing_to_do_with_each_other(service: Service) -> None:
    first, second = service.person(), service.person()
    assert ask(first, clip(service, first), "a").json() != ask(second, clip(service, second), "a").json()
    assert len(service.rows("SELECT 1 FROM clips")) == 2


def test_refused_request_is_not_remembered(service: Service) -> None:
    person = service.person()
    body = clip(service, person)
    assert ask(person, {**body, "end_s": 500}, "a").status_code == 422
    assert ask(person, body, "a").status_code == 202


def test_key_is_free_again_after_a_day(service: Service) -> None:
    person = service.person()
    body = clip(service, person)
    first = ask(person, body, "a").json()["data"]["clip"]["id"]
    service.execute("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'")
    assert ask(person, body, "a").json()["data"]["clip"]["id"] != first
    assert len(service.rows("SELECT 1 FROM idempotency_keys")) == 1


def test_duplicates_at_the_same_time_do_the_work_once(service: Service) -> None:
    person = service.person()
    body = clip(service, person)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(person, body, "a"), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["clip"]["id"] for answer in answers}) == 1
    assert len(service.rows("SELECT 1 FROM clips")) == 1


def test_duplicate_of_a_request_that_takes_long_is_told_to_come_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "WAIT_S", 1)
    person = service.person()
    body = clip(service, person)
    with service.deps.database.transaction(user_identity(person.id)) as tx:
        idempotency.begin(tx, user_id=person.id, key="a", request_hash=b"x" * 32)
        answer = ask(person, body, "a")
    assert answer.status_code == 409
    assert (answer.json()["error"]["code"], answer.json()["error"]["retryable"]) == ("request_in_progress", True)
    assert ask(person, body, "a").status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_key_that_cannot_be_one_is_refused(service: Service, key: str) -> None:
    person = service.person()
    answer = ask(person, clip(service, person), key)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "Idempotency-Key"


def test_answer_outlives_the_process(service: Service) -> None:
    person = service.person()
    ask(person, clip(service, person), "a")
    (row,) = service.rows("SELECT status, response FROM idempotency_keys")
    assert row["status"] == 202
    assert row["response"]["data"]["clip"]["status"] == "queued"
