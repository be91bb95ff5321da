"""Claims, lease renewals and ends of jobs. Every write after the claim needs the lease's token."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.types.json import Jsonb

from db.connection import Transaction
from db.jobs import Job, JobError, as_job, as_jobs, change, error_json, logged


class Lease(Struct, frozen=True):
    """The right to write to a job, valid while its row has this token."""

    job_id: UUID
    token: UUID


class Renewal(Struct, frozen=True, kw_only=True):
    """A lease to renew, with the job's progress."""

    lease: Lease
    progress: float
    """0 to 100."""
    stage: str | None
    eta_s: float | None


class Completion(Struct, frozen=True, kw_only=True):
    """A job that has succeeded, with its result, or with the function that publishes it and returns the result."""

    lease: Lease
    result: dict[str, Any] | None = None
    publish: Callable[[Transaction], dict[str, Any] | None] | None = None


# `id = ANY` repeats the join, so that a planner with old statistics still reads by the index.
CLAIM = logged("""
UPDATE jobs SET state = 'running', attempt = attempt + 1, charged = charged + 1, lease_token = gen_random_uuid(),
    lease_expires_at = now() + make_interval(secs => %(lease_s)s), worker_id = %(worker_id)s,
    started_at = now(), progress = 0, stage = NULL, eta_s = NULL
FROM unnest(%(job_ids)s::uuid[], %(numbers)s::integer[]) AS sent (job_id, number)
WHERE id = ANY(%(job_ids)s::uuid[]) AND id = sent.job_id AND dispatch_no = sent.number
  AND state = 'queued' AND dispatched_at IS NOT NULL
RETURNING jobs.*
""")
RENEW = """
WITH mine AS (
    SELECT * FROM unnest(%(job_ids)s::uuid[], %(tokens)s::uuid[], %(progress)s::real[], %(stages)s::text[],
                         %(etas)s::real[]) AS m (job_id, token, progress, stage, eta_s)
)
UPDATE jobs SET lease_expires_at = now() + make_interval(secs => %(lease_s)s),
    progress = mine.progress, stage = mine.stage, eta_s = mine.eta_s
FROM mine WHERE jobs.id = mine.job_id AND jobs.lease_token = mine.token AND jobs.state = 'running'
RETURNING jobs.id, jobs.cancel_requested_at IS NOT NULL AS is_cancelled
"""
# NO KEY UPDATE does not block rows that only refer to the job, such as a clip that joins its render.
HOLD = """
SELECT * FROM jobs WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' FOR NO KEY UPDATE
"""
COMPLETE = logged("""
UPDATE jobs SET state = 'succeeded', finished_at = now(), progress = 100, stage = NULL, eta_s = NULL,
    error = NULL, lease_token = NULL, lease_expires_at = NULL, result = coalesce(done.result, jobs.result)
FROM unnest(%(job_ids)s::uuid[], %(tokens)s::uuid[], %(results)s::jsonb[]) AS done (job_id, token, result)
WHERE id = ANY(%(job_ids)s::uuid[]) AND id = done.job_id AND lease_token = done.token AND state = 'running'
RETURNING jobs.*, done.token AS held_token
""")
SET_RESULT = "UPDATE jobs SET result = %(result)s WHERE id = %(job_id)s"
FAIL = logged("""
UPDATE jobs SET state = 'failed', finished_at = now(), error = %(error)s, eta_s = NULL,
    lease_token = NULL, lease_expires_at = NULL
WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' RETURNING *
""")
CANCEL = logged("""
UPDATE jobs SET state = 'cancelled', finished_at = now(), eta_s = NULL, lease_token = NULL, lease_expires_at = NULL
WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' RETURNING *
""")
REQUEUE = logged("""
UPDATE jobs SET state = 'queued', run_at = now() + make_interval(secs => %(delay_s)s), dispatched_at = NULL,
    charged = charged - %(refund)s, setbacks = setbacks + %(setback)s, error = coalesce(%(error)s, error),
    lease_token = NULL, lease_expires_at = NULL, worker_id = NULL, progress = 0, stage = NULL, eta_s = NULL
WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' RETURNING *
""")
LIST_EXPIRED = """
SELECT * FROM jobs WHERE state = 'running' AND lease_expires_at < now()
ORDER BY lease_expires_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""


def claim_jobs(tx: Transaction, *, sent: Sequence[tuple[UUID, int]], worker_id: UUID, lease_s: float) -> list[Job]:
    """Claim jobs for one attempt each, by id and dispatch number.

    Stale messages, and jobs that another worker claimed first, are left out.
    """
    ordered = sorted(sent)  # one lock order for all processes
    rows = tx.execute(
        CLAIM,
        {
            "event": "claimed",
            "details": Jsonb({"worker_id": str(worker_id)}),
            "job_ids": [job_id for job_id, _ in ordered],
            "numbers": [number for _, number in ordered],
            "worker_id": worker_id,
            "lease_s": lease_s,
        },
    )
    return as_jobs(rows)


def renew_leases(tx: Transaction, renewals: Sequence[Renewal], *, lease_s: float) -> dict[UUID, bool]:
    """Renew leases and write progress; return the ids still held → whether the owner asked to cancel."""
    ordered = sorted(renewals, key=lambda renewal: renewal.lease.job_id)  # one lock order for all processes
    rows = tx.execute(
        RENEW,
        {
            "job_ids": [renewal.lease.job_id for renewal in ordered],
            "tokens": [renewal.lease.token for renewal in ordered],
            "progress": [renewal.progress for renewal in ordered],
            "stages": [renewal.stage for renewal in ordered],
            "etas": [renewal.eta_s for renewal in ordered],
            "lease_s": lease_s,
        },
    )
    return {row["id"]: row["is_cancelled"] for row in rows}


def hold_job(tx: Transaction, lease: Lease) -> Job | None:
    """Lock the row for the rest of the transaction; None when the lease is lost."""
    row = tx.execute(HOLD, {"job_id": lease.job_id, "token": lease.token}).fetchone()
    return as_job(row) if row else None


def complete_jobs(tx: Transaction, completions: Sequence[Completion]) -> dict[Lease, Job]:
    """End jobs as succeeded and write their results; jobs whose lease is lost are left out."""
    ordered = sorted(completions, key=lambda one: one.lease.job_id)  # one lock order for all processes
    rows = tx.execute(
        COMPLETE,
        {
            "event": "succeeded",
            "details": Jsonb({}),
            "job_ids": [one.lease.job_id for one in ordered],
            "tokens": [one.lease.token for one in ordered],
            "results": [_json(one.result) for one in ordered],
        },
    )
    held = [(row.pop("held_token"), as_job(row)) for row in rows]
    return {Lease(job.id, token): job for token, job in held}


def set_result(tx: Transaction, job_id: UUID, result: dict[str, Any]) -> None:
    """Write the job's result."""
    tx.execute(SET_RESULT, {"job_id": job_id, "result": Jsonb(result)})


