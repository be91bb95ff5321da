"""Operators' queries about the queue: search at a million rows, workers, tenants, series, and the audit log."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, structs
from psycopg.types.json import Jsonb

from db.connection import Transaction
from db.deliveries import DELIVERY_COLUMNS, Delivery
from db.jobs import FIRST_PAGE, Cursor, Job, as_jobs


class JobFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Conditions on jobs; None means any."""

    ids: list[UUID] | None = None
    user_id: UUID | None = None
    email: str | None = None
    """The owner's address."""
    queue: str | None = None
    kind: str | None = None
    state: str | None = None
    error_code: str | None = None
    recording_id: UUID | None = None
    clip_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    text: str | None = None
    """Words that the error contains."""
    is_system: bool | None = None
    """True for the system's own jobs, False for those of owners."""


class DeliveryFilter(Struct, frozen=True, kw_only=True):
    """Conditions on deliveries; None means any."""

    status: str | None = None
    user_id: UUID | None = None
    email: str | None = None
    """The owner's address."""
    webhook_id: UUID | None = None
    event: str | None = None
    """The type of the event."""


class RunningJob(Struct, frozen=True, kw_only=True):
    """The job in a slot of a worker."""

    id: UUID
    kind: str
    user_id: UUID | None
    attempt: int
    progress: float
    stage: str | None
    eta_s: float | None
    started_at: datetime
    lease_expires_at: datetime


class WorkerState(Struct, frozen=True, kw_only=True):
    """A worker process and its running jobs."""

    id: UUID
    host: str
    pid: int
    version: str
    queues: list[str]
    slots: int
    memory_bytes: int | None
    is_draining: bool
    started_at: datetime
    heartbeat_at: datetime
    jobs: list[RunningJob]


class Tenant(Struct, frozen=True, kw_only=True):
    """One owner's part of the queue. `user_id` is None for the system's own jobs."""

    user_id: UUID | None
    email: str | None
    tier: str | None
    waiting: int
    running: int
    oldest_at: datetime | None


class SeriesPoint(Struct, frozen=True, kw_only=True):
    """Results of a queue's jobs in the step from `at`, with their mean waiting and run times."""

    at: datetime
    queue: str
    succeeded: int
    failed: int
    cancelled: int
    wait_s: float
    run_s: float


class ErrorGroup(Struct, frozen=True, kw_only=True):
    """Failed jobs with the same error code. `jobs` counts at most ERROR_JOBS, the newest."""

    code: str
    jobs: int
    kinds: list[str]
    owners: int
    message: str | None
    remedy: str | None
    retryable: bool
    first_at: datetime
    last_at: datetime
    last_job_id: UUID


class QueueTimes(Struct, frozen=True, kw_only=True):
    """Percentiles of the waiting and run times of a queue's jobs, in seconds."""

    queue: str
    jobs: int
    wait_p50_s: float
    wait_p95_s: float
    run_p50_s: float
    run_p95_s: float


class Receiver(Struct, frozen=True, kw_only=True):
    """The address and owner of a webhook."""

    id: UUID
    url: str
    email: str


class AuditEntry(Struct, frozen=True, kw_only=True):
    """An action of an operator."""

    id: int
    at: datetime
    actor_id: UUID | None
    actor: str
    action: str
    subject_type: str
    subject_id: str | None
    details: dict[str, Any]


