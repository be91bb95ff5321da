"""Wakes consumers as soon as something was sent to their queue; what a lost ring would have said, a slow poll finds."""

import threading
from collections import Counter
from collections.abc import Iterable


class Bell:
    """Counts the rings for each queue, so that one between a look at the queue and the wait is not missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings: Counter[str] = Counter()

    def ring(self, queues: Iterable[str]) -> None:
        """Say that something was sent to these queues."""
        with self._changed:
            self._rings.update(queues)
            self._changed.notify_all()

    def count(self, queue: str) -> int:
        """Return how often it has rung for the queue."""
        return self._rings[queue]

    def wait(self, queue: str, heard: int, timeout_s: float) -> bool:
        """Wait as long as that for a ring after the one that was counted as `heard`; say whether there was one."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rings[queue] != heard, timeout_s)
