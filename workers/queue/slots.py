"""The limit on messages that a process holds at once, over all its queues."""

import threading


class SlotLimit:
    """Shared by the consumers of one process, so that a busy process leaves messages to idle ones.

    Dramatiq limits messages per queue: a process with two threads and four queues would hold eight and start two.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._changed = threading.Condition()
        self._held: dict[str, int] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the process has stopped fetching messages."""
        return self._is_closed

    def close(self) -> None:
        """Fetch no messages from now on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def open(self) -> None:
        """Fetch messages again."""
        with self._changed:
            self._is_closed = False
            self._changed.notify_all()

    def hold(self, queue: str, held: int) -> None:
        """Record how many messages the consumer of one queue holds."""
        with self._changed:
            has_fewer = held < self._held.get(queue, 0)
            self._held[queue] = held
            if has_fewer:
                self._changed.notify_all()

    @property
    def room(self) -> int:
        """The number of messages that may be fetched now; 0 when closed."""
        return 0 if self._is_closed else max(0, self.slots - sum(self._held.values()))

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait for room; return whether there is any."""
        with self._changed:
            return self._changed.wait_for(lambda: self.room > 0, timeout_s)
