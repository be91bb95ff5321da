"""Webhooks from the event to the receiver: rows in PostgreSQL, the worker's own actor, a real HTTP server."""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.api.receiver import Receiver
from support.api.webhook_worker import ERROR, OBJECT, Worker, add_clip, complete, expire, log_of, subscribe
from support.servers.fleet import add_user, rows

from db.connection import SERVICE, Database, user_identity
from services.clips import state as clip_states
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.webhooks import event as events
from services.webhooks import service as webhooks
from storage.factory import Buckets


def test_completed_clip_reaches_the_receiver_signed(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, secret = subscribe(database, owner, told.url)
    clip_id = add_clip(database, owner)
    complete(database, clip_id)
    worker.run()

    (request,) = told.received
    (delivery,) = log_of(database, webhook)
    at_s, digest = (part.partition("=")[2] for part in request.headers["snuggles-signature"].split(","))
    assert digest == hmac.new(secret.encode(), f"{at_s}.".encode() + request.raw, sha256).hexdigest()
    assert abs(int(at_s) - datetime.now(UTC).timestamp()) < 60
    assert request.headers["idempotency-key"] == request.headers["snuggles-delivery"] == str(delivery.id)
    assert request.headers["snuggles-event"] == "clip.completed"
    assert request.path == "/hook?token=receivers-own"
    assert request.body["id"] == str(delivery.event_id)
    assert request.body["type"] == "clip.completed"
    clip = request.body["data"]["clip"]
    assert all(at.endswith("Z") for at in (request.body["created_at"], clip["created_at"], clip["completed_at"]))
    assert (clip["id"], clip["status"]) == (str(clip_id), "completed")
    assert b"clip.mp4" not in request.raw
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 1, 204)
    assert delivery.duration_ms is not None


def test_event_of_a_rolled_back_transaction_is_not_told(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    subscribe(database, owner, told.url)
    clip_id = add_clip(database, owner)
    with pytest.raises(RuntimeError), database.transaction(SERVICE) as tx:  # noqa: PT012 - the block is the transaction
        clip_states.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])
        raise RuntimeError
    worker.run()
    assert told.received == []
    assert rows(database, "SELECT * FROM events") == []


