"""Kills workers and the dispatcher while a receiver that fails half of the time is told of two events a clip."""

import random
from collections import defaultdict
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from support.api.receiver import Received, Receiver, receiver
from support.servers.fleet import Fleet, add_user, rows, wait_for

from db.connection import SERVICE, Database, user_identity
from services.clips import state as clip_states
from services.process.settings import Settings
from services.webhooks import event as events
from services.webhooks import service as webhooks

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

SEED = 20261122
CLIPS = 25
OBJECT = {"key": "k", "content_type": "video/mp4", "size_bytes": 1, "duration_s": 6.0}
UNDER_WAY = "SELECT id FROM jobs WHERE queue = 'webhook' AND state IN ('queued', 'running')"
OPEN = "SELECT id FROM webhook_deliveries WHERE status = 'pending'"
HURRY = "UPDATE jobs SET run_at = now() WHERE queue = 'webhook' AND state = 'queued' AND run_at > now() RETURNING id"
WAKE = "UPDATE webhooks SET resting_until = now() WHERE resting_until > now() RETURNING id"


def add_clips(database: Database, owner: UUID) -> list[UUID]:
    recording_id = uuid4()
    with database.transaction(SERVICE) as tx:
        tx.execute(
            "INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key) "
            "VALUES (%s, %s, 'Talk', 'talk.mp4', 'video/mp4', 'processing', %s)",
            (recording_id, owner, f"{owner}/{recording_id}/source"),
        )
        made = tx.execute(
            "INSERT INTO clips (user_id, recording_id, start_s, end_s, status) "
            "SELECT %s, %s, 1, 7, 'processing' FROM generate_series(1, %s) RETURNING id",
            (owner, recording_id, CLIPS),
        )
        return [row["id"] for row in made]


def live(database: Database, clip_id: UUID) -> None:
    """Let a clip be completed and, some time later, expire."""
    with database.transaction(SERVICE) as tx:
        clip = clip_states.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])
    with database.transaction(SERVICE) as tx:
        events.clip_expired(tx, clip)


def wait_for_more(told: Receiver) -> None:
    seen = len(told.received)
    wait_for(lambda: len(told.received) > seen, what="more requests")


def assert_in_order(received: list[Received]) -> None:
    """Nothing about a clip was sent before something earlier about it had got through."""
    told: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for request in received:
        told[request.body["data"]["clip"]["id"]].append((request.body["type"], request.status))
    assert len(told) == CLIPS
    for sequence in told.values():
        first_expiry = [kind for kind, _ in sequence].index("clip.expired")
        assert ("clip.completed", 204) in sequence[:first_expiry], sequence
        assert ("clip.expired", 204) in sequence, sequence


def test_every_event_arrives_in_order_per_clip(settings: Settings, database: Database, tmp_path: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311 - a seed that replays, no secret
    owner = add_user(database, tier="pro")
    with (
        receiver() as told,
        Fleet(msgspec.structs.replace(settings, import_allow_hosts=(told.authority,)), tmp_path) as fleet,
    ):
        told.statuses = [dice.choice([204, 500, 503]) for _ in range(CLIPS * 4)]
        with database.transaction(user_identity(owner)) as tx:
            webhooks.create(tx, user_id=owner, url=told.url, events=["clip.completed", "clip.expired"])
        dispatcher, workers = fleet.dispatcher(), [fleet.worker(queues=["webhook"]) for _ in range(2)]
        for place, clip_id in enumerate(add_clips(database, owner)):
            live(database, clip_id)
            if place % 8 == 7:
                wait_for_more(told)
                rows(database, HURRY)
                workers.pop(0).kill()
                workers.append(fleet.worker(queues=["webhook"]))
        dispatcher.kill()
        fleet.dispatcher()

        def ended() -> bool:
            rows(database, WAKE)
            rows(database, HURRY)
            return not rows(database, OPEN)

        wait_for(ended, timeout_s=120, what="the last delivery")
        found = rows(database, "SELECT status, count(*) AS n FROM webhook_deliveries GROUP BY status")
        assert found == [{"status": "delivered", "n": CLIPS * 2}]
        assert_in_order(told.received)
        wait_for(lambda: not rows(database, UNDER_WAY), what="an idle queue")
