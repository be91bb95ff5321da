"""Fetches the messages of one queue from Redis as soon as they are sent, but no more than the process has slots."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

import redis
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import _RedisConsumer

OUTAGE_PAUSE_S = 0.5
"""How long a consumer takes to notice that Redis is back."""


class NotifiedConsumer(_RedisConsumer):
    """Dramatiq's consumer with a slot limit, woken by the notifier, that survives an outage of Redis.

    Dramatiq's own ends at the first error, logs a traceback, and is restarted after three seconds.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self._is_empty = False
        self._seen = 0
        self._unacknowledged: deque[str] = deque()

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache and not self._fetch():
            return None
        fetched: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        return fetched

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge a message, or if Redis is down, after the outage: the job's row no longer needs the message."""
        try:
            self._acknowledge(message.options["redis_message_id"])
        except redis.RedisError as error:
            self.broker.outage.failed(error)
            self._unacknowledged.append(message.options["redis_message_id"])
        finally:
            self.queued_message_ids.discard(message.message_id)
            self._hold()

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Return messages that were not started; if Redis is down, the dispatcher sends their jobs again."""
        try:
            super().requeue(messages)  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            self.broker.outage.failed(error)

    def _fetch(self) -> bool:
        """Wait for a notification or the timeout, and for a free slot; fetch, and return whether messages came."""
        broker, timeout_s = self.broker, self.timeout / 1000
        if self._is_empty:
            broker.notifier.wait(self.queue_name, self._seen, timeout_s)
            self._is_empty = False
        if not broker.slots.wait_for_room(timeout_s):
            return False
        asked_s, seen, room = time.monotonic(), broker.notifier.count(self.queue_name), broker.slots.room
        try:
            fetched = broker.do_fetch(self.queue_name, min(room, self.prefetch)) if room else []
            while self._unacknowledged:
                self._acknowledge(self._unacknowledged[0])
                self._unacknowledged.popleft()
        except redis.RedisError as error:
            broker.outage.failed(error)
            time.sleep(OUTAGE_PAUSE_S)
            return False
        broker.outage.answered(asked_s)
        self._seen, self._is_empty = seen, len(fetched) < room
        self.message_cache = fetched
        self._hold()
        return bool(fetched)

    def _acknowledge(self, message_id: str) -> None:
        self.broker.do_ack(self.queue_name, message_id)

    def _hold(self) -> None:
        self.broker.slots.hold(self.queue_name, self.outstanding_message_count)
