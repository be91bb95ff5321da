"""Begins and ends the jobs of one worker process; concurrent claims and completions share a transaction."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import structlog

from db import dispatch
from db.connection import SERVICE, Database, DatabaseUnavailableError, Transaction, allow_loss
from db.jobs import find_job
from db.leases import Completion
from services.jobs.service import Job, LeaseLostError
from services.lifecycle import outcome
from workers.attempt import Attempt, Stop
from workers.failure import Failure

Publish = Callable[[Transaction], dict[str, Any] | None]
"""Writes the results of an attempt in the transaction that ends its job, and returns the job's result."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

log = structlog.get_logger(__name__)


class Result:
    """The publication of a job that has only a result: it writes no other rows."""

    def __init__(self, result: dict[str, Any] | None) -> None:
        self.result = result

    def __call__(self, _tx: Transaction) -> dict[str, Any] | None:
        """Return the result."""
        return self.result


class BatchError(Exception):
    """The batch of this item failed, perhaps because of another item; the cause says how."""


class _Waiting(Generic[Item, Answer]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.woken = threading.Event()
        self.answers: list[Answer] = []
        self.error: Exception | None = None
        self.is_done = False


class Batcher(Generic[Item, Answer]):
    """Handles the items of several threads in batches, without ever delaying an item to wait for more.

    A thread that finds the batcher idle handles its own item at once. Items that arrive meanwhile form the next batch,
    which the first of their threads handles.
    """

    def __init__(self, handle: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        """`handle` takes one item or more and returns their answers in the same order."""
        self._handle = handle
        self._lock = threading.Lock()
        self._queue: list[_Waiting[Item, Answer]] = []
        self._is_busy = False

    def submit(self, item: Item) -> Answer:
        """Return the answer to one item; BatchError if its batch failed."""
        mine = _Waiting[Item, Answer](item)
        with self._lock:
            self._queue.append(mine)
            leads, self._is_busy = not self._is_busy, True
        if not leads:
            mine.woken.wait()
        if not mine.is_done:
            self._handle_queue()
        if mine.error is not None:
            raise BatchError(str(mine.error)) from mine.error
        return mine.answers[0]

    def _handle_queue(self) -> None:
        """Handle everything in the queue, then wake the first thread that arrived meanwhile to handle the rest."""
        with self._lock:
            batch, self._queue = self._queue, []
        try:
            answers = self._handle([waiting.item for waiting in batch])
            for waiting, answer in zip(batch, answers, strict=True):
                waiting.answers.append(answer)
        except Exception as error:  # noqa: BLE001 - every thread of the batch raises it
            for waiting in batch:
                waiting.error = error
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._is_busy = following is not None
        for waiting in batch:
            waiting.is_done = True
            waiting.woken.set()
        if following is not None:
            following.woken.set()


class Completer:
    """Shared by the threads of one process.

    Each statement has the same conditions as for a single job, so a batch changes exactly the rows that its members
    would change one by one. Threads get their answers after the commit.
    """

    def __init__(self, database: Database, worker_id: UUID) -> None:
        self._database = database
        self._worker_id = worker_id
        self._is_closed = False
        self._claims = Batcher(self._claim)
        self._completions = Batcher(self._complete)

    def close(self) -> None:
        """Claim nothing from now on: messages go back to the dispatcher."""
        self._is_closed = True

    def open(self) -> None:
        """Claim again."""
        self._is_closed = False

    def claim(self, job_id: UUID, dispatch_no: int) -> Job | None:
        """Begin an attempt; None when the message is stale, or another worker was first.

        DatabaseUnavailableError when that cannot be written.
        """
        message = (job_id, dispatch_no)
        try:
            return self._claims.submit(message)
        except BatchError:  # another member of the batch may have caused it
            return self._claim([message])[0]

    def complete(self, attempt: Attempt, publish: Publish) -> Job:
        """End the job as succeeded and publish its results, all or nothing.

        LeaseLostError when the job is no longer ours; any error of `publish`.
        """
        is_ambiguous = False
        if isinstance(publish, Result):
            completion = Completion(lease=attempt.lease, result=publish.result)
            try:
                job = self._completions.submit(completion)
            except BatchError as error:
                log.warning("end_not_written", error=str(error))
                is_ambiguous = True
            else:
                return _held(job)
        return self._write(
            attempt,
            lambda tx: _held(outcome.complete(tx, [Completion(lease=attempt.lease, publish=publish)])[0]),
            is_ambiguous=is_ambiguous,
        )

    def fail(self, attempt: Attempt, failure: Failure, *, random: float) -> Job:
        """End the attempt with an error: the job is queued again or fails; LeaseLostError when it is no longer ours."""
        return self._write(
            attempt,
            lambda tx: outcome.fail(
                tx, attempt.lease, error=failure.error, is_setback=failure.is_setback, random=random
            ),
        )

    def stop(self, attempt: Attempt, reason: Stop) -> Job:
        """End a cancelled job, or return one whose worker is stopping; LeaseLostError if it is no longer ours."""
        if reason is Stop.LEASE_LOST:
            raise LeaseLostError
        end = outcome.end_cancelled if reason is Stop.CANCELLED else outcome.hand_back
        return self._write(attempt, lambda tx: end(tx, attempt.lease))

    def _claim(self, messages: Sequence[tuple[UUID, int]]) -> list[Job | None]:
        with self._database.transaction(SERVICE) as tx:
            if self._is_closed:
                dispatch.unmark(tx, messages)
                return [None] * len(messages)
            # If PostgreSQL crashes and undoes a claim, the attempt loses its lease at the next renewal.
            allow_loss(tx)
            claimed = outcome.claim(tx, messages, worker_id=self._worker_id)
        found = {(job.id, job.dispatch_no): job for job in claimed}
        # A message that arrived twice begins one attempt.
        return [found.pop(message, None) for message in messages]

    def _complete(self, completions: Sequence[Completion]) -> list[Job | None]:
        with self._database.transaction(SERVICE) as tx:
            return outcome.complete(tx, completions)

    def _write(self, attempt: Attempt, end: Callable[[Transaction], Job], *, is_ambiguous: bool = False) -> Job:
        """Write the end of an attempt; while the database is down, keep trying for as long as the job is ours.

        `is_ambiguous` means that an earlier transaction may have written it already.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                with self._database.transaction(SERVICE) as tx:
                    if is_ambiguous:
                        ended = _find_ended(tx, attempt)
                        if ended is not None:
                            return ended
                    return end(tx)
            except DatabaseUnavailableError as error:
                # A connection that breaks during COMMIT leaves open whether the commit happened.
                is_ambiguous = True
                if attempt.stop_reason is Stop.LEASE_LOST:
                    raise LeaseLostError from error
                log.warning("end_not_written", error=str(error))
            time.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def _held(job: Job | None) -> Job:
    if job is None:
        raise LeaseLostError
    return job


def _find_ended(tx: Transaction, attempt: Attempt) -> Job | None:
    """Return the job if this attempt has ended it: any other worker would have raised the number of attempts."""
    job = find_job(tx, attempt.job.id)
    if job is None or job.attempt != attempt.job.attempt or job.state == "running":
        return None
    return job