def test_only_subscribed_events_of_the_owner_are_told(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    stranger = add_user(database)
    subscribe(database, stranger, told.url)
    subscribe(database, owner, told.url, ["clip.failed"])
    complete(database, add_clip(database, owner))
    with database.transaction(SERVICE) as tx:
        clip_states.fail(tx, clip_id=add_clip(database, owner), error=ERROR)
    worker.run()
    assert [request.body["type"] for request in told.received] == ["clip.failed"]
    assert told.received[0].body["data"]["clip"]["error"]["code"] == "unreadable"


def test_later_event_of_a_clip_waits_for_the_earlier_one(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    told.statuses = [503, 500]
    clip = complete(database, add_clip(database, owner))
    worker.run()
    expire(database, clip)
    other = complete(database, add_clip(database, owner))
    worker.run()
    # The other clip's event got the second failure; neither it nor the expiry was sent before its turn.
    assert [log.status for log in log_of(database, webhook)] == ["pending", "pending", "pending"]
    worker.run(at_once=True)

    of_clip = [request.body["type"] for request in told.received if request.body["data"]["clip"]["id"] == str(clip.id)]
    of_other = [r.body["type"] for r in told.received if r.body["data"]["clip"]["id"] == str(other.id)]
    assert of_clip == ["clip.completed", "clip.completed", "clip.expired"]
    assert of_other == ["clip.completed", "clip.completed"]
    assert {log.status for log in log_of(database, webhook)} == {"delivered"}


def test_every_attempt_sends_the_same_body_and_id(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    subscribe(database, owner, told.url)
    told.statuses = [500]
    complete(database, add_clip(database, owner))
    worker.run()
    worker.run(at_once=True)
    first, second = told.received
    assert first.raw == second.raw
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert [r.headers["snuggles-attempt"] for r in told.received] == ["1", "2"]


def test_redirect_is_not_followed(database: Database, worker: Worker, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    told.statuses = [302]
    told.headers = {"Location": f"http://{told.authority}/elsewhere"}
    complete(database, add_clip(database, owner))
    worker.run()
    assert [request.path for request in told.received] == ["/hook?token=receivers-own"]
    (delivery,) = log_of(database, webhook)
    assert (delivery.status, delivery.response_status) == ("pending", 302)
    assert delivery.error.code == "redirected"


def test_private_address_is_refused_when_sending(
    database: Database, buckets: Buckets, tmp_path: Path, told: Receiver, owner: UUID
) -> None:
    # The URL was allowed, or its name led elsewhere, when the webhook was made.
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    strict = Worker(database, buckets, tmp_path / "strict", [])
    strict.run()
    strict.runtime.scratch.close()
    assert told.received == []
    (delivery,) = log_of(database, webhook)
    assert delivery.error.code == "address_refused"
    assert delivery.status == "pending"


def test_answer_is_kept_short_and_without_secrets(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, secret = subscribe(database, owner, told.url)
    told.statuses = [400]
    told.answer = f"\0no: {secret} Bearer abc.def.ghi ".encode() + "ü".encode() * 2000
    complete(database, add_clip(database, owner))
    worker.run()
    (delivery,) = log_of(database, webhook)
    excerpt = delivery.response_excerpt or ""
    assert excerpt.startswith("no: [redacted] Bearer [redacted] ")
    assert 0 < len(excerpt.encode()) <= 1024


def test_deleted_webhook_is_told_of_nothing(database: Database, worker: Worker, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    with database.transaction(user_identity(owner)) as tx:
        webhooks.delete(tx, user_id=owner, webhook_id=webhook.id)
    worker.run()
    assert told.received == []


def test_test_event_goes_to_one_webhook_only(database: Database, worker: Worker, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url, ["clip.failed"])
    subscribe(database, owner, told.url)
    with database.transaction(user_identity(owner)) as tx:
        webhooks.send_test(tx, user_id=owner, webhook_id=webhook.id)
    worker.run()
    assert [request.body["type"] for request in told.received] == ["webhook.test"]


def test_strangers_ids_are_not_found(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    (delivery,) = log_of(database, webhook)
    stranger = add_user(database)
    ids: dict[str, Any] = {"user_id": stranger, "webhook_id": webhook.id}
    for call in (
        webhooks.get,
        webhooks.delete,
        webhooks.enable,
        webhooks.send_test,
        lambda tx, **given: webhooks.list_deliveries(tx, **given, limit=10),
        lambda tx, **given: webhooks.replay(tx, **given, delivery_id=delivery.id),
    ):
        with database.transaction(user_identity(stranger)) as tx, pytest.raises(NotFoundError):
            call(tx, **ids)
    assert rows(database, "SELECT 1 FROM webhooks")


def test_secret_cannot_be_read_by_its_owner(database: Database, told: Receiver, owner: UUID) -> None:
    subscribe(database, owner, told.url)
    with pytest.raises(Exception, match="permission denied"), database.transaction(user_identity(owner)) as tx:
        tx.execute("SELECT secret FROM webhooks")


def test_unknown_event_and_too_many_webhooks_are_refused(database: Database, told: Receiver, owner: UUID) -> None:
    with pytest.raises(InvalidFieldError, match=r"clip\.exploded"):
        subscribe(database, owner, told.url, ["clip.exploded"])
    for _ in range(webhooks.MAX_WEBHOOKS):
        subscribe(database, owner, told.url)
    with pytest.raises(ConflictError):
        subscribe(database, owner, told.url)


def test_follower_who_comes_back_gets_what_he_missed(database: Database, owner: UUID) -> None:
    complete(database, add_clip(database, owner))
    with database.transaction(user_identity(owner)) as tx:
        feed = events.follow(tx, user_id=owner, last_event_id=None)
        assert events.read(tx, feed, user_id=owner) == []
    complete(database, add_clip(database, owner))
    complete(database, add_clip(database, add_user(database)))
    with database.transaction(user_identity(owner)) as tx:
        (first,) = events.read(tx, feed, user_id=owner)
        assert events.read(tx, feed, user_id=owner) == []
    complete(database, add_clip(database, owner))
    with database.transaction(user_identity(owner)) as tx:
        again = events.follow(tx, user_id=owner, last_event_id=str(first.seq))
        missed = events.read(tx, again, user_id=owner)
    assert first.seq not in [event.seq for event in missed]
    assert missed[-1].seq > first.seq


def test_event_that_commits_late_is_not_missed(database: Database, owner: UUID) -> None:
    slow, quick = add_clip(database, owner), add_clip(database, owner)
    with database.transaction(user_identity(owner)) as tx:
        feed = events.follow(tx, user_id=owner, last_event_id=None)
    with database.transaction(SERVICE) as tx:
        clip_states.publish(tx, clip_id=slow, objects={"mp4": OBJECT}, notes=[])
        complete(database, quick)
        with database.transaction(user_identity(owner)) as reader:
            assert [event.clip_id for event in events.read(reader, feed, user_id=owner)] == [quick]
    with database.transaction(user_identity(owner)) as tx:
        assert [event.clip_id for event in events.read(tx, feed, user_id=owner)] == [slow]
