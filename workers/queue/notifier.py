"""Wakes consumers when the dispatcher has sent messages; without it, five polled queues cost 5 % of a core (ADR 13)."""

import threading
from collections import Counter
from collections.abc import Iterable

import redis
from dramatiq import Broker, Middleware, Worker

from services.jobs.service import QUEUES
from workers.queue.outage import Outage

TICK_S = 1.0
"""How long the listener takes to notice that the process is ending."""


class Notifier:
    """Counts the notifications of each queue, so that one between a fetch and the wait after it is not missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._counts: Counter[str] = Counter()

    def notify(self, queues: Iterable[str]) -> None:
        """Wake the consumers of these queues."""
        with self._changed:
            self._counts.update(queues)
            self._changed.notify_all()

    def count(self, queue: str) -> int:
        """Return the number of notifications of this queue so far."""
        return self._counts[queue]

    def wait(self, queue: str, seen: int, timeout_s: float) -> bool:
        """Wait until the queue's count differs from `seen`; return whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: self._counts[queue] != seen, timeout_s)


class Listener(Middleware):
    """Subscribes to a Redis channel in its own thread and passes its messages, names of queues, to the notifier."""

    def __init__(self, client: redis.Redis, channel: str, notifier: Notifier, outage: Outage) -> None:
        self._client = client
        self._channel = channel
        self._notifier = notifier
        self._outage = outage
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Start the thread."""
        self._thread.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Stop the thread, before the connections of the broker are closed."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except redis.RedisError as error:
                self._outage.failed(error)
                self._stopped.wait(TICK_S)

    def _listen(self) -> None:
        with self._client.pubsub() as subscription:  # type: ignore[no-untyped-call]
            subscription.subscribe(self._channel)
            while not self._stopped.is_set():
                message = subscription.get_message(timeout=TICK_S)
                if message is None:
                    continue
                # The confirmation of a subscription notifies every queue: messages may have been sent before it.
                # Anybody who reaches Redis can publish, so a message may not name a queue.
                is_sent = message["type"] == "message"
                named = [queue for queue in QUEUES if queue.encode() == message["data"]]
                self._notifier.notify(named if is_sent else QUEUES)
