"""How many messages this process may hold, over all its queues, and whether it may take new ones at all."""

import threading


class Gate:
    """Shared by the consumers of one process, so that a busy process leaves messages to idle ones.

    Dramatiq counts what it has fetched per queue: a process with two threads and four queues would hold eight messages
    and start two.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the process has stopped taking jobs."""
        return self._closed.is_set()

    def close(self) -> None:
        """Take no new jobs from now on."""
        self._closed.set()

    def room(self, queue: str, held: int) -> int:
        """Say how many messages one queue's consumer may fetch, given how many it holds; none when closed."""
        with self._lock:
            self._held[queue] = held
            return 0 if self.is_closed else max(0, self.slots - sum(self._held.values()))
