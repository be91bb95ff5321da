"""`/api/webhooks`, `/api/events` and `/metrics` through HTTP."""

from collections.abc import Iterator
from uuid import uuid4

import msgspec
import pytest
from support.api.receiver import Receiver, receiver
from support.api.server import Person, Service, serving

from services.process.settings import Settings

EVENTS = ["clip.completed", "clip.failed"]


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture
def service(settings: Settings, told: Receiver) -> Iterator[Service]:
    with serving(msgspec.structs.replace(settings, import_allow_hosts=(told.authority,))) as running:
        yield running


@pytest.fixture
def ada(service: Service) -> Person:
    return service.person()


def test_webhook_lives_through_its_life(service: Service, ada: Person, told: Receiver) -> None:
    answer = ada.post("/api/webhooks", {"url": told.url, "events": EVENTS})
    assert answer.status_code == 201, answer.text
    made = answer.json()["data"]
    assert made["secret"].startswith("whsec_")
    assert (made["status"], made["events"], made["url"]) == ("enabled", EVENTS, told.url)
    path = f"/api/webhooks/{made['id']}"

    listed = ada.get("/api/webhooks").json()["data"]
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert "secret" not in listed["items"][0]
    assert "secret" not in ada.get(path).json()["data"]

    tested = ada.post(f"{path}/test")
    assert tested.status_code == 202
    assert tested.json()["data"]["event"] == "webhook.test"
    (delivery,) = ada.get(f"{path}/deliveries").json()["data"]["items"]
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)
    assert ada.post(f"{path}/deliveries/{delivery['id']}/replay").status_code == 409
    assert ada.get(f"{path}/deliveries?status=failed").json()["data"]["items"] == []

    service.execute(
        "UPDATE webhook_deliveries SET status = 'delivered', finished_at = now(), job_id = NULL, next_attempt_at = NULL"
    )
    replayed = ada.post(f"{path}/deliveries/{delivery['id']}/replay")
    assert replayed.status_code == 202
    assert replayed.json()["data"]["replay_of"] == delivery["id"]

    assert ada.post(f"{path}/enable").json()["data"]["status"] == "enabled"
    assert ada.delete(path).status_code == 200
    assert ada.get(path).status_code == 404
    assert ada.delete(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://169.254.169.254/latest", "events": EVENTS}, "url"),
        ({"url": "http://127.0.0.1:9/hook", "events": EVENTS}, "url"),
        ({"url": "ftp://example.org/", "events": EVENTS}, "url"),
        ({"url": "https://ada:pw@example.org/", "events": EVENTS}, "url"),
        ({"url": "TOLD", "events": []}, "events"),
        ({"url": "TOLD", "events": ["clip.exploded"]}, "events"),
        ({"events": EVENTS}, "url"),
    ],
)
def test_unusable_webhook_is_refused_by_field(ada: Person, told: Receiver, body: dict[str, object], field: str) -> None:
    answer = ada.post("/api/webhooks", {name: told.url if value == "TOLD" else value for name, value in body.items()})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"]["field"].startswith(field)
    assert ada.get("/api/webhooks").json()["data"]["items"] == []


def test_repeated_request_gets_the_same_webhook_without_its_secret(
    service: Service, ada: Person, told: Receiver
) -> None:
    request = {"url": told.url, "events": EVENTS}
    first, second = (
        ada.post("/api/webhooks", request, headers={"Idempotency-Key": "once"}).json()["data"] for _ in range(2)
    )
    assert second == {**first, "secret": None}
    (kept,) = service.rows("SELECT response::text AS text FROM idempotency_keys")
    assert first["secret"] not in kept["text"]


