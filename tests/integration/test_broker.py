"""Messages on their way through Redis: sent, seen waiting, fetched by a worker of Dramatiq, and outages on the way."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import dramatiq
import pytest
import redis
from dramatiq import Broker
from structlog.testing import capture_logs

from services.jobs.service import QUEUES
from workers.queue.broker import declare_queues, list_waiting, message, message_id, open_broker, send
from workers.queue.slots import SlotLimit

WAIT_S = 20.0
SLOW_POLL_MS = 30_000


@pytest.fixture
def sender(redis_url: str) -> Iterator[Broker]:
    broker = open_broker(redis_url, slots=SlotLimit(0))
    declare_queues(broker)
    yield broker
    broker.close()


@contextmanager
def working(
    redis_url: str, answer: Callable[[str, int], None], *, poll_ms: int = 100, threads: int = 2
) -> Iterator[SlotLimit]:
    slots = SlotLimit(threads)
    broker = open_broker(redis_url, slots=slots, connections=16)
    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, broker=broker)(answer)
    worker = dramatiq.Worker(broker, queues=set(QUEUES), worker_timeout=poll_ms, worker_threads=threads)
    worker.queue_prefetch = threads
    worker.start()
    try:
        yield slots
    finally:
        worker.stop(timeout=1000)
        broker.close()


def wait_until(look: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_messages_that_were_sent_together_are_each_answered_once(redis_url: str, sender: Broker) -> None:
    answered: list[tuple[str, int]] = []

    def answer(job_id: str, dispatch_no: int) -> None:
        answered.append((job_id, dispatch_no))

    ids = [uuid4() for _ in range(20)]
    messages = [
        message(queue=QUEUES[number % 2], job_id=job_id, dispatch_no=number) for number, job_id in enumerate(ids)
    ]
    send(sender, sorted(messages, key=lambda one: one.queue_name))
    assert list_waiting(sender, QUEUES[0]) == {
        message_id(job_id, number) for number, job_id in enumerate(ids) if number % 2 == 0
    }
    with working(redis_url, answer), redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: len(answered) == len(ids))
        wait_until(lambda: not any(client.exists(f"snuggles:{queue}.msgs") for queue in QUEUES))
    assert sorted(answered, key=lambda one: one[1]) == [(str(job_id), number) for number, job_id in enumerate(ids)]


def test_notification_wakes_a_worker_long_before_its_poll(redis_url: str, sender: Broker) -> None:
    answered = threading.Event()
    with working(redis_url, lambda *_: answered.set(), poll_ms=SLOW_POLL_MS), redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: client.pubsub_numsub("snuggles:sent")[0][1] == 1)
        wait_until(lambda: client.zcard("snuggles:__heartbeats__") == 1)
        send(sender, [message(queue="render", job_id=uuid4(), dispatch_no=1)])
        assert answered.wait(WAIT_S)


def test_busy_worker_leaves_messages_waiting(redis_url: str, sender: Broker) -> None:
    began, go_on = threading.Semaphore(0), threading.Event()

    def answer(*_: object) -> None:
        began.release()
        assert go_on.wait(WAIT_S)

    ids = [uuid4() for _ in range(5)]
    with working(redis_url, answer, threads=2):
        send(sender, [message(queue="render", job_id=job_id, dispatch_no=1) for job_id in ids])
        for _ in range(2):
            assert began.acquire(timeout=WAIT_S)
        assert len(list_waiting(sender, "render")) == 3
        go_on.set()
        wait_until(lambda: list_waiting(sender, "render") == set())


def test_outage_is_sat_out_without_tracebacks(redis_url: str, sender: Broker, caplog: pytest.LogCaptureFixture) -> None:
    answered: list[UUID] = []
    go_on = threading.Event()

    def answer(job_id: str, _dispatch_no: int) -> None:
        if answered:
            assert go_on.wait(WAIT_S)
        answered.append(UUID(job_id))

    ids = [uuid4() for _ in range(3)]
    with capture_logs() as lines, working(redis_url, answer, threads=1):
        send(sender, [message(queue="render", job_id=ids[0], dispatch_no=1)])
        wait_until(lambda: len(answered) == 1)
        with redis.Redis.from_url(redis_url) as client:
            send(sender, [message(queue="render", job_id=ids[1], dispatch_no=1)])
            try:
                client.config_set("maxclients", 1)
                client.client_kill_filter(_type="normal", skipme=True)
                client.client_kill_filter(_type="pubsub", skipme=True)
                wait_until(lambda: any(line["event"] == "broker_away" for line in lines))
                go_on.set()
            finally:
                client.config_set("maxclients", 1000)
        wait_until(lambda: any(line["event"] == "broker_back" for line in lines))
        send(sender, [message(queue="render", job_id=ids[2], dispatch_no=1)])
        wait_until(lambda: len(answered) == 3)
    assert not [record for record in caplog.records if record.name.startswith("dramatiq") and record.exc_info]
