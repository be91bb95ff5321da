"""A message that nobody answered is sent again when it is gone, but not while it only waits its turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs
from support.servers.fleet import add_user, rows

from db import dispatch, workers
from db.connection import SERVICE, Database, Transaction
from services.jobs import service as jobs
from workers.queue.broker import message_id
from workers.queue.reconciler import INTERVAL_S, Reconciler


class Site:
    """One job that was sent a minute ago, one worker with a free slot, and what the broker says."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now_s = 100.0
        self.waiting: set[str] | None = set()
        """What the broker says of every queue."""
        self.reconciler = Reconciler(lambda _queue: self.waiting, random=lambda: 0.5, clock=lambda: self.now_s)
        user_id = add_user(database)
        with database.transaction(SERVICE) as tx:
            self.job_id = jobs.enqueue(tx, kind="render", user_id=user_id).id
            dispatch.mark_sent(tx, [self.job_id])
            workers.beat(
                tx,
                worker_id=uuid4(),
                host="here",
                pid=1,
                version="1",
                queues=["render"],
                slots=1,
                memory_bytes=None,
                is_draining=False,
            )
            tx.execute("UPDATE jobs SET dispatched_at = now() - interval '1 minute'")

    def look(self, times: int) -> list[str]:
        """Run so many rounds; return what was logged."""
        with capture_logs() as lines:
            for _ in range(times):
                self.now_s += INTERVAL_S
                self.reconciler.run_if_due(self.transaction)
        return [line["event"] for line in lines]

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.database.transaction(SERVICE) as tx:
            yield tx

    def is_sent(self) -> bool:
        return rows(self.database, "SELECT dispatched_at FROM jobs WHERE id = %(id)s", id=self.job_id) != [
            {"dispatched_at": None}
        ]


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def name(job_id: UUID) -> str:
    return message_id(job_id, 1)


def test_message_that_waits_in_the_broker_is_not_lost(site: Site) -> None:
    site.waiting = {name(site.job_id)}
    assert "messages_lost" not in site.look(5)
    assert site.is_sent()


def test_message_that_is_gone_is_sent_again_at_the_second_look(site: Site) -> None:
    assert "messages_lost" not in site.look(1)
    assert site.is_sent()
    assert "messages_lost" in site.look(1)
    assert not site.is_sent()


def test_message_that_was_on_its_way_at_one_look_is_not_lost(site: Site) -> None:
    site.look(1)
    site.waiting = {name(site.job_id)}
    site.look(1)
    site.waiting = set()
    assert "messages_lost" not in site.look(1)
    assert site.is_sent()


def test_nothing_is_lost_while_the_broker_does_not_answer(site: Site) -> None:
    site.waiting = None
    assert "messages_lost" not in site.look(5)
    assert site.is_sent()


def test_message_of_another_number_does_not_hide_a_lost_one(site: Site) -> None:
    site.waiting = {message_id(site.job_id, 0)}
    assert "messages_lost" in site.look(2)
    assert not site.is_sent()
