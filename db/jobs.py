"""Rows of jobs and their events, and changes of jobs that no worker holds."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg.rows import BaseRowFactory, kwargs_row
from psycopg.types.json import Jsonb

from db.connection import Transaction

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Queue = Literal["ingest", "detect", "render", "housekeeping", "webhook"]
Row = TypeVar("Row")
Cursor = tuple[datetime, UUID]
"""The end of a page: created_at and id of its last row."""


class JobError(Struct, frozen=True, kw_only=True):
    """Why a job failed, as its row and the rows of its clip or recording store it."""

    code: str
    message: str
    remedy: str = ""
    retryable: bool = False
    stream: int | None = None
    time_s: float | None = None


class Job(Struct, frozen=True, kw_only=True):
    """One row of `jobs`."""

    id: UUID
    user_id: UUID | None
    owner_key: UUID
    kind: str
    queue: Queue
    state: JobState
    priority: int
    recording_id: UUID | None
    clip_id: UUID | None
    payload: dict[str, Any]
    result: dict[str, Any] | None
    error: JobError | None
    attempt: int
    charged: int
    setbacks: int
    max_attempts: int
    dispatch_no: int
    run_at: datetime
    dispatched_at: datetime | None
    lease_token: UUID | None
    lease_expires_at: datetime | None
    worker_id: UUID | None
    progress: float
    stage: str | None
    eta_s: float | None
    cancel_requested_at: datetime | None
    trace_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobEvent(Struct, frozen=True, kw_only=True):
    """One row of `job_events`: a transition with its time and details."""

    id: int
    job_id: UUID
    at: datetime
    state: JobState
    attempt: int
    event: str
    details: dict[str, Any]


def logged(change: str) -> str:
    """Return a statement that makes the change, inserts an event for each changed row, and returns the rows.

    Its parameters are those of the change, which must end in RETURNING *, and `event` and `details`.
    """
    return (
        f"WITH changed AS ({change}), logged AS ("  # noqa: S608 - constants of the db package, no input
        "INSERT INTO job_events (job_id, state, attempt, event, details) "
        "SELECT id, state, attempt, %(event)s, %(details)s FROM changed"
        ") SELECT * FROM changed"
    )


INSERT_JOB = """
INSERT INTO jobs (user_id, kind, queue, priority, recording_id, clip_id, payload, run_at, max_attempts, trace_id,
                  attempt)
VALUES (%(user_id)s, %(kind)s, %(queue)s, %(priority)s, %(recording_id)s, %(clip_id)s, %(payload)s,
        coalesce(%(run_at)s::timestamptz, now()), %(max_attempts)s, %(trace_id)s,
        %(attempt)s)
RETURNING *
"""
INSERT_EVENT = """
INSERT INTO job_events (job_id, state, attempt, event, details)
VALUES (%(job_id)s, %(state)s, %(attempt)s, %(event)s, %(details)s)
"""
FIND_JOB = "SELECT * FROM jobs WHERE id = %(job_id)s"
FIND_JOB_OF_USER = "SELECT * FROM jobs WHERE id = %(job_id)s AND user_id = %(user_id)s"
IS_WAITING = """
SELECT 1 FROM jobs WHERE recording_id = %(recording_id)s AND kind = %(kind)s AND state = 'queued' LIMIT 1
"""
LIST_JOBS = """
SELECT * FROM jobs
WHERE user_id = %(user_id)s AND (created_at, id) < (%(before)s, %(before_id)s)
  -- Attempts at webhooks are listed with their webhook.
  AND (queue <> 'webhook' OR kind = %(kind)s::text)
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(kind)s::text IS NULL OR kind = %(kind)s)
ORDER BY created_at DESC, id DESC
LIMIT %(limit)s
"""
BRING_FORWARD = """
UPDATE jobs SET run_at = now() WHERE recording_id = %(recording_id)s AND kind = %(kind)s AND state = 'queued'
  AND dispatched_at IS NULL AND run_at > now() RETURNING id
"""
LIST_EVENTS = "SELECT * FROM job_events WHERE job_id = %(job_id)s ORDER BY id LIMIT %(limit)s"
CANCEL_QUEUED = logged("""
UPDATE jobs SET state = 'cancelled', finished_at = now(), dispatched_at = NULL, cancel_requested_at = now()
WHERE id = ANY(%(job_ids)s) AND state = 'queued' RETURNING *
""")
REQUEST_CANCEL = logged("""
UPDATE jobs SET cancel_requested_at = now()
WHERE id = ANY(%(job_ids)s) AND state = 'running' AND cancel_requested_at IS NULL RETURNING *
""")
RETRY_FAILED = logged("""
UPDATE jobs SET state = 'queued', finished_at = NULL, charged = 0, setbacks = 0, dispatched_at = NULL, run_at = now(),
    error = NULL, progress = 0, stage = NULL, eta_s = NULL, worker_id = NULL, cancel_requested_at = NULL
