"""Webhooks whose receiver fails: when they try again, rest, are disabled, and what is done about what they missed."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from support.api.receiver import Receiver
from support.api.webhook_worker import NOW, Worker, add_clip, attempt, complete, expire, log_of, state_of, subscribe
from support.servers.fleet import rows

from db.connection import SERVICE, Database, user_identity
from services.errors import ConflictError
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks import service as webhooks
from services.webhooks.delivery import REST
from services.webhooks.service import Webhook


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


def test_receiver_that_asks_for_time_is_left_alone_for_it(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    delivery = log_of(database, webhook)[0]
    assert attempt(database, delivery.id, now=NOW, status=503, retry_after_s=600.0) == "pending"
    assert log_of(database, webhook)[0].next_attempt_at == NOW + timedelta(seconds=600)


def test_receiver_that_is_gone_ends_its_webhook(database: Database, told: Receiver, owner: UUID) -> None:
    webhook, _ = subscribe(database, owner, told.url)
    complete(database, add_clip(database, owner))
    delivery = log_of(database, webhook)[0]
    assert attempt(database, delivery.id, now=NOW, status=410) == "failed"
    disabled = state_of(database, webhook)
    assert disabled.status == "disabled"
    assert "410" in (disabled.disabled_reason or "")


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
    assert "was disabled" in mail.rendered.text
    assert "receivers-own" not in mail.rendered.text
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
    assert missed.error.code == "webhook_disabled"
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
    assert (ended.status, ended.attempts, ended.error.code) == ("failed", 1, "refused")
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
