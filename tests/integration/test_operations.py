"""Operators' views and actions over HTTP."""

from typing import Any
from uuid import UUID

import pytest
from support.api.server import Person, Service
from support.servers.fleet import add_user

from db.connection import SERVICE
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.jobs.service import Job, JobError, lease_of
from services.lifecycle import outcome as lifecycle

TOKEN = {"Authorization": "Bearer test-admin-token-that-is-long-enough-too"}
DAMAGED = JobError(code="decode_failed", message="The stream is damaged near the moov.", remedy="", retryable=False)
READS = (
    "queues",
    "workers",
    "jobs",
    "jobs/counts",
    "errors",
    "tenants",
    "schedules",
    "deliveries",
    "audit",
    "rooms",
    f"rooms/{UUID(int=1)}",
)


def get(service: Service, path: str) -> Any:
    answer = service.client.get(f"/api/ops/{path}", headers=TOKEN)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def post(service: Service, path: str, body: Any = None) -> Any:
    answer = service.client.post(f"/api/ops/{path}", headers=TOKEN, json=body)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()["data"]


def enqueue(service: Service, number: int = 1, *, user_id: UUID | None = None, kind: str = "render") -> list[Job]:
    with service.deps.database.transaction(SERVICE) as tx:
        return [jobs.enqueue(tx, kind=kind, user_id=user_id) for _ in range(number)]


def kill(service: Service, job: Job) -> None:
    running = service.begin(str(job.id))
    with service.deps.database.transaction(SERVICE) as tx:
        lifecycle.fail(tx, lease_of(running), error=DAMAGED)


@pytest.fixture
def owner(service: Service) -> UUID:
    return add_user(service.deps.database)


@pytest.mark.parametrize("path", READS)
def test_reading_is_for_operators_only(service: Service, path: str) -> None:
    person, operator = service.person(), service.person(is_admin=True)
    assert service.client.get(f"/api/ops/{path}").status_code == 401
    assert person.get(f"/api/ops/{path}").status_code == 403
    found = 404 if path.endswith(str(UUID(int=1))) else 200
    assert operator.get(f"/api/ops/{path}").status_code == found
    assert service.client.get(f"/api/ops/{path}", headers=TOKEN).status_code == found


@pytest.mark.parametrize(
    "path",
    [
        "/api/ops/queues/render/pause",
        "/api/ops/jobs/retry",
        "/api/ops/jobs/discard",
        "/api/ops/jobs/cancel",
        "/api/ops/jobs/run-next",
        f"/api/ops/workers/{UUID(int=1)}/drain",
        f"/api/ops/workers/{UUID(int=1)}/undrain",
        "/api/ops/schedules/prune-jobs/run",
        "/api/ops/schedules/prune-jobs/pause",
        f"/api/ops/deliveries/{UUID(int=1)}/replay",
        "/api/ops/stripe-events/evt_1/replay",
        "/api/admin/cleanup-clips",
        "/api/admin/cleanup-rooms",
        "/api/admin/archive-polls",
        "/api/admin/reset-quotas",
    ],
)
def test_acting_is_for_operators_only(service: Service, path: str) -> None:
    assert service.person().post(path, {}).status_code == 403


def test_queue_is_paused_and_resumed_and_both_are_written_down(service: Service, owner: UUID) -> None:
    enqueue(service, 3, user_id=owner)
    assert post(service, "queues/render/pause")["status"] == "paused"
    [render] = [queue for queue in get(service, "queues")["items"] if queue["name"] == "render"]
    assert (render["is_paused"], render["waiting"], render["running"]) == (True, 3, 0)
    post(service, "queues/render/resume")
    [render] = [queue for queue in get(service, "queues")["items"] if queue["name"] == "render"]
    assert not render["is_paused"]
    assert [entry["action"] for entry in get(service, "audit")["items"]] == ["queue.resume", "queue.pause"]
    assert service.client.post("/api/ops/queues/nothing/pause", headers=TOKEN).status_code == 404


