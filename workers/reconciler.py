"""Puts right what died: runs inside the active dispatcher, under its lock."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

from db import dispatch, workers
from db.connection import Transaction
from services import jobs, lifecycle, schedules
from services.dispatch import UNCLAIMED_S, WORKER_DEAD_S, WORKER_SILENT_S
from services.jobs import LEASE_S

INTERVAL_S = 1.0
TICK_S = 5.0
"""How late a schedule may be: the shortest is a minute."""

log = structlog.get_logger(__name__)


class Reconciler:
    """Expired leases, lost messages, dead workers, and the ticks of the schedules."""

    def __init__(self, *, random: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._random = random
        self._clock = clock
        # After PostgreSQL was away every lease looks expired: live workers get the time to renew theirs first.
        self._reaps_from_s = clock() + LEASE_S
        self._due_s = self._tick_s = clock()

    def run_if_due(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        """Do all of it, at most once a second."""
        now_s = self._clock()
        if now_s < self._due_s:
            return
        self._due_s = now_s + INTERVAL_S
        with transaction() as tx:
            dispatch.keep_to_indexes(tx)
            lost = dispatch.unmark_lost(tx, unclaimed_s=UNCLAIMED_S, silent_s=WORKER_SILENT_S)
            dead = workers.remove_dead(tx, silent_s=WORKER_DEAD_S)
        if lost:
            log.warning("messages_lost", jobs=len(lost))
        if dead:
            log.warning("workers_dead", workers=[str(worker) for worker in dead])
        if now_s >= self._reaps_from_s:
            self._reap(transaction)
        if now_s >= self._tick_s:
            self._tick_s = now_s + TICK_S
            with transaction() as tx:
                schedules.tick(tx)

    def _reap(self, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        with transaction() as tx:
            reaped = lifecycle.reap(tx, random=self._random)
        for job in reaped:
            log.warning("lease_expired", state=job.state, **jobs.log_fields(job))
