"""Stops fetching as soon as a worker begins to shut down; Dramatiq's consumers would go on meanwhile."""

from dramatiq import Broker, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker

from workers.queue.slots import Gate


class Drain(Middleware):
    """Closes the gate, and pauses consumers that do not ask it, before Dramatiq stops its threads."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Fetch nothing more."""
        self._gate.close()
        if not isinstance(
            broker, RedisBroker
        ):  # ours asks the gate; a consumer that is paused sleeps for three seconds
            for consumer in worker.consumers.values():
                consumer.pause()
