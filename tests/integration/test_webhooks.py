"""Webhooks from the event to the receiver: rows in PostgreSQL, the worker's own actor, a real HTTP server."""

import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fleet import add_user, rows
from receiver import Receiver, receiver

from db import dispatch
from db.clips import Clip
from db.connection import SERVICE, Database, user_identity
from services import clips, deliveries, events, webhooks
from services.deliveries import REST, Outcome
from services.errors import ConflictError, InvalidFieldError, NotFoundError
from services.mail import Mail
from services.outbound.fetch import SafeFetcher
from services.webhooks import EVENT_TYPES, Webhook
from storage.factory import Stores
from workers.actors import WORKS
from workers.execution import execute
from workers.gate import Gate
from workers.keeper import Identity, Keeper
from workers.launcher import Launcher
from workers.ledger import Ledger
from workers.runtime import Runtime
from workers.scratch import Scratch

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OBJECT = {"key": "a/b/1/clip.mp4", "content_type": "video/mp4", "size_bytes": 5, "duration_s": 6.0}
ERROR = {"code": "unreadable", "message": "It cannot be read.", "remedy": "Send another.", "retryable": False}
DUE = "SELECT id FROM jobs WHERE queue = 'webhook' AND state = 'queued' AND run_at <= now() ORDER BY run_at, created_at"


class Postbox:
    """Keeps mail instead of sending it."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.mails.append(mail)


class Worker:
    """What a worker process does with the queue `webhook`, one job at a time."""

    def __init__(self, database: Database, stores: Stores, folder: Path, allowed: list[str]) -> None:
        worker_id = uuid4()
        identity = Identity(worker_id=worker_id, version="test", queues=("webhook",), slots=1)
        self.database = database
        self.postbox = Postbox()
        self.runtime = Runtime(
            worker_id=worker_id,
            database=database,
            stores=stores,
            fetcher=SafeFetcher(allowed=allowed),
            scratch=Scratch(folder, "worker"),
            keeper=Keeper(database, identity),
            ledger=Ledger(database, worker_id),
            gate=Gate(1),
            launcher=Launcher(),
            threads=1,
            recording_max_bytes=10**9,
            mailer=self.postbox,
            public_url="http://snuggles.example",
        )

    def run(self, *, at_once: bool = False) -> int:
        """Do every job that is due; `at_once` makes those that are put off due first."""
        done = 0
        while True:
            if at_once:
                rows(self.database, "UPDATE jobs SET run_at = now() WHERE state = 'queued' RETURNING id")
                at_once = False
            due = [row["id"] for row in rows(self.database, DUE)]
            if not due:
                return done
            with self.database.transaction(SERVICE) as tx:
                sent = dispatch.mark_sent(tx, due)
            for job in sent:
                execute(self.runtime, job.job_id, job.dispatch_no, WORKS)
                done += 1


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture
def worker(database: Database, stores: Stores, tmp_path: Path, told: Receiver) -> Iterator[Worker]:
    working = Worker(database, stores, tmp_path / "scratch", [told.authority])
    yield working
    working.runtime.scratch.close()


@pytest.fixture
def owner(database: Database) -> UUID:
    return add_user(database)


def subscribe(database: Database, owner: UUID, url: str, wanted: list[str] | None = None) -> tuple[Webhook, str]:
    with database.transaction(user_identity(owner)) as tx:
        return webhooks.create(tx, user_id=owner, url=url, events=wanted or list(EVENT_TYPES))


def add_clip(database: Database, owner: UUID) -> UUID:
    recording_id, clip_id = uuid4(), uuid4()
    rows(
        database,
        "INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key) "
        "VALUES (%(id)s, %(owner)s, 'Talk', 'talk.mp4', 'video/mp4', 'processing', %(key)s) RETURNING id",
        id=recording_id,
        owner=owner,
        key=f"{owner}/{recording_id}/source",
    )
    rows(
        database,
        "INSERT INTO clips (id, user_id, recording_id, title, start_s, end_s, status) "
        "VALUES (%(id)s, %(owner)s, %(recording)s, 'Laugh', 1, 7, 'processing') RETURNING id",
        id=clip_id,
        owner=owner,
        recording=recording_id,
    )
    return clip_id


def complete(database: Database, clip_id: UUID) -> Clip:
    with database.transaction(SERVICE) as tx:
        return clips.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])


def expire(database: Database, clip: Clip) -> None:
    with database.transaction(SERVICE) as tx:
        events.clip_expired(tx, clip)


def log_of(database: Database, webhook: Webhook) -> list[webhooks.Delivery]:
    with database.transaction(user_identity(webhook.user_id)) as tx:
        page = webhooks.list_deliveries(tx, user_id=webhook.user_id, webhook_id=webhook.id, limit=100)
    return page.items[::-1]


def state_of(database: Database, webhook: Webhook) -> Webhook:
    with database.transaction(user_identity(webhook.user_id)) as tx:
        return webhooks.get(tx, user_id=webhook.user_id, webhook_id=webhook.id)


def attempt(database: Database, delivery_id: UUID, *, now: datetime, status: int = 500) -> str:
    """Make one attempt at a given moment, without a network."""
    with database.transaction(SERVICE) as tx:
        outgoing = deliveries.begin(tx, delivery_id=delivery_id, now=now)
    assert outgoing is not None
    with database.transaction(SERVICE) as tx:
        return deliveries.finish(
            tx, outgoing=outgoing, outcome=Outcome(duration_ms=3, status=status), now=now, random=0.5
        )


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
    assert datetime.fromisoformat(request.body["created_at"]).tzinfo is not None
    assert request.body["data"]["clip"]["id"] == str(clip_id)
    assert request.body["data"]["clip"]["status"] == "completed"
    assert b"clip.mp4" not in request.raw
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 1, 204)
    assert delivery.duration_ms is not None


def test_event_of_a_rolled_back_transaction_is_not_told(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    subscribe(database, owner, told.url)
    clip_id = add_clip(database, owner)
    with pytest.raises(RuntimeError), database.transaction(SERVICE) as tx:  # noqa: PT012 - the block is the transaction
        clips.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])
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
        clips.fail(tx, clip_id=add_clip(database, owner), error=ERROR)
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
    assert (delivery.error or {})["code"] == "redirected"


def test_private_address_is_refused_when_sending(
    database: Database, stores: Stores, tmp_path: Path, told: Receiver, owner: UUID
) -> None:
    # The URL was allowed, or its name led elsewhere, when the webhook was made.
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    strict = Worker(database, stores, tmp_path / "strict", [])
    strict.run()
    strict.runtime.scratch.close()
    assert told.received == []
    (delivery,) = log_of(database, webhook)
    assert (delivery.error or {})["code"] == "address_refused"
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


def test_failing_delivery_backs_off_for_a_day_and_is_given_up(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    delivery = log_of(database, webhook)[0]
    now, pauses, ended = NOW, [], "pending"
    while ended == "pending":
        ended = attempt(database, delivery.id, now=now)
        if ended == "pending":
            next_at = log_of(database, webhook)[0].next_attempt_at
            assert next_at is not None
            pauses.append((next_at - now).total_seconds())
            now = next_at
    assert ended == "failed"
    assert now - NOW == timedelta(hours=24)
    assert pauses[:3] == [3.75, 7.5, 15.0]
    assert max(pauses) <= 2 * 3600
    assert 15 <= log_of(database, webhook)[0].attempts <= 40
    assert state_of(database, webhook).status == "enabled"


def give_up(database: Database, webhook: Webhook, owner: UUID, *, first: datetime, last: datetime) -> UUID:
    """Let a clip's event fail at `first` and, for good, at `last`."""
    complete(database, add_clip(database, owner))
    delivery = log_of(database, webhook)[-1]
    attempt(database, delivery.id, now=first)
    assert attempt(database, delivery.id, now=last) == "failed"
    return delivery.id


