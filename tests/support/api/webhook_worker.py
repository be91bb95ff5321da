"""What tests of webhooks share: a worker for the queue `webhook`, and clips whose events it tells."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from support.api.receiver import Receiver, receiver
from support.servers.fleet import add_user, rows

from db import dispatch
from db.clips import Clip
from db.connection import SERVICE, Database, user_identity
from services.clips import state as clip_states
from services.jobs.service import JobError
from services.mail.transport import Envelope, Mailer
from services.outbound.fetch import SafeFetcher
from services.webhooks import delivery as deliveries
from services.webhooks import event as events
from services.webhooks import service as webhooks
from services.webhooks.delivery import Outcome
from services.webhooks.service import EVENT_TYPES, Webhook
from storage.factory import Buckets
from workers.actors import WORKS
from workers.children.launcher import Launcher
from workers.completer import Completer
from workers.execution import execute
from workers.lease_renewer import Identity, LeaseRenewer
from workers.queue.slots import SlotLimit
from workers.runtime import Runtime
from workers.scratch import Scratch

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OBJECT = {"key": "a/b/1/clip.mp4", "content_type": "video/mp4", "size_bytes": 5, "duration_s": 6.0}
ERROR = JobError(code="unreadable", message="It cannot be read.", remedy="Send another.", retryable=False)
DUE = "SELECT id FROM jobs WHERE queue = 'webhook' AND state = 'queued' AND run_at <= now() ORDER BY run_at, created_at"


class Postbox:
    """Keeps mail instead of sending it."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []

    def send(self, mail: Envelope, *, before_text: Callable[[], None] = lambda: None) -> None:
        before_text()
        self.mails.append(mail)


class Worker:
    """What a worker process does with the queue `webhook`, one job at a time."""

    def __init__(self, database: Database, buckets: Buckets, folder: Path, allowed: list[str]) -> None:
        worker_id = uuid4()
        identity = Identity(worker_id=worker_id, version="test", queues=("webhook",), slots=1)
        self.database = database
        self.postbox = Postbox()
        self.runtime = Runtime(
            worker_id=worker_id,
            database=database,
            buckets=buckets,
            fetcher=SafeFetcher(allowed=allowed),
            scratch=Scratch(folder, "worker"),
            lease_renewer=LeaseRenewer(database, identity),
            completer=Completer(database, worker_id),
            slots=SlotLimit(1),
            launcher=Launcher(),
            threads=1,
            recording_max_bytes=10**9,
            mailer=self.postbox,
            public_url="http://snuggles.example",
        )

    def send_to(self, mailer: Mailer, *, public_url: str) -> None:
        """Send mail from now on instead of keeping it."""
        self.runtime = msgspec.structs.replace(self.runtime, mailer=mailer, public_url=public_url)

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
def worker(database: Database, buckets: Buckets, tmp_path: Path, told: Receiver) -> Iterator[Worker]:
    working = Worker(database, buckets, tmp_path / "scratch", [told.authority])
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
        return clip_states.publish(tx, clip_id=clip_id, objects={"mp4": OBJECT}, notes=[])


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


def attempt(
    database: Database, delivery_id: UUID, *, now: datetime, status: int = 500, retry_after_s: float | None = None
) -> str:
    """Make one attempt at a given moment, without a network."""
    with database.transaction(SERVICE) as tx:
        outgoing = deliveries.begin(tx, delivery_id=delivery_id, now=now)
    assert outgoing is not None
    with database.transaction(SERVICE) as tx:
        outcome = Outcome(duration_ms=3, status=status, retry_after_s=retry_after_s)
        return deliveries.finish(tx, outgoing=outgoing, outcome=outcome, now=now, random=0.5)