def test_search_finds_by_every_condition(service: Service, owner: UUID) -> None:
    [dead, waiting] = enqueue(service, 2, user_id=owner)
    enqueue(service, kind="prune_jobs")
    kill(service, dead)

    def found(query: str) -> set[str]:
        return {job["id"] for job in get(service, f"jobs?{query}")["items"]}

    assert found(f"owner={owner}") == {str(dead.id), str(waiting.id)}
    for query in ("status=failed", "error_code=decode_failed", "q=damaged+moov", f"id={dead.id}", "kind=render&q=moov"):
        assert found(query) == {str(dead.id)}, query
    assert found("queue=render&status=queued") == {str(waiting.id)}
    assert found("q=nothing+like+this") == set()
    assert found("created_before=2020-01-01T00:00:00Z") == set()
    assert len(found("created_after=2020-01-01T00:00:00Z")) == 3
    [email] = {job["email"] for job in get(service, f"jobs?owner={owner}")["items"]}
    assert found(f"owner={email.upper()}") == {str(dead.id), str(waiting.id)}
    assert found("owner=nobody@example.org") == set()
    assert get(service, "jobs?kind=prune_jobs")["items"][0]["email"] is None
    detail = get(service, f"jobs/{dead.id}")
    assert [entry["event"] for entry in detail["timeline"]] == ["queued", "claimed", "failed"]
    assert "lease_token" not in detail


def test_search_goes_on_from_page_to_page(service: Service) -> None:
    made = [str(job.id) for job in enqueue(service, 5)]
    first = get(service, "jobs?limit=3")
    second = get(service, f"jobs?limit=3&cursor={first['next_cursor']}")
    assert sorted(job["id"] for job in first["items"] + second["items"]) == sorted(made)
    assert second["next_cursor"] is None


def test_bulk_action_is_counted_first_and_then_written_down(service: Service, owner: UUID) -> None:
    dead = enqueue(service, 4, user_id=owner)
    for job in dead:
        kill(service, job)
    [other] = enqueue(service, 1, user_id=owner)
    matching = {"filter": {"owner": str(owner)}}
    preview = post(service, "jobs/retry", {**matching, "preview": True})
    assert (preview["matched"], preview["changed"], preview["is_preview"]) == (4, 0, True)
    assert get(service, "audit")["items"] == []
    done = post(service, "jobs/retry", matching)
    assert (done["matched"], done["changed"], done["has_more"]) == (4, 4, False)
    [entry] = get(service, "audit")["items"]
    assert (entry["action"], entry["actor"], entry["details"]["changed"]) == ("jobs.retry", "operator token", 4)
    assert post(service, "jobs/cancel", matching)["changed"] == 5
    states = service.rows("SELECT DISTINCT state FROM jobs WHERE user_id = %(owner)s", owner=owner)
    assert states == [{"state": "cancelled"}]
    assert post(service, "jobs/discard", {"ids": [str(other.id)]})["changed"] == 0


def test_action_without_any_condition_is_refused(service: Service) -> None:
    for body in ({}, {"filter": {}}):
        answer = service.client.post("/api/ops/jobs/cancel", headers=TOKEN, json=body)
        assert answer.status_code == 422


def test_discarded_job_is_gone(service: Service, owner: UUID) -> None:
    [dead] = enqueue(service, 1, user_id=owner)
    kill(service, dead)
    assert post(service, "jobs/discard", {"ids": [str(dead.id)]})["changed"] == 1
    assert service.client.get(f"/api/ops/jobs/{dead.id}", headers=TOKEN).status_code == 404