def test_webhook_is_disabled_after_three_days_of_nothing_but_failure(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    give_up(database, webhook, owner, first=NOW, last=NOW + timedelta(days=2.9))
    assert state_of(database, webhook).status == "enabled"
    waiting = add_clip(database, owner)
    give_up(database, webhook, owner, first=NOW + timedelta(days=2), last=NOW + timedelta(days=3.1))
    complete(database, waiting)

    disabled = state_of(database, webhook)
    assert disabled.status == "disabled"
    assert "3 days" in (disabled.disabled_reason or "")
    assert len(log_of(database, webhook)) == 2, "a disabled webhook is told of nothing new"
    worker.run()
    assert told.received == []
    (mail,) = worker.postbox.mails
    assert "was disabled" in mail.text
    assert "receivers-own" not in mail.text
    with database.transaction(user_identity(owner)) as tx:
        feed = events.follow(tx, user_id=owner, last_event_id="0")
        assert events.read(tx, feed, user_id=owner)[-2].type == "webhook.disabled"


def test_success_between_keeps_a_webhook_enabled(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    give_up(database, webhook, owner, first=NOW, last=NOW + timedelta(days=1))
    complete(database, add_clip(database, owner))
    attempt(database, log_of(database, webhook)[-1].id, now=NOW + timedelta(days=2), status=200)
    give_up(database, webhook, owner, first=NOW + timedelta(days=3), last=NOW + timedelta(days=4))
    assert state_of(database, webhook).status == "enabled"


def test_pending_deliveries_of_a_disabled_webhook_end_and_can_be_replayed(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    give_up(database, webhook, owner, first=NOW, last=NOW + timedelta(days=4))
    assert [log.status for log in log_of(database, webhook)] == ["failed", "failed"]
    missed = log_of(database, webhook)[0]
    assert (missed.error or {})["code"] == "webhook_disabled"
    with database.transaction(user_identity(owner)) as tx, pytest.raises(ConflictError, match="enable"):
        webhooks.replay(tx, user_id=owner, webhook_id=webhook.id, delivery_id=missed.id)

    with database.transaction(user_identity(owner)) as tx:
        assert webhooks.enable(tx, user_id=owner, webhook_id=webhook.id).disabled_reason is None
        replayed = webhooks.replay(tx, user_id=owner, webhook_id=webhook.id, delivery_id=missed.id)
    worker.run()
    (request,) = told.received
    assert request.body["id"] == str(missed.event_id)
    assert request.headers["idempotency-key"] == str(replayed.id) != str(missed.id)
    assert log_of(database, webhook)[-1].replay_of == missed.id
    assert worker.postbox.mails == [], "no notice for a webhook that is enabled again"


def test_failing_webhook_rests_between_single_tries(
    database: Database, worker: Worker, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    told.statuses = [500] * 1000
    for _ in range(REST.patience + 15):
        complete(database, add_clip(database, owner))
    worker.run()
    assert len(told.received) == REST.patience, "the others wait until it has rested"
    worker.run(at_once=True)
    assert len(told.received) == REST.patience
    rows(database, "UPDATE webhooks SET resting_until = now() RETURNING id")
    worker.run(at_once=True)
    assert len(told.received) == REST.patience + 1, "one tries for all"

    told.statuses = []
    rows(database, "UPDATE webhooks SET resting_until = now() RETURNING id")
    worker.run(at_once=True)
    worker.run(at_once=True)
    assert {log.status for log in log_of(database, webhook)} == {"delivered"}
    assert state_of(database, webhook).failing_since is None


def test_delivery_to_a_resting_webhook_is_given_up_after_its_day(
    database: Database, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    (delivery,) = log_of(database, webhook)
    attempt(database, delivery.id, now=NOW)
    later = NOW + timedelta(hours=25)
    rows(database, "UPDATE webhooks SET resting_until = %(at)s RETURNING id", at=later + timedelta(minutes=1))
    with database.transaction(SERVICE) as tx:
        assert deliveries.begin(tx, delivery_id=delivery.id, now=later) is None
    (ended,) = log_of(database, webhook)
    assert (ended.status, ended.attempts, (ended.error or {})["code"]) == ("failed", 1, "refused")
    assert state_of(database, webhook).status == "enabled"


def test_pending_delivery_cannot_be_replayed(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    (delivery,) = log_of(database, webhook)
    with database.transaction(user_identity(owner)) as tx, pytest.raises(ConflictError):
        webhooks.replay(tx, user_id=owner, webhook_id=webhook.id, delivery_id=delivery.id)


def test_delivery_whose_job_is_lost_is_rescued(database: Database, worker: Worker, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    clip = complete(database, add_clip(database, owner))
    expire(database, clip)
    rows(database, "DELETE FROM jobs WHERE queue = 'webhook' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert deliveries.sweep(tx, now=datetime.now(UTC)) == {"rescued": 1, "deleted": 0}
        assert deliveries.sweep(tx, now=datetime.now(UTC)) == {"rescued": 0, "deleted": 0}
    worker.run(at_once=True)
    assert [request.body["type"] for request in told.received] == ["clip.completed", "clip.expired"]
    assert {log.status for log in log_of(database, webhook)} == {"delivered"}


def test_events_older_than_a_month_are_forgotten_with_their_deliveries(
    database: Database, told: Receiver, owner: UUID
) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    rows(database, "UPDATE events SET created_at = now() - interval '31 days' RETURNING id")
    with database.transaction(SERVICE) as tx:
        assert deliveries.sweep(tx, now=datetime.now(UTC))["deleted"] == 1
    assert log_of(database, webhook) == []


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
        clips.publish(tx, clip_id=slow, objects={"mp4": OBJECT}, notes=[])
        complete(database, quick)
        with database.transaction(user_identity(owner)) as reader:
            assert [event.clip_id for event in events.read(reader, feed, user_id=owner)] == [quick]
    with database.transaction(user_identity(owner)) as tx:
        assert [event.clip_id for event in events.read(tx, feed, user_id=owner)] == [slow]