WHERE id = ANY(%(job_ids)s) AND state = 'failed' RETURNING *
""")
DISCARD_FAILED = "DELETE FROM jobs WHERE id = ANY(%(job_ids)s) AND state = 'failed' RETURNING *"
SET_PRIORITY = logged(
    # A sent job waits again; otherwise its message would keep its place.
    "UPDATE jobs SET priority = %(priority)s, dispatched_at = NULL "
    "WHERE id = ANY(%(job_ids)s) AND state = 'queued' RETURNING *"
)

FIRST_PAGE: Cursor = (datetime.max, UUID(int=2**128 - 1))  # noqa: DTZ901 - compared by PostgreSQL, later than any row
EVENTS_LIMIT = 500  # a job that was retried for days has a few hundred


def insert_job(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    kind: str,
    queue: Queue,
    user_id: UUID | None,
    payload: dict[str, Any],
    recording_id: UUID | None,
    clip_id: UUID | None,
    priority: int,
    run_at: datetime | None,
    max_attempts: int,
    trace_id: str | None,
    attempt: int,
) -> Job:
    """Insert a queued job and its first event."""
    row = tx.execute(
        INSERT_JOB,
        {
            "user_id": user_id,
            "kind": kind,
            "queue": queue,
            "priority": priority,
            "recording_id": recording_id,
            "clip_id": clip_id,
            "payload": Jsonb(payload),
            "run_at": run_at,
            "max_attempts": max_attempts,
            "trace_id": trace_id,
            "attempt": attempt,
        },
    ).fetchone()
    job = as_job(row) if row else _impossible()
    # A separate statement, because the policy of events must see the job.
    tx.execute(
        INSERT_EVENT,
        {"job_id": job.id, "state": job.state, "attempt": job.attempt, "event": "queued", "details": Jsonb({})},
    )
    return job


def find_job(tx: Transaction, job_id: UUID, *, user_id: UUID | None = None) -> Job | None:
    """Return the job; with `user_id`, only when it belongs to that user."""
    statement = FIND_JOB if user_id is None else FIND_JOB_OF_USER
    row = tx.execute(statement, {"job_id": job_id, "user_id": user_id}).fetchone()
    return as_job(row) if row else None


def is_waiting(tx: Transaction, *, kind: str, recording_id: UUID) -> bool:
    """Return whether a job of this kind is queued for a recording."""
    return tx.execute(IS_WAITING, {"kind": kind, "recording_id": recording_id}).fetchone() is not None


def bring_forward(tx: Transaction, *, kind: str, recording_id: UUID) -> None:
    """Make a queued job of a recording due now; the dispatcher finds it with its next poll."""
    tx.execute(BRING_FORWARD, {"kind": kind, "recording_id": recording_id})


def list_jobs(  # noqa: PLR0913 - keyword-only, one per filter
    tx: Transaction, *, user_id: UUID, limit: int, cursor: Cursor | None, state: str | None, kind: str | None
) -> list[Job]:
    """List a user's jobs, newest first, starting after the cursor."""
    before, before_id = cursor or FIRST_PAGE
    rows = tx.execute(
        LIST_JOBS,
        {"user_id": user_id, "before": before, "before_id": before_id, "state": state, "kind": kind, "limit": limit},
    )
    return [as_job(row) for row in rows]


def list_events(tx: Transaction, job_id: UUID) -> list[JobEvent]:
    """List the events of a job, oldest first."""
    return [JobEvent(**row) for row in tx.execute(LIST_EVENTS, {"job_id": job_id, "limit": EVENTS_LIMIT})]


def cancel_queued(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Cancel the queued ones; return them."""
    return change(tx, CANCEL_QUEUED, event="cancelled", job_ids=list(job_ids))


def request_cancel(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Ask the workers of the running ones to stop; return the newly asked ones."""
    return change(tx, REQUEST_CANCEL, event="cancel_requested", job_ids=list(job_ids))


def retry_failed(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Queue failed jobs again with a full number of attempts; return them."""
    return change(tx, RETRY_FAILED, event="retried", job_ids=list(job_ids))


def discard_failed(tx: Transaction, job_ids: Sequence[UUID]) -> list[Job]:
    """Delete failed jobs; return them."""
    return [as_job(row) for row in tx.execute(DISCARD_FAILED, {"job_ids": list(job_ids)})]


def set_priority(tx: Transaction, job_ids: Sequence[UUID], priority: int) -> list[Job]:
    """Change the priority of the queued ones; return them."""
    return change(tx, SET_PRIORITY, event="priority_changed", job_ids=list(job_ids), priority=priority)


def change(
    tx: Transaction, statement: str, *, event: str, details: dict[str, Any] | None = None, **parameters: Any
) -> list[Job]:
    """Run a `logged` statement and return the jobs that it changed."""
    rows = tx.execute(statement, {"event": event, "details": Jsonb(details or {}), **parameters})
    return as_jobs(rows)


def as_job(row: dict[str, Any]) -> Job:
    """Return a row of `jobs` as a struct."""
    return Job(**row | {"error": msgspec.convert(row["error"], JobError | None)})


def row_with_error(kind: Callable[..., Row], error: type[Struct] = JobError) -> BaseRowFactory[Row]:
    """Return a row factory for `kind`, whose field `error` is such a struct or None."""

    def make(**row: Any) -> Row:
        return kind(**row | {"error": msgspec.convert(row["error"], error | None)})

    return kwargs_row(make)


def error_json(error: Struct) -> Jsonb:
    """Return an error in its stored form."""
    return Jsonb(msgspec.to_builtins(error))


def as_jobs(rows: Iterable[dict[str, Any]]) -> list[Job]:
    """Return rows of `jobs` as structs."""
    return [as_job(row) for row in rows]


def _impossible() -> Job:
    raise AssertionError("INSERT … RETURNING returned nothing")
