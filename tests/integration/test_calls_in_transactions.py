"""Storage and network are called with no transaction open; requests that need neither do not wait for them."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from support.api.server import Service, serving
from support.jobs import job
from support.stripe.shop import Shop
from support.stripe.world import SECRET_KEY, InProcess

from db.connection import SERVICE, CallInTransactionError, Database
from services.billing.gateway.setup import SetupGateway
from services.mail.render import Rendered
from services.mail.transport import Envelope, LogMailer
from services.outbound.fetch import SafeFetcher
from services.process.settings import Settings
from services.recordings import upload as uploads
from storage.factory import Buckets, guarded
from storage.store import PartTag, StorageError
from workers.attempt import Attempt

ANNOUNCED = {"filename": "talk.mp4", "size_bytes": 1000, "content_type": "video/mp4"}


def test_call_to_storage_inside_a_transaction_fails(database: Database, buckets: Buckets) -> None:
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError, match="storage"):
        buckets.recordings.list_parts("a/b", "0" * 32)
    with database.transaction(SERVICE):
        assert buckets.recordings.presign_get("a/b", expires_s=1)
    assert list(buckets.recordings.list_objects("")) == []


def test_call_to_network_or_mail_inside_a_transaction_fails(database: Database) -> None:
    fetcher = SafeFetcher(resolver=lambda *_: ["192.0.2.1"])
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError, match="network"):
        fetcher.check("https://media.example/talk.mp4")
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError, match="mail"):
        LogMailer().send(Envelope(to="ada@example.org", rendered=Rendered(subject="s", text="t", html="h", link="l")))


def test_call_to_stripe_inside_a_transaction_fails(database: Database) -> None:
    shop = Shop()
    billing = shop.billing(database)
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError, match="Stripe"):
        billing.gateway.create_customer(user_id="1", email="ada@example.org", previous=None)
    assert shop.world.find("customer") == []
    gateway = SetupGateway(SECRET_KEY, api_base=shop.world.base_url, http_client=InProcess(shop.world))
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError, match="Stripe"):
        gateway.portal("https://clips.example/")
    assert gateway.portal("https://clips.example/")


def test_call_from_another_thread_on_behalf_of_a_transaction_fails(database: Database, buckets: Buckets) -> None:
    with database.transaction(SERVICE), pytest.raises(CallInTransactionError):
        Attempt(job()).wait_for(buckets.clips.ping)


def test_transaction_that_fails_counts_as_ended(database: Database, buckets: Buckets) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction(SERVICE):
        raise ZeroDivisionError
    buckets.clips.ping()


@pytest.fixture
def blocked(settings: Settings) -> Iterator[tuple[Service, threading.Event, threading.Semaphore]]:
    """A service whose storage answers nothing until the event is set; the semaphore counts who waits for it."""
    released, waiting = threading.Event(), threading.Semaphore(0)

    def block(_what: str) -> None:
        waiting.release()
        released.wait(60)

    def with_storage(buckets: Buckets) -> Buckets:
        return guarded(buckets, block)

    with serving(settings, with_storage=with_storage) as running:
        yield running, released, waiting
        released.set()


def test_requests_that_need_no_storage_finish_while_it_hangs(
    blocked: tuple[Service, threading.Event, threading.Semaphore],
) -> None:
    service, released, waiting = blocked
    person = service.person(tier="pro")
    with ThreadPoolExecutor(90) as clients:
        hanging = [clients.submit(person.post, "/api/recordings", ANNOUNCED) for _ in range(40)]
        assert waiting.acquire(timeout=20)
        began_s = time.monotonic()
        served = [clients.submit(person.get, "/api/recordings") for _ in range(50)]
        assert {answer.result(30).status_code for answer in served} == {200}
        assert time.monotonic() - began_s < 20
        assert not any(answer.done() for answer in hanging)
        assert service.rows("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'") == []
        released.set()
        assert {answer.result(30).status_code for answer in hanging} == {201}


def test_readiness_asks_a_storage_that_hangs_only_once(
    blocked: tuple[Service, threading.Event, threading.Semaphore],
) -> None:
    service, _, waiting = blocked
    for _ in range(2):
        answer = service.client.get("/ready")
        assert answer.status_code == 503
        assert answer.json()["error"]["details"]["database"] == "ok"
    assert waiting.acquire(blocking=False)
    assert not waiting.acquire(blocking=False)


def test_upload_that_was_joined_before_a_crash_is_completed_by_the_next_request(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    tags = service.tags(person, recording_id)
    with service.deps.database.transaction(SERVICE) as tx:
        recording = uploads.get_uploading(tx, user_id=person.id, recording_id=UUID(recording_id))
    sent = [PartTag(number=tag["number"], etag=tag["etag"]) for tag in tags]
    uploads.join_parts(service.deps.buckets.recordings, recording, sent)
    for _ in range(2):
        answer = person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags})
        assert answer.status_code == 202, answer.text
        assert answer.json()["data"]["recording"]["status"] == "processing"
    assert len(service.rows("SELECT id FROM jobs WHERE kind = 'ingest'")) == 1


def test_completions_at_the_same_time_queue_one_ingest(service: Service) -> None:
    person = service.person()
    recording_id = service.upload(person)
    tags = service.tags(person, recording_id)
    with ThreadPoolExecutor(8) as clients:
        answers = list(
            clients.map(lambda _: person.post(f"/api/recordings/{recording_id}/complete", {"parts": tags}), range(8))
        )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["job"]["id"] for answer in answers}) == 1


def test_upload_whose_recording_is_refused_is_given_up(service: Service) -> None:
    person = service.person()
    recording_id = service.ready_recording(person)
    full = 101 * 1024**3  # of the 100 GiB that the free tier includes
    service.execute("UPDATE recordings SET size_bytes = %(size)s WHERE id = %(id)s", size=full, id=recording_id)
    answer = person.post("/api/recordings", ANNOUNCED)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_exceeded")
    assert list(service.deps.buckets.recordings.list_uploads(f"{person.id}/")) == []


def test_owner_has_so_many_uploads_open(service: Service) -> None:
    person = service.person()
    made = person.post("/api/recordings", ANNOUNCED).json()["data"]["recording"]["id"]
    service.execute(
        "INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key)"
        " SELECT another, user_id, title, filename, content_type, size_bytes, status,"
        " user_id || '/' || another || '/source'"
        " FROM recordings, (SELECT gen_random_uuid() AS another FROM generate_series(2, %(most)s)) AS others"
        " WHERE id = %(id)s",
        id=made,
        most=uploads.MAX_OPEN_UPLOADS,
    )
    refused = person.post("/api/recordings", ANNOUNCED)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
    assert person.delete(f"/api/recordings/{made}").status_code == 200
    assert person.post("/api/recordings", ANNOUNCED).status_code == 201


def test_repeated_announcement_opens_one_upload(service: Service) -> None:
    person = service.person()
    with ThreadPoolExecutor(6) as clients:
        answers = list(
            clients.map(
                lambda _: person.post("/api/recordings", ANNOUNCED, headers={"Idempotency-Key": "once"}), range(6)
            )
        )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["recording"]["id"] for answer in answers}) == 1
    assert len(list(service.deps.buckets.recordings.list_uploads(f"{person.id}/"))) == 1


def test_upload_that_storage_refuses_leaves_no_row(settings: Settings) -> None:
    def fail(_what: str) -> None:
        raise StorageError("away")

    with serving(settings, with_storage=lambda buckets: guarded(buckets, fail)) as service:
        person = service.person()
        answer = person.post("/api/recordings", ANNOUNCED)
        assert (answer.status_code, answer.json()["error"]["retryable"]) == (503, True)
        assert service.rows("SELECT 1 FROM recordings") == []