def fail(tx: Transaction, lease: Lease, error: JobError) -> Job | None:
    """End the job with its error; None when the lease is lost."""
    details = {"code": error.code}
    return _one(change(tx, FAIL, event="failed", details=details, error=error_json(error), **_keys(lease)))


def cancel(tx: Transaction, lease: Lease) -> Job | None:
    """End the job as cancelled; None when the lease is lost."""
    return _one(change(tx, CANCEL, event="cancelled", **_keys(lease)))


def requeue(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    lease: Lease,
    *,
    event: str,
    error: JobError | None = None,
    delay_s: float = 0.0,
    is_charged: bool,
    is_setback: bool = False,
) -> Job | None:
    """Queue the job again, to run after `delay_s`; None when the lease is lost."""
    details: dict[str, Any] = {"delay_s": round(delay_s, 1), "charged": is_charged}
    if error is not None:
        details["code"] = error.code
    return _one(
        change(
            tx,
            REQUEUE,
            event=event,
            details=details,
            error=None if error is None else error_json(error),
            delay_s=delay_s,
            refund=0 if is_charged else 1,
            setback=1 if is_setback else 0,
            **_keys(lease),
        )
    )


def list_expired(tx: Transaction, *, limit: int) -> list[Job]:
    """Lock and list running jobs whose lease has expired; rows that another transaction has locked are left out."""
    return as_jobs(tx.execute(LIST_EXPIRED, {"limit": limit}))


def lease_of(job: Job) -> Lease:
    """Return the lease of a running job; ValueError when it has no lease."""
    if job.lease_token is None:
        raise ValueError(f"job {job.id} is {job.state} and has no lease")
    return Lease(job.id, job.lease_token)


def _keys(lease: Lease) -> dict[str, Any]:
    return {"job_id": lease.job_id, "token": lease.token}


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _one(jobs: list[Job]) -> Job | None:
    return jobs[0] if jobs else None
