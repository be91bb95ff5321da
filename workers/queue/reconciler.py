"""Recovers from dead workers and lost messages; runs inside the active dispatcher, under its lock."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from uuid import UUID

import structlog

from db import dispatch, workers
from db.connection import Transaction
from db.dispatch import Unclaimed
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.jobs.dispatch import UNCLAIMED_S, WORKER_DEAD_S, WORKER_SILENT_S
from services.jobs.service import LEASE_S
from services.lifecycle import outcome as lifecycle
from services.polls import service as polls
from workers.queue.broker import message_id

INTERVAL_S = 1.0
TICK_S = 5.0
"""How often schedules are checked; the shortest interval is a minute."""

log = structlog.get_logger(__name__)


class Reconciler:
    """Handles expired leases, lost messages and dead workers, ends polls, and runs the schedules."""

    def __init__(
        self,
        list_waiting: Callable[[str], set[str] | None],
        *,
        random: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`list_waiting` returns the ids of the messages of a queue that no worker has fetched, or None if unknown."""
        self._list_waiting = list_waiting
        self._suspects: frozenset[tuple[UUID, int]] = frozenset()
        self._random = random
        self._clock = clock
        # After an outage of PostgreSQL every lease looks expired: live workers get time to renew first.
        self._reaps_from_s = clock() + LEASE_S
        self._due_s = self._tick_s = clock()

    def run_if_due(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        """Run all checks, at most once a second."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + INTERVAL_S
        with transaction() as tx:
            dispatch.keep_to_indexes(tx)
            unclaimed = dispatch.list_unclaimed(tx, unclaimed_s=UNCLAIMED_S, silent_s=WORKER_SILENT_S)
            dead = workers.remove_dead(tx, silent_s=WORKER_DEAD_S)
        self._send_again(transaction, unclaimed)
        if dead:
            log.warning("workers_dead", workers=[str(worker) for worker in dead])
        if now_s >= self._reaps_from_s:
            self._reap(transaction)
        self._expire_polls(transaction)
        if now_s >= self._tick_s:
            self._tick_s = now_s + TICK_S
            with transaction() as tx:
                schedules.tick(tx)

    def _expire_polls(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        """End the polls whose time is over, each in a transaction of its own: it takes the lock of the poll's room."""
        with transaction() as tx:
            due = polls.list_due(tx)
        for poll_id, room_id in due:
            with transaction() as tx:
                polls.expire(tx, poll_id=poll_id, room_id=room_id)

    def _send_again(
        self, transaction: Callable[[], AbstractContextManager[Transaction]], unclaimed: list[Unclaimed]
    ) -> None:
        """Queue jobs again whose message has left the broker without a claim.

        The message must be missing in two checks, a second apart: from fetch to claim it takes milliseconds.
        """
        waiting = {queue: self._list_waiting(queue) for queue in {job.queue for job in unclaimed}}
        missing = frozenset(
            (job.job_id, job.dispatch_no)
            for job in unclaimed
            if (names := waiting[job.queue]) is not None and message_id(job.job_id, job.dispatch_no) not in names
        )
        lost, self._suspects = missing & self._suspects, missing
        if lost:
            with transaction() as tx:
                sent_again = dispatch.unmark(tx, sorted(lost))
            log.warning("messages_lost", jobs=sent_again)

    def _reap(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        with transaction() as tx:
            reaped = lifecycle.reap(tx, random=self._random)
        for job in reaped:
            log.warning("lease_expired", state=job.state, **jobs.log_fields(job))
