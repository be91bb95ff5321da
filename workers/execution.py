"""One message, one attempt: claim, work with no transaction open, publish in one fenced transaction."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

import structlog
from msgspec import Struct

from db import dispatch
from db.connection import SERVICE, DatabaseUnavailableError, Transaction, allow_loss
from db.jobs import find_job
from services.jobs.service import Job, LeaseLostError, log_fields
from services.lifecycle import outcome as lifecycle
from services.process import spans
from storage.store import StorageError
from workers.attempt import Attempt, Stop, StoppedError
from workers.failure import describe
from workers.group import GroupError
from workers.runtime import Runtime

Publish = Callable[[Transaction], dict[str, Any] | None]
"""Writes what an attempt has made, beside the end of its job, and returns the job's result."""
Work = Callable[[Runtime, Attempt], Publish]
"""Does the work of an attempt, with no transaction open, and returns what publishes it."""


class Made(Struct, frozen=True):
    """A publication that writes nothing but the job's result: such jobs may end together."""

    result: dict[str, Any] | None

    def __call__(self, _tx: Transaction) -> dict[str, Any] | None:
        """Return the result."""
        return self.result


FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

log = structlog.get_logger(__name__)


def execute(runtime: Runtime, job_id: UUID, dispatch_no: int, works: Mapping[str, Work]) -> None:
    """Answer one message with the work of its job's kind.

    Never raises: a message is acknowledged whatever happens, because the row knows better.
    """
    try:
        job = _claim(runtime, job_id, dispatch_no)
    except DatabaseUnavailableError as error:
        # The row stays sent and unclaimed; the dispatcher finds it there and sends it again.
        log.warning("claim_failed", job_id=str(job_id), error=str(error))
        return
    if job is None:
        return
    attempt = Attempt(job)
    runtime.keeper.add(attempt)
    try:
        with structlog.contextvars.bound_contextvars(**log_fields(job)), _traced(job) as span:
            job = _attempt(runtime, attempt, works[job.kind])
            if span is not None:
                span.set_attribute("snuggles.state", job.state if job else "lost")
            if job is None or job.state != "succeeded":
                _discard(runtime, attempt)
    finally:
        runtime.keeper.remove(attempt)


def _claim(runtime: Runtime, job_id: UUID, dispatch_no: int) -> Job | None:
    if not runtime.gate.is_closed:
        with suppress(GroupError):  # another member may be to blame for it
            return runtime.ledger.claim(job_id, dispatch_no)
    with runtime.database.transaction(SERVICE) as tx:
        if runtime.gate.is_closed:
            dispatch.unmark(tx, [(job_id, dispatch_no)])
            return None
        allow_loss(tx)  # as in the ledger
        return lifecycle.claim(tx, job_id=job_id, dispatch_no=dispatch_no, worker_id=runtime.worker_id)


def _attempt(runtime: Runtime, attempt: Attempt, work: Work) -> Job | None:
    """Work, and write how it ended; None when the job is no longer ours."""
    started_s = time.monotonic()
    log.info("job_started")
    job: Job | None
    try:
        publish = work(runtime, attempt)
        job = _succeed(runtime, attempt, publish)
    except LeaseLostError:
        log.warning("lease_lost")
        return None
    except StoppedError as stopped:
        job = _stop(runtime, attempt, stopped.reason)
    except Exception as exc:  # noqa: BLE001 - the edge of an actor: every failure ends in the row
        job = _fail(runtime, attempt, exc)
    if job is not None:
        log.info("job_ended", state=job.state, run_s=round(time.monotonic() - started_s, 3))
    return job


def _succeed(runtime: Runtime, attempt: Attempt, publish: Publish) -> Job:
    is_ambiguous = False
    if isinstance(publish, Made) and attempt.job.clip_id is None:
        try:
            return runtime.ledger.succeed(attempt.lease, publish.result)
        except GroupError as error:
            log.warning("end_not_written", error=str(error))
            is_ambiguous = True
    return _settle(
        runtime,
        attempt,
        lambda tx: lifecycle.succeed(tx, attempt.lease, publish=publish),
        is_ambiguous=is_ambiguous,
    )


