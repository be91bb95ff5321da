"""Takes messages from Redis for one queue: no more than the process has room for, and as soon as there are some."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer

AWAY_PAUSE_S = 0.5
"""How late a Redis that is back may be noticed."""


class BellConsumer(_RedisConsumer):
    """Dramatiq's consumer, which respects the slot limit, waits for the bell, and sits an outage out.

    Dramatiq would end it at the first error, write a traceback, and begin anew after three seconds.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self._is_empty = False
        self._heard = 0
        self._unacknowledged: deque[str] = deque()

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache and not self._fetch():
            return None
        fetched: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        return fetched

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge a message; during an outage later, since nothing depends on it."""
        try:
            self._acknowledge(message.options["redis_message_id"])
        except redis.RedisError as error:
            self.broker.outage.failed(error)
            self._unacknowledged.append(message.options["redis_message_id"])
        finally:
            self.queued_message_ids.discard(message.message_id)
            self._hold()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Give back what was not begun; what an outage keeps here, the dispatcher sends again."""
        try:
            super().requeue(messages)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            self.broker.outage.failed(error)

    def _fetch(self) -> bool:
        """Wait until there may be something and there is room for it, and fetch; False when there was nothing."""
        broker, timeout_s = self.broker, self.timeout / 1000
        if self._is_empty:
            broker.bell.wait(self.queue_name, self._heard, timeout_s)
            self._is_empty = False
        if not broker.slots.wait_for_room(timeout_s):
            return False
        asked_s, heard, room = time.monotonic(), broker.bell.count(self.queue_name), broker.slots.room
        try:
            fetched = broker.do_fetch(self.queue_name, min(room, self.prefetch)) if room else []
            while self._unacknowledged:
                self._acknowledge(self._unacknowledged[0])
                self._unacknowledged.popleft()
        except redis.RedisError as error:
            broker.outage.failed(error)
            time.sleep(AWAY_PAUSE_S)
            return False
        broker.outage.answered(asked_s)
        self._heard, self._is_empty = heard, len(fetched) < room
        self.message_cache = fetched
        self._hold()
        return bool(fetched)

    def _acknowledge(self, message_id: str) -> None:
        self.broker.do_ack(self.queue_name, message_id)

    def _hold(self) -> None:
        self.broker.slots.hold(self.queue_name, self.outstanding_message_count)
