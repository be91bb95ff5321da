"""Runs one message: claim the job, work with no transaction open, publish in one fenced transaction."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

import structlog

from db.connection import SERVICE, DatabaseUnavailableError, Transaction
from db.jobs import find_job
from services.jobs.service import Job, LeaseLostError, log_fields
from services.process import spans
from storage.store import StorageError
from workers.attempt import Attempt, StoppedError
from workers.completer import Publish
from workers.failure import describe
from workers.runtime import Runtime

Work = Callable[[Runtime, Attempt], Publish]
"""Does the work of an attempt, with no transaction open, and returns the function that publishes it."""

log = structlog.get_logger(__name__)


def execute(runtime: Runtime, job_id: UUID, dispatch_no: int, works: Mapping[str, Work]) -> None:
    """Process one message with the work of its job's kind.

    Never raises, so the message is always acknowledged; only the row decides what happens next.
    """
    try:
        job = runtime.completer.claim(job_id, dispatch_no)
    except DatabaseUnavailableError as error:
        # The row stays marked as sent and unclaimed; the dispatcher finds it and sends it again.
        log.warning("claim_failed", job_id=str(job_id), error=str(error))
        return
    if job is None:
        return
    attempt = Attempt(job)
    runtime.lease_renewer.add(attempt)
    try:
        with structlog.contextvars.bound_contextvars(**log_fields(job)), _traced(job) as span:
            ended = _attempt(runtime, attempt, works[job.kind])
            if span is not None:
                span.set_attribute("snuggles.state", ended.state if ended else "lost")
            if ended is None or ended.state != "succeeded":
                _discard(runtime, attempt)
    finally:
        runtime.lease_renewer.remove(attempt)


def _attempt(runtime: Runtime, attempt: Attempt, work: Work) -> Job | None:
    """Do the work and write its outcome; None if the job is no longer ours."""
    started_s = time.monotonic()
    log.info("job_started")
    try:
        job = _end(runtime, attempt, work)
    except LeaseLostError:
        log.warning("lease_lost")
        return None
    log.info("job_ended", state=job.state, run_s=round(time.monotonic() - started_s, 3))
    return job


def _end(runtime: Runtime, attempt: Attempt, work: Work) -> Job:
    try:
        publish = work(runtime, attempt)
        return runtime.completer.complete(attempt, publish)
    except LeaseLostError:
        raise
    except StoppedError as stopped:
        return runtime.completer.stop(attempt, stopped.reason)
    except Exception as exc:
        failure = describe(exc)
        if failure.is_bug:
            log.exception("job_crashed")
        else:
            error = failure.error
            log.warning("job_failed", code=error.code, error=error.message, is_setback=failure.is_setback)
        return runtime.completer.fail(attempt, failure, random=runtime.random())


def _discard(runtime: Runtime, attempt: Attempt) -> None:
    """Delete the objects of an attempt that published nothing; the sweep of objects finds any that remain."""
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
    """Return whether no other worker can have stored objects under this attempt's number.

    If a crash of PostgreSQL undoes a claim, the next claim gets the same number.
    """
    job = find_job(tx, attempt.job.id)
    if job is None or job.attempt > attempt.job.attempt:
        return True
    return job.attempt == attempt.job.attempt and job.state not in ("running", "succeeded")


@contextmanager
def _traced(job: Job) -> Iterator[spans.Span | None]:
    """Record the attempt and its waits in the trace of the request that caused it."""
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