def test_worker_shows_what_it_is_doing_and_is_drained(service: Service, owner: UUID) -> None:
    [job] = enqueue(service, 1, user_id=owner)
    worker_id = service.begin(str(job.id)).worker_id
    service.execute(
        "INSERT INTO workers (id, host, pid, version, queues, slots) VALUES (%(id)s, 'here', 7, '1', '{render}', 2)",
        id=worker_id,
    )
    [worker] = get(service, "workers")["items"]
    assert (worker["host"], worker["slots"], worker["is_draining"]) == ("here", 2, False)
    assert [entry["id"] for entry in worker["jobs"]] == [str(job.id)]
    post(service, f"workers/{worker_id}/drain")
    assert get(service, "workers")["items"][0]["is_draining"]
    post(service, f"workers/{worker_id}/undrain")
    assert not get(service, "workers")["items"][0]["is_draining"]
    service.execute("DELETE FROM workers")
    for call in ("drain", "undrain"):
        assert service.client.post(f"/api/ops/workers/{worker_id}/{call}", headers=TOKEN).status_code == 404


def test_tenants_are_listed_by_what_they_have_in_the_queue(service: Service, owner: UUID) -> None:
    other = add_user(service.deps.database, tier="pro")
    enqueue(service, 2, user_id=owner)
    enqueue(service, 3, user_id=other)
    enqueue(service, 1, kind="prune_jobs")
    found = [(tenant["user_id"], tenant["waiting"], tenant["tier"]) for tenant in get(service, "tenants")["items"]]
    assert found == [(str(other), 3, "pro"), (str(owner), 2, "free"), (None, 1, None)]


def test_schedule_is_run_paused_and_shown(service: Service) -> None:
    with service.deps.database.transaction(SERVICE) as tx:
        schedules.install(tx)
    assert post(service, "schedules/prune-jobs/run")["kind"] == "prune_jobs"
    post(service, "schedules/prune-jobs/pause")
    [shown] = [one for one in get(service, "schedules")["items"] if one["name"] == "prune-jobs"]
    assert (shown["is_paused"], shown["last_state"]) == (True, "queued")
    post(service, "schedules/prune-jobs/resume")
    service.execute("DELETE FROM schedules")


def test_series_shows_how_jobs_ended(service: Service, owner: UUID) -> None:
    service.execute("DELETE FROM job_series")
    service.execute(
        "INSERT INTO job_series VALUES (now() - interval '1 minute', 'render', 'render', 'failed', 2, 10, 30)"
    )
    [point] = get(service, "queues?back_s=3600")["series"]
    assert (point["failed"], point["succeeded"], point["wait_s"], point["run_s"]) == (2, 0, 5, 15)
    service.execute("DELETE FROM job_series")
    assert service.client.get("/api/ops/queues?back_s=7", headers=TOKEN).status_code == 422
    assert owner


def test_failures_are_grouped_by_their_code(service: Service, owner: UUID) -> None:
    for job in enqueue(service, 3, user_id=owner):
        kill(service, job)
    [group] = get(service, "errors")["items"]
    assert (group["code"], group["jobs"], group["owners"], group["kinds"]) == ("decode_failed", 3, 1, ["render"])
    assert group["message"] == DAMAGED.message
    assert not group["retryable"]


def test_jobs_are_counted_by_status_with_the_words_of_the_list(service: Service, owner: UUID) -> None:
    dead, *_ = enqueue(service, 2, user_id=owner)
    enqueue(service, 1, kind="prune_jobs")
    kill(service, dead)
    counts = get(service, f"jobs/counts?owner={owner}")
    assert (counts["queued"], counts["failed"], counts["succeeded"]) == (1, 1, 0)
    assert get(service, "jobs/counts?is_system=true&kind=prune_jobs")["queued"] == 1
    assert get(service, "jobs/counts?created_before=2020-01-31")["queued"] == 0
    listed = get(service, "jobs?is_system=false&created_after=2020-01-31")["items"]
    assert {job["user_id"] for job in listed} == {str(owner)}