# A fragment for each field of a filter, so that each statement has only the given conditions. The planner then uses the
# index of that field; with `(%(x)s IS NULL OR …)` it would read everything.
CONDITIONS: Mapping[str, str] = {
    "ids": "jobs.id = ANY(%(ids)s)",
    "user_id": "jobs.user_id = %(user_id)s",
    "email": "jobs.user_id = (SELECT users.id FROM users WHERE users.email = lower(%(email)s))",
    "queue": "jobs.queue = %(queue)s",
    "kind": "jobs.kind = %(kind)s",
    "state": "jobs.state = %(state)s",
    "error_code": "jobs.error IS NOT NULL AND jobs.error ->> 'code' = %(error_code)s",
    "recording_id": "jobs.recording_id = %(recording_id)s",
    "clip_id": "jobs.clip_id = %(clip_id)s",
    "created_after": "jobs.created_at >= %(created_after)s",
    "created_before": "jobs.created_at < %(created_before)s",
    "text": (
        "jobs.error IS NOT NULL AND to_tsvector('simple', (jobs.error ->> 'code') || ' ' || (jobs.error ->> 'message'))"
        " @@ plainto_tsquery('simple', %(text)s)"
    ),
    "is_system": "(jobs.user_id IS NULL) = %(is_system)s",
}
TEMPLATES: Mapping[str, str] = {
    "search": (
        "SELECT jobs.* FROM jobs WHERE {conditions} AND (jobs.created_at, jobs.id) < (%(before)s, %(before_id)s) "
        "ORDER BY jobs.created_at DESC, jobs.id DESC LIMIT %(limit)s"
    ),
    "count": ("SELECT count(*)::integer AS n FROM (SELECT 1 FROM jobs WHERE {conditions} LIMIT %(limit)s) AS matching"),
    "lock": ("SELECT jobs.id FROM jobs WHERE {conditions} ORDER BY jobs.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED"),
}
ERROR_JOBS = TIMED_JOBS = 10_000
"""Most rows that one query about failures or times reads, however many there are."""
LIST_ERRORS = """
SELECT code, count(*)::integer AS jobs, array_agg(DISTINCT kind ORDER BY kind) AS kinds,
    count(DISTINCT user_id)::integer AS owners,
    (array_agg(error ->> 'message' ORDER BY created_at DESC))[1] AS message,
    (array_agg(error ->> 'remedy' ORDER BY created_at DESC))[1] AS remedy,
    bool_or(coalesce((error ->> 'retryable')::boolean, false)) AS retryable,
    min(created_at) AS first_at, max(created_at) AS last_at,
    (array_agg(id ORDER BY created_at DESC))[1] AS last_job_id
FROM (
    SELECT id, kind, user_id, error, created_at, coalesce(error ->> 'code', 'unknown') AS code
    FROM jobs WHERE state = 'failed' AND created_at >= now() - make_interval(secs => %(back_s)s)
    ORDER BY created_at DESC LIMIT %(most)s
) AS failed
GROUP BY code ORDER BY count(*) DESC, max(created_at) DESC LIMIT %(limit)s
"""
LIST_TIMES = """
SELECT queue, jobs, waits[1] AS wait_p50_s, waits[2] AS wait_p95_s, runs[1] AS run_p50_s, runs[2] AS run_p95_s
FROM (
    SELECT queue, count(*)::integer AS jobs, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY wait_s) AS waits,
        percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY run_s) AS runs
    FROM (
        SELECT queue, greatest(0, extract(epoch FROM started_at - run_at))::double precision AS wait_s,
            greatest(0, extract(epoch FROM finished_at - started_at))::double precision AS run_s
        FROM jobs
        WHERE finished_at >= now() - make_interval(secs => %(back_s)s) AND started_at IS NOT NULL
        ORDER BY finished_at DESC LIMIT %(most)s
    ) AS ended GROUP BY queue
) AS times ORDER BY queue
"""
LIST_DELIVERIES = f"""
SELECT {DELIVERY_COLUMNS} FROM webhook_deliveries d JOIN events e ON e.id = d.event_id
WHERE (d.created_at, d.id) < (%(before)s, %(before_id)s) AND (%(status)s::text IS NULL OR d.status = %(status)s::text)
  AND (%(user_id)s::uuid IS NULL OR d.user_id = %(user_id)s)
  AND (%(email)s::text IS NULL OR d.user_id = (SELECT users.id FROM users WHERE users.email = lower(%(email)s)))
  AND (%(webhook_id)s::uuid IS NULL OR d.webhook_id = %(webhook_id)s)
  AND (%(event)s::text IS NULL OR e.type = %(event)s)
ORDER BY d.created_at DESC, d.id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
LIST_WORKERS = """
SELECT workers.id, host, pid, version, queues, slots, memory_bytes,
    is_draining OR drain_requested_at IS NOT NULL AS is_draining, started_at, heartbeat_at,
    coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'id', jobs.id, 'kind', kind, 'user_id', user_id, 'attempt', attempt, 'progress', progress, 'stage', stage,
            'eta_s', eta_s, 'started_at', jobs.started_at, 'lease_expires_at', lease_expires_at
        ) ORDER BY jobs.started_at)
        FROM jobs WHERE jobs.state = 'running' AND jobs.worker_id = workers.id
    ), '[]') AS jobs
