"""Stops fetching as soon as a worker begins to shut down; Dramatiq's consumers would go on meanwhile."""

from dramatiq import Broker, Middleware, Worker

from workers.gate import Gate


class Drain(Middleware):
    """Closes the gate and pauses the consumers before Dramatiq stops its threads."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:  # noqa: ARG002 - Dramatiq's signature
        """Fetch nothing more."""
        self._gate.close()
        for consumer in worker.consumers.values():
            consumer.pause()