def test_strangers_find_nothing(service: Service, ada: Person, told: Receiver) -> None:
    webhook = ada.post("/api/webhooks", {"url": told.url, "events": EVENTS}).json()["data"]
    delivery = ada.post(f"/api/webhooks/{webhook['id']}/test").json()["data"]
    eve = service.person()
    path = f"/api/webhooks/{webhook['id']}"
    answers = [
        eve.get(path),
        eve.delete(path),
        eve.post(f"{path}/enable"),
        eve.post(f"{path}/test"),
        eve.get(f"{path}/deliveries"),
        eve.post(f"{path}/deliveries/{delivery['id']}/replay"),
        ada.post(f"{path}/deliveries/{uuid4()}/replay"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert service.client.get("/api/webhooks").status_code == 401
    assert ada.get(path).status_code == 200


def test_deliveries_are_paged_newest_first(ada: Person, told: Receiver) -> None:
    webhook = ada.post("/api/webhooks", {"url": told.url, "events": EVENTS}).json()["data"]
    sent = [ada.post(f"/api/webhooks/{webhook['id']}/test").json()["data"]["id"] for _ in range(3)]
    first = ada.get(f"/api/webhooks/{webhook['id']}/deliveries?limit=2").json()["data"]
    second = ada.get(f"/api/webhooks/{webhook['id']}/deliveries?limit=2&cursor={first['next_cursor']}").json()["data"]
    assert [item["id"] for item in first["items"] + second["items"]] == sent[::-1]
    assert second["next_cursor"] is None


def test_operator_sees_where_a_delivery_went_and_replays_it(service: Service, ada: Person, told: Receiver) -> None:
    webhook = ada.post("/api/webhooks", {"url": told.url, "events": EVENTS}).json()["data"]
    sent = ada.post(f"/api/webhooks/{webhook['id']}/test").json()["data"]["id"]
    operator = service.person(is_admin=True)
    [shown] = operator.get("/api/ops/deliveries").json()["data"]["items"]
    assert (shown["id"], shown["url"], shown["email"]) == (sent, told.url, ada.email)
    assert operator.post(f"/api/ops/deliveries/{sent}/replay").status_code == 409
    service.execute(
        "UPDATE webhook_deliveries SET status = 'delivered', finished_at = now(), job_id = NULL, next_attempt_at = NULL"
    )
    replayed = operator.post(f"/api/ops/deliveries/{sent}/replay")
    assert replayed.status_code == 202, replayed.text
    assert (replayed.json()["data"]["replay_of"], replayed.json()["data"]["url"]) == (sent, told.url)
    [entry] = operator.get("/api/ops/audit").json()["data"]["items"]
    assert (entry["action"], entry["subject_id"]) == ("delivery.replay", sent)
    assert operator.post(f"/api/ops/deliveries/{uuid4()}/replay").status_code == 404
    assert ada.post(f"/api/ops/deliveries/{sent}/replay").status_code == 403


def test_operator_lists_the_deliveries_of_an_owner_a_webhook_or_an_event(
    service: Service, ada: Person, told: Receiver
) -> None:
    eve = service.person()
    sent = {}
    for person in (ada, eve):
        webhook = person.post("/api/webhooks", {"url": told.url, "events": EVENTS}).json()["data"]["id"]
        sent[webhook] = person.post(f"/api/webhooks/{webhook}/test").json()["data"]["id"]
    operator = service.person(is_admin=True)

    def listed(query: str) -> list[str]:
        return [item["id"] for item in operator.get(f"/api/ops/deliveries?{query}").json()["data"]["items"]]

    (of_ada, of_eve), (first, _) = sent.values(), sent
    assert listed("status=pending") == [of_eve, of_ada]
    assert listed(f"owner={ada.id}") == listed(f"owner={ada.email}") == listed(f"webhook_id={first}") == [of_ada]
    assert listed("event=webhook.test&limit=1") == [of_eve]
    assert listed("event=clip.completed") == listed(f"owner={ada.id}&status=failed") == listed("owner=nobody") == []


def test_unreadable_last_event_id_is_refused(ada: Person) -> None:
    assert ada.get("/api/events", headers={"Last-Event-ID": "a"}).status_code == 422


def test_metrics_are_served_to_operators(service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.deps.settings.admin_token}"}
    answer = service.client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    for name in (
        "snuggles_queue_depth",
        "snuggles_slots_needed",
        "snuggles_http_requests_total",
        "process_cpu_seconds",
    ):
        assert name in answer.text