FROM workers ORDER BY host, pid
"""
LIST_TENANTS = """
SELECT CASE WHEN load.owner_key = %(system)s THEN NULL ELSE load.owner_key END AS user_id, users.email,
    subscriptions.tier, load.waiting, load.running, load.oldest_at
FROM (
    SELECT owner_key, sum(waiting)::integer AS waiting, sum(running)::integer AS running, min(oldest_at) AS oldest_at
    FROM (
        SELECT owner_key, count(*) AS waiting, 0 AS running, min(run_at) AS oldest_at
        FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL GROUP BY owner_key
        UNION ALL
        SELECT owner_key, count(*), 0, min(run_at)
        FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL GROUP BY owner_key
        UNION ALL
        SELECT owner_key, 0, count(*), NULL FROM jobs WHERE state = 'running' GROUP BY owner_key
    ) AS parts GROUP BY owner_key ORDER BY sum(waiting + running) DESC, owner_key LIMIT %(limit)s
) AS load
LEFT JOIN users ON users.id = load.owner_key
LEFT JOIN subscriptions ON subscriptions.user_id = load.owner_key
ORDER BY load.waiting + load.running DESC, load.owner_key
"""
LIST_SERIES = """
SELECT to_timestamp(floor(extract(epoch FROM bucket) / %(step_s)s) * %(step_s)s) AS at, queue,
    coalesce(sum(jobs) FILTER (WHERE outcome = 'succeeded'), 0)::integer AS succeeded,
    coalesce(sum(jobs) FILTER (WHERE outcome = 'failed'), 0)::integer AS failed,
    coalesce(sum(jobs) FILTER (WHERE outcome = 'cancelled'), 0)::integer AS cancelled,
    sum(wait_s) / sum(jobs) AS wait_s, sum(run_s) / sum(jobs) AS run_s
FROM job_series WHERE bucket >= now() - make_interval(secs => %(back_s)s)
GROUP BY 1, 2 ORDER BY 1, 2
"""
LIST_EMAILS = "SELECT id, email FROM users WHERE id = ANY(%(user_ids)s)"
LIST_RECEIVERS = """
SELECT webhooks.id, webhooks.url, users.email FROM webhooks JOIN users ON users.id = webhooks.user_id
WHERE webhooks.id = ANY(%(webhook_ids)s)
"""
SET_PAUSED = """
INSERT INTO queue_controls (queue, is_paused) VALUES (%(queue)s, %(is_paused)s)
ON CONFLICT (queue) DO UPDATE SET is_paused = excluded.is_paused, updated_at = now()
"""
INSERT_AUDIT = """
INSERT INTO audit_log (actor_id, actor, action, subject_type, subject_id, details)
VALUES (%(actor_id)s, %(actor)s, %(action)s, %(subject_type)s, %(subject_id)s, %(details)s)
"""
LIST_AUDIT = "SELECT * FROM audit_log WHERE id < %(before)s ORDER BY id DESC LIMIT %(limit)s"
LAST_AUDIT_ID = 2**63 - 1


def search_jobs(tx: Transaction, wanted: JobFilter, *, limit: int, cursor: Cursor | None) -> list[Job]:
    """List matching jobs of all owners, newest first, starting after the cursor."""
    before, before_id = cursor or FIRST_PAGE
    statement, parameters = filtered("search", wanted)
    return as_jobs(tx.execute(statement, {**parameters, "before": before, "before_id": before_id, "limit": limit}))


def count_jobs(tx: Transaction, wanted: JobFilter, *, most: int) -> int:
    """Count matching jobs, up to `most`."""
    statement, parameters = filtered("count", wanted)
    row = tx.execute(statement, {**parameters, "limit": most}).fetchone()
    return int(row["n"]) if row else 0


def lock_ids(tx: Transaction, wanted: JobFilter, *, limit: int) -> list[UUID]:
    """Lock and list matching jobs; rows that another transaction has locked are left out."""
    statement, parameters = filtered("lock", wanted)
    return [row["id"] for row in tx.execute(statement, {**parameters, "limit": limit})]


def list_workers(tx: Transaction) -> list[WorkerState]:
    """List the worker processes with their running jobs."""
    return [
        WorkerState(**{**row, "jobs": msgspec.convert(row["jobs"], list[RunningJob])})
        for row in tx.execute(LIST_WORKERS)
    ]


def list_tenants(tx: Transaction, *, system: UUID, limit: int) -> list[Tenant]:
    """List the owners with most jobs in the queue."""
    return [Tenant(**row) for row in tx.execute(LIST_TENANTS, {"system": system, "limit": limit})]


def list_emails(tx: Transaction, user_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the addresses of owners, by id."""
    return {row["id"]: row["email"] for row in tx.execute(LIST_EMAILS, {"user_ids": list(user_ids)})}


