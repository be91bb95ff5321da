"""Prevents Dramatiq from declaring a busy process dead."""

import threading
import time

import redis
from dramatiq import Broker, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker

from workers.queue.outage import Outage

INTERVAL_S = 2.0
"""Dramatiq writes a heartbeat only with a broker call, and requeues the messages of a process after 60 s without."""


class Heartbeat(Middleware):
    """Writes the heartbeat of a RedisBroker in its own thread, from boot to shutdown."""

    def __init__(self, outage: Outage) -> None:
        self._outage = outage
        self._stopped = threading.Event()

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Start the thread."""
        if isinstance(broker, RedisBroker):
            threading.Thread(target=self._run, args=(broker,), name="heartbeat", daemon=True).start()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Stop the thread."""
        self._stopped.set()

    def _run(self, broker: RedisBroker) -> None:
        key = f"{broker.namespace}:__heartbeats__"
        while not self._stopped.wait(INTERVAL_S):
            asked_s = time.monotonic()
            try:
                broker.client.zadd(key, {broker.broker_id: int(time.time() * 1000)})
            except redis.RedisError as error:
                self._outage.failed(error)
            else:
                self._outage.answered(asked_s)
