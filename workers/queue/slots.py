"""How many messages this process may hold, over all its queues, and whether it may take new ones at all."""

import threading


class Gate:
    """Shared by the consumers of one process, so that a busy process leaves messages to idle ones.

    Dramatiq counts what it has fetched per queue: a process with two threads and four queues would hold eight messages
    and start two.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._changed = threading.Condition()
        self._held: dict[str, int] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the process has stopped taking jobs."""
        return self._is_closed

    def close(self) -> None:
        """Take no new jobs from now on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def hold(self, queue: str, held: int) -> None:
        """Write down how many messages one queue's consumer holds."""
        with self._changed:
            has_fewer = held < self._held.get(queue, 0)
            self._held[queue] = held
            if has_fewer:
                self._changed.notify_all()

    @property
    def room(self) -> int:
        """How many messages may be fetched now; none when closed."""
        return 0 if self._is_closed else max(0, self.slots - sum(self._held.values()))

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait for room as long as that; say whether there is some."""
        with self._changed:
            return self._changed.wait_for(lambda: self.room > 0, timeout_s)
