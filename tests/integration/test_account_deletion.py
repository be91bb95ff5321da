"""An account with many rows is closed at once and deleted by a job, in small steps."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.api.server import PASSWORD, Person, Service, refused
from support.jobs import job

from db.connection import SERVICE
from services.lifecycle import deletion
from workers.actors.housekeeping import delete_account
from workers.attempt import Attempt
from workers.runtime import Runtime

FEW = 5
ROWS = """
INSERT INTO highlights (recording_id, user_id, start_s, end_s, core_start_s, core_end_s, peak_s, score, kind,
                        kind_confidence, reasons)
SELECT recording_id, user_id, start_s + n, end_s + n, core_start_s + n, core_end_s + n, peak_s + n, score, kind,
       kind_confidence, reasons
FROM (SELECT * FROM highlights WHERE user_id = %(user)s LIMIT 1) AS one, generate_series(1, 40) AS n
"""


@pytest.fixture
def large(service: Service, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody with more rows than are deleted at once."""
    monkeypatch.setattr(deletion, "MAX_ROWS_AT_ONCE", FEW)
    person = service.person()
    service.ready_clip(person)
    service.execute(ROWS, user=person.id)
    return person


def run(service: Service, runtime: Runtime) -> None:
    (row,) = service.rows("SELECT id, payload, user_id FROM jobs WHERE kind = 'delete_account'")
    assert row["user_id"] is None
    there: Any = replace(runtime, database=service.deps.database, buckets=service.deps.buckets)
    delete_account(there, Attempt(job(kind="delete_account", user_id=None, payload=row["payload"])))


def owned(service: Service, person: Person) -> int:
    tables = ("recordings", "highlights", "clips", "usage_quotas", "sessions", "api_keys", "jobs")
    counts = [
        service.rows(f"SELECT count(*) AS n FROM {table} WHERE user_id = %(user)s", user=person.id)  # noqa: S608 - names above
        for table in tables
    ]
    return sum(int(count[0]["n"]) for count in counts)


def test_large_account_is_closed_at_once(service: Service, large: Person) -> None:
    clip_id = large.get("/api/clips").json()["data"]["items"][0]["id"]
    slug = large.post(f"/api/clips/{clip_id}/share").json()["data"]["slug"]
    assert large.request("DELETE", "/api/me", json={"password": PASSWORD}).status_code == 200
    assert large.get("/api/clips").status_code == 401
    login = service.client.post("/api/auth/login", json={"email": large.email, "password": PASSWORD})
    assert login.status_code == 401
    assert service.client.get(f"/c/{slug}").status_code == 404
    assert owned(service, large) > FEW
    again = service.client.post("/api/auth/signup", json={"email": large.email, "password": PASSWORD})
    assert again.status_code == 201
    assert again.json()["data"]["user"]["id"] != str(large.id)


def test_job_deletes_a_large_account_to_the_last_row(service: Service, large: Person, runtime: Runtime) -> None:
    other = service.person()
    kept = service.ready_clip(other)
    large.request("DELETE", "/api/me", json={"password": PASSWORD})
    run(service, runtime)
    assert owned(service, large) == 0
    assert service.rows("SELECT 1 FROM users WHERE id = %(user)s", user=large.id) == []
    assert other.get(f"/api/clips/{kept}").status_code == 200
    sweeps = service.rows("SELECT payload FROM jobs WHERE kind = 'delete_objects'")
    assert {row["payload"]["prefix"] for row in sweeps} == {f"{large.id}/"}
    run(service, runtime)  # again, as after a crash


def test_each_step_is_small(service: Service, large: Person) -> None:
    assert large.request("DELETE", "/api/me", json={"password": PASSWORD}).status_code == 200
    steps = []
    while True:
        with service.deps.database.transaction(SERVICE) as tx:
            steps.append(deletion.delete_rows(tx, user_id=large.id, now=service.deps.clock()))
        if steps[-1] == 0:
            break
    assert max(steps) <= FEW
    assert len(steps) > 8


def test_account_is_deleted_once(service: Service, large: Person) -> None:
    assert large.request("DELETE", "/api/me", json={"password": PASSWORD}).status_code == 200
    assert refused(large.request("DELETE", "/api/me", json={"password": PASSWORD}), 401)
    assert len(service.rows("SELECT 1 FROM jobs WHERE kind = 'delete_account'")) == 1