def test_queues_say_how_long_jobs_waited_and_ran(service: Service, owner: UUID) -> None:
    for seconds in (1, 2, 3):
        service.execute(
            "INSERT INTO jobs (user_id, kind, queue, state, run_at, started_at, finished_at) SELECT "
            f"'{owner}', 'render', 'render', 'succeeded', now() - interval '{10 + seconds} s', "
            f"now() - interval '10 s', now() - interval '{10 - 2 * seconds} s'"
        )
    [times] = [row for row in get(service, "queues?back_s=3600")["times"] if row["queue"] == "render"]
    assert (times["jobs"], times["wait_p50_s"], times["run_p50_s"]) == (3, 2.0, 4.0)
    assert times["wait_p95_s"] == pytest.approx(2.9)


def test_rooms_are_found_by_every_condition(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person(tier="premium")
    talk, quiz = (
        person.post("/api/rooms/create", {"name": name}).json()["data"]
        for person, name in ((host, "Friday Talk"), (other, "Quiz"))
    )
    service.execute("UPDATE rooms SET created_at = '2026-01-01' WHERE id = %(id)s", id=UUID(quiz["id"]))
    other.delete(f"/api/rooms/{quiz['id']}")
    assert host.post(f"/api/rooms/{talk['id']}/recording/start").status_code == 201

    def found(query: str) -> list[str]:
        return [item["id"] for item in get(service, f"rooms?{query}")["items"]]

    assert found("") == [talk["id"], quiz["id"]]
    for query in (
        "status=active",
        "is_recording=true",
        "q=friday",
        f"q={talk['room_code']}",
        f"owner={host.id}",
        f"owner={host.email.upper()}",
        "created_after=2026-02-01",
    ):
        assert found(query) == [talk["id"]], query
    for query in ("status=ended", "is_recording=false", f"q={quiz['id']}", "created_before=2026-02-01"):
        assert found(query) == [quiz["id"]], query
    first = get(service, "rooms?limit=1")
    assert [item["id"] for item in first["items"]] == [talk["id"]]
    assert found(f"limit=1&cursor={first['next_cursor']}") == [quiz["id"]]


def test_room_shows_its_people_and_its_recording(service: Service) -> None:
    host, guest, late = service.person(tier="premium"), service.person(), service.person()
    room = host.post("/api/rooms/create", {"name": "Talk"}).json()["data"]
    for person in (guest, late):
        assert person.post(f"/api/rooms/{room['id']}/join", {"display_name": "Bob"}).is_success
    assert late.delete(f"/api/rooms/{room['id']}/leave").is_success
    recording = host.post(f"/api/rooms/{room['id']}/recording/start").json()["data"]["recording"]
    found = get(service, f"rooms/{room['id']}")
    assert (found["email"], found["participant_count"], found["recordings"]) == (host.email, 2, 1)
    assert found["recording"]["recording_id"] == recording["id"]
    people = [(each["email"], each["role"], each["left_reason"]) for each in found["participants"]]
    assert people == [
        (host.email, "host", None),
        (guest.email, "participant", None),
        (late.email, "participant", "left"),
    ]


def test_maintenance_on_demand_answers_with_counts(service: Service) -> None:
    for path, counts in (
        ("cleanup-clips", {"failed": 0}),
        ("cleanup-rooms", {"ended": 0, "polls_closed": 0}),
        ("archive-polls", {"expired": 0, "archived": 0}),
        ("reset-quotas", {"holds_released": 0, "periods_removed": 0}),
    ):
        for _ in range(2):
            answer = service.client.post(f"/api/admin/{path}", headers=TOKEN)
            assert answer.json() == {"success": True, "data": counts}


def test_audit_goes_on_from_page_to_page(service: Service) -> None:
    for _ in range(3):
        post(service, "queues/render/resume")
    first = get(service, "audit?limit=2")
    second = get(service, f"audit?limit=2&before={first['next_cursor']}")
    assert (len(first["items"]), len(second["items"])) == (2, 1)


def test_person_with_the_right_is_named_in_the_audit_log(service: Service) -> None:
    operator: Person = service.person(is_admin=True)
    operator.post("/api/ops/queues/render/resume")
    [entry] = get(service, "audit")["items"]
    assert (entry["actor"], entry["actor_id"]) == (operator.email, str(operator.id))