def _stop(runtime: Runtime, attempt: Attempt, reason: Stop) -> Job | None:
    if reason is Stop.LEASE_LOST:
        log.warning("lease_lost")
        return None
    end = lifecycle.end_cancelled if reason is Stop.CANCELLED else lifecycle.hand_back
    try:
        return _settle(runtime, attempt, lambda tx: end(tx, attempt.lease))
    except LeaseLostError:
        return None


def _fail(runtime: Runtime, attempt: Attempt, exc: Exception) -> Job | None:
    failure = describe(exc)
    if failure.is_bug:
        log.error("job_crashed", exc_info=exc)
    else:
        log.warning(
            "job_failed", code=failure.error["code"], error=failure.error["message"], is_setback=failure.is_setback
        )
    try:
        return _settle(
            runtime,
            attempt,
            lambda tx: lifecycle.fail(
                tx, attempt.lease, error=failure.error, is_setback=failure.is_setback, random=runtime.random()
            ),
        )
    except LeaseLostError:
        return None


def _settle(
    runtime: Runtime, attempt: Attempt, end: Callable[[Transaction], Job], *, is_ambiguous: bool = False
) -> Job:
    """Write the end of an attempt, waiting for the database for as long as the job is still ours.

    `is_ambiguous` says that it may have been written already. LeaseLostError when the job no longer is ours.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            with runtime.database.transaction(SERVICE) as tx:
                if is_ambiguous:
                    ended = _already_ended(tx, attempt)
                    if ended is not None:
                        return ended
                return end(tx)
        except DatabaseUnavailableError as error:
            # A connection that breaks during COMMIT leaves open whether it happened.
            is_ambiguous = True
            if attempt.stop_reason is Stop.LEASE_LOST:
                raise LeaseLostError from error
            log.warning("end_not_written", error=str(error))
        time.sleep(pause_s)
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def _already_ended(tx: Transaction, attempt: Attempt) -> Job | None:
    """Return the job when this very attempt has ended it: nobody else can have, without another claim."""
    job = find_job(tx, attempt.job.id)
    if job is None or job.attempt != attempt.job.attempt or job.state == "running":
        return None
    return job


def _discard(runtime: Runtime, attempt: Attempt) -> None:
    """Delete what an attempt stored in vain; what stays behind is found by the sweep of objects."""
    if not attempt.written:
        return
    try:
        with runtime.database.transaction(SERVICE) as tx:
            is_ours = _owns_its_number(tx, attempt)
        for store, key in attempt.written if is_ours else ():
            store.delete([key])
    except (StorageError, DatabaseUnavailableError) as error:
        log.warning("objects_not_discarded", error=str(error))


def _owns_its_number(tx: Transaction, attempt: Attempt) -> bool:
    """Say whether nobody else can have stored anything under this attempt's number.

    A claim that a crash of PostgreSQL has undone gives its number to the next one.
    """
    job = find_job(tx, attempt.job.id)
    if job is None or job.attempt > attempt.job.attempt:
        return True
    return job.attempt == attempt.job.attempt and job.state not in ("running", "succeeded")


@contextmanager
def _traced(job: Job) -> Iterator[spans.Span | None]:
    """Put the attempt into the trace of the request that asked for it, with what it waited for."""
    due_at = max(job.created_at, job.run_at)
    fields = {name: value for name, value in log_fields(job).items() if name != "trace_id"}
    with spans.span(
        job.kind,
        trace_id=job.trace_id,
        about=f"{job.id}/{job.attempt}",
        parent_id=spans.span_id(job.trace_id or "", spans.REQUEST),
        since=due_at,
        **fields,
    ) as span:
        if job.dispatched_at and job.started_at:
            spans.record("wait for the dispatcher", start=due_at, end=job.dispatched_at)
            spans.record("wait for a worker", start=job.dispatched_at, end=job.started_at)
        yield span
