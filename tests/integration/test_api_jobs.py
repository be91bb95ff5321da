import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import psycopg
import pytest
from support.api.server import PASSWORD, Person, Service, listening

from api.routes import jobs as job_routes
from db.connection import SERVICE, Database
from services.jobs.service import JobError, enqueue, lease_of
from services.lifecycle import outcome as lifecycle
from services.process.settings import Settings


def clip_job(service: Service, person: Person) -> dict[str, Any]:
    body = {"recording_id": service.ready_recording(person), "start_s": 0, "end_s": 10}
    return dict(person.post("/api/clips", body).json()["data"]["job"])


def test_job_shows_its_timeline_attempts_and_error(service: Service) -> None:
    person = service.person()
    job_id = clip_job(service, person)["id"]
    job = service.begin(job_id)
    error = JobError(code="decode_failed", message="Damaged.", remedy="Send it again.", retryable=False)
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(job), error=error)
    data = person.get(f"/api/jobs/{job_id}").json()["data"]
    assert (data["status"], data["state"], data["attempt"], data["max_attempts"]) == ("failed", "failed", 1, 3)
    assert data["error"] == msgspec.to_builtins(error)
    assert [entry["status"] for entry in data["timeline"]] == ["queued", "running", "failed"]
    assert all(entry["at"] and entry["event"] for entry in data["timeline"])
    assert data["started_at"] < data["finished_at"]
    assert "lease_token" not in data


def test_jobs_are_listed_by_state_and_kind_in_pages(service: Service) -> None:
    person = service.person()
    made = [clip_job(service, person)["id"] for _ in range(3)]
    person.post(f"/api/jobs/{made[0]}/cancel")

    def found(query: str = "") -> list[str]:
        return [job["id"] for job in person.get(f"/api/jobs{query}").json()["data"]["items"]]

    assert found() == made[::-1]
    assert found("?status=cancelled") == [made[0]]
    assert found("?kind=render&status=queued") == made[:0:-1]
    assert found("?kind=ingest") == []
    first = person.get("/api/jobs?limit=2").json()["data"]
    assert [job["id"] for job in first["items"]] == made[:0:-1]
    assert found(f"?limit=2&cursor={first['next_cursor']}") == [made[0]]


def test_cancelled_job_takes_its_clip_along_and_an_ended_one_cannot_be(service: Service) -> None:
    person = service.person()
    job = clip_job(service, person)
    for _ in range(2):
        assert person.post(f"/api/jobs/{job['id']}/cancel").json()["data"]["status"] == "cancelled"
    assert person.get(f"/api/clips/{job['clip_id']}").json()["data"]["status"] == "cancelled"
    clip_id = service.ready_clip(person)
    done = person.get(f"/api/clips/{clip_id}").json()["data"]["job_id"]
    assert person.post(f"/api/jobs/{done}/cancel").status_code == 409


class Follower:
    """Reads a stream of server-sent events in a thread."""

    def __init__(self, client: httpx.Client, job_id: str, headers: dict[str, str]) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.comments = 0
        self.arrived = threading.Condition()
        self.has_ended = False
        self._arguments = (client, job_id, headers)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        client, job_id, headers = self._arguments
        with client.stream("GET", f"/api/jobs/{job_id}/events", headers=headers, timeout=30) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            name = ""
            for line in answer.iter_lines():
                field, _, value = line.partition(": ")
                with self.arrived:
                    if field == "event":
                        name = value
                    elif field == "data":
                        self.events.append((name, json.loads(value)))
                    elif line.startswith(":"):
                        self.comments += 1
                    self.arrived.notify_all()
        with self.arrived:
            self.has_ended = True
            self.arrived.notify_all()

    def wait_for(self, number: int) -> tuple[str, dict[str, Any]]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.events) >= number, 20), self.events
            return self.events[number - 1]

    def wait_for_end(self) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.has_ended, 20), self.events


@contextmanager
def signed_in(base_url: str) -> Iterator[tuple[httpx.Client, str]]:
    with httpx.Client(base_url=base_url) as client:
        body = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
        data = client.post("/api/auth/signup", json=body).json()["data"]
        client.headers["Authorization"] = f"Bearer {data['token']}"
        yield client, data["id"]


def queue_job(database: Database, user_id: str) -> str:
    with database.transaction(SERVICE) as tx:
        return str(enqueue(tx, kind="detect", user_id=user_id).id)


def change(database: Database, statement: str, job_id: str) -> None:
    with database.transaction(SERVICE) as tx:
        tx.execute(f"UPDATE jobs SET {statement} WHERE id = %s", (job_id,))  # noqa: S608 - the test's own


CLAIMED = "state = 'running', lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 minute'"
ENDED = "state = 'succeeded', finished_at = now(), progress = 100, lease_token = NULL, lease_expires_at = NULL"


def test_stream_tells_every_change_and_ends_with_the_job(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_routes, "HEARTBEAT_S", 0.2)
    with listening(settings) as (base_url, _), signed_in(base_url) as (client, user_id):
        job_id = queue_job(database, user_id)
        followers = [Follower(client, job_id, headers) for headers in ({}, {"Last-Event-ID": "no number"})]
        for follower in followers:
            assert follower.wait_for(1) == ("progress", follower.events[0][1])
            assert follower.events[0][1]["status"] == "queued"
        change(database, CLAIMED, job_id)
        assert all(follower.wait_for(2)[1]["status"] == "running" for follower in followers)
        change(database, "progress = 40, stage = 'scoring'", job_id)
        assert all(follower.wait_for(3)[1]["progress"] == 40 for follower in followers)
        with followers[0].arrived:
            assert followers[0].arrived.wait_for(lambda: followers[0].comments > 0, 20)
        change(database, ENDED, job_id)
        for follower in followers:
            name, last = follower.wait_for(4)
            assert (name, last["status"], last["progress"]) == ("end", "succeeded", 100)
            follower.wait_for_end()
        late = Follower(client, job_id, {})
        late.wait_for_end()
        assert [name for name, _ in late.events] == ["end"]
        assert client.get(f"/api/jobs/{uuid4()}/events").status_code == 404


def test_stream_goes_on_after_the_listening_connection_was_cut(
    settings: Settings, database: Database, owner_url: str
) -> None:
    with listening(settings) as (base_url, _), signed_in(base_url) as (client, user_id):
        job_id = queue_job(database, user_id)
        follower = Follower(client, job_id, {})
        follower.wait_for(1)
        with psycopg.connect(owner_url, autocommit=True) as owner:
            cut = owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'snuggles-listen' AND datname = current_database()"
            ).fetchall()
        assert cut
        change(database, CLAIMED, job_id)
        assert follower.wait_for(2)[1]["status"] == "running"
        change(database, ENDED, job_id)
        follower.wait_for_end()


def test_stopping_server_ends_streams_rather_than_wait_for_them(settings: Settings, database: Database) -> None:
    with listening(settings) as (base_url, server), signed_in(base_url) as (client, user_id):
        follower = Follower(client, queue_job(database, user_id), {})
        follower.wait_for(1)
        server.should_exit = True
        follower.wait_for_end()


def test_kind_that_there_is_not_is_refused_with_those_that_there_are(service: Service) -> None:
    error = service.person().get("/api/jobs?kind=rendr").json()["error"]
    assert (error["code"], error["details"]["field"]) == ("invalid_field", "kind")
    assert "render" in error["details"]["allowed"]