def list_receivers(tx: Transaction, webhook_ids: Sequence[UUID]) -> dict[UUID, Receiver]:
    """Return the addresses and owners of webhooks, by id."""
    rows = tx.execute(LIST_RECEIVERS, {"webhook_ids": list(webhook_ids)})
    return {row["id"]: Receiver(**row) for row in rows}


def list_series(tx: Transaction, *, back_s: int, step_s: int) -> list[SeriesPoint]:
    """List the results of jobs in steps of `step_s`, oldest first; steps without jobs are left out."""
    return [SeriesPoint(**row) for row in tx.execute(LIST_SERIES, {"back_s": back_s, "step_s": step_s})]


def list_errors(tx: Transaction, *, back_s: int, limit: int) -> list[ErrorGroup]:
    """Group the jobs that were created in the last `back_s` seconds and failed by error code, the largest first."""
    rows = tx.execute(LIST_ERRORS, {"back_s": back_s, "most": ERROR_JOBS, "limit": limit})
    return [ErrorGroup(**row) for row in rows]


def list_times(tx: Transaction, *, back_s: int) -> list[QueueTimes]:
    """List the waiting and run times of each queue's jobs, over the last `back_s` seconds."""
    return [QueueTimes(**row) for row in tx.execute(LIST_TIMES, {"back_s": back_s, "most": TIMED_JOBS})]


def set_queue_paused(tx: Transaction, queue: str, *, is_paused: bool) -> None:
    """Pause or resume a queue."""
    tx.execute(SET_PAUSED, {"queue": queue, "is_paused": is_paused})


def insert_audit(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    actor_id: UUID | None,
    actor: str,
    action: str,
    subject_type: str,
    subject_id: str | None,
    details: dict[str, Any],
) -> None:
    """Add an entry to the audit log."""
    tx.execute(
        INSERT_AUDIT,
        {
            "actor_id": actor_id,
            "actor": actor,
            "action": action,
            "subject_type": subject_type,
            "subject_id": subject_id,
            "details": Jsonb(details),
        },
    )


def list_audit(tx: Transaction, *, limit: int, before: int | None) -> list[AuditEntry]:
    """List the audit log, newest first, from before an id."""
    rows = tx.execute(LIST_AUDIT, {"before": LAST_AUDIT_ID if before is None else before, "limit": limit})
    return [AuditEntry(**row) for row in rows]


def list_deliveries(tx: Transaction, wanted: DeliveryFilter, *, limit: int, cursor: Cursor | None) -> list[Delivery]:
    """List deliveries to all webhooks, newest first, starting after the cursor."""
    before, before_id = cursor or FIRST_PAGE
    parameters = {**structs.asdict(wanted), "before": before, "before_id": before_id, "limit": limit}
    return [Delivery(**row) for row in tx.execute(LIST_DELIVERIES, parameters)]


def filtered(template: str, wanted: JobFilter) -> tuple[str, dict[str, Any]]:
    """Return a statement with a filter's conditions, and their values. Only constants of this module become SQL."""
    given = {name: getattr(wanted, name) for name in CONDITIONS if getattr(wanted, name) is not None}
    conditions: Sequence[str] = [CONDITIONS[name] for name in given] or ["true"]
    return TEMPLATES[template].format(conditions=" AND ".join(conditions)), given
