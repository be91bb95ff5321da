"""Hears the bell that the dispatcher rings when it has sent something, for the consumers of this process."""

import threading

import redis
from dramatiq import Broker, Middleware, Worker

from services.jobs.service import QUEUES
from workers.queue.notifier import Bell
from workers.queue.outage import Outage

TICK_S = 1.0
"""How late the end of the process may be noticed."""


class Listen(Middleware):
    """Listens on a channel of Redis from a thread of its own, from boot to shutdown."""

    def __init__(self, client: redis.Redis, channel: str, bell: Bell, outage: Outage) -> None:
        self._client = client
        self._channel = channel
        self._bell = bell
        self._outage = outage
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Begin."""
        self._thread.start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """End, within a tick: the broker's connections are closed next."""
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
        with self._client.pubsub() as heard:  # type: ignore[no-untyped-call]
            heard.subscribe(self._channel)
            while not self._stopped.is_set():
                message = heard.get_message(timeout=TICK_S)
                if message is None:
                    continue
                # Nobody listened until the subscription began, or began again: anything may have been sent.
                self._bell.ring([message["data"].decode()] if message["type"] == "message" else QUEUES)
