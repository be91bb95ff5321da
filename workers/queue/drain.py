"""Stops fetching when a worker begins to shut down; Dramatiq's consumers continue until their threads end."""

from dramatiq import Broker, Middleware, Worker
from dramatiq.brokers.redis import RedisBroker

from workers.queue.slots import SlotLimit


class Drain(Middleware):
    """Closes the slot limit, and pauses consumers that ignore it, before Dramatiq stops its threads."""

    def __init__(self, slots: SlotLimit) -> None:
        self._slots = slots

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Fetch no more messages."""
        self._slots.close()
        # Our consumer for Redis asks the slot limit; pausing it would only make it sleep for three seconds.
        if not isinstance(broker, RedisBroker):
            for consumer in worker.consumers.values():
                consumer.pause()
