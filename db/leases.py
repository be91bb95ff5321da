"""A job in a worker's hands: claim, renewal, and the ways it ends. Every write after the claim carries the token."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.types.json import Jsonb

from db.connection import Transaction
from db.jobs import Job, as_jobs, change, logged


class Lease(Struct, frozen=True):
    """The right to write about a job: void as soon as the row carries another token."""

    job_id: UUID
    token: UUID


class Renewal(Struct, frozen=True, kw_only=True):
    """What a worker says about one running job when it renews the lease."""

    lease: Lease
    progress: float
    """0 to 100."""
    stage: str | None
    eta_s: float | None


class Ended(Struct, frozen=True, kw_only=True):
    """A job that has ended well, with what it has made."""

    lease: Lease
    result: dict[str, Any] | None


# The ids stand there twice, so that a planner whose statistics are old reads by the index all the same.
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
# NO KEY: whoever only refers to the job, as a clip that joins its render does, need not wait.
HOLD = """
SELECT * FROM jobs WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' FOR NO KEY UPDATE
"""
SUCCEED = logged("""
UPDATE jobs SET state = 'succeeded', finished_at = now(), progress = 100, stage = NULL, eta_s = NULL,
    error = NULL, lease_token = NULL, lease_expires_at = NULL
WHERE id = %(job_id)s AND lease_token = %(token)s AND state = 'running' RETURNING *
""")
SUCCEED_PLAINLY = logged("""
UPDATE jobs SET state = 'succeeded', finished_at = now(), progress = 100, stage = NULL, eta_s = NULL,
    error = NULL, lease_token = NULL, lease_expires_at = NULL, result = coalesce(ended.result, jobs.result)
FROM unnest(%(job_ids)s::uuid[], %(tokens)s::uuid[], %(results)s::jsonb[]) AS ended (job_id, token, result)
WHERE id = ANY(%(job_ids)s::uuid[]) AND id = ended.job_id AND lease_token = ended.token AND state = 'running'
RETURNING jobs.*, ended.token AS held_token
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
    """Take jobs for one attempt each, by id and dispatch number.

    Left out are those whose message is stale, or where somebody else was first.
    """
    ordered = sorted(sent)  # one lock order for all processes
    return change(
        tx,
        CLAIM,
        event="claimed",
        details={"worker_id": str(worker_id)},
        job_ids=[job_id for job_id, _ in ordered],
        numbers=[number for _, number in ordered],
        worker_id=worker_id,
        lease_s=lease_s,
    )


def renew_leases(tx: Transaction, renewals: Sequence[Renewal], *, lease_s: float) -> dict[UUID, bool]:
    """Renew all leases of a process at once; return job ids still held → whether the owner asked to cancel."""
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
    return Job(**row) if row else None


def succeed(tx: Transaction, lease: Lease) -> Job | None:
    """End the job well; None when the lease is lost."""
    return _one(change(tx, SUCCEED, event="succeeded", **_keys(lease)))


def succeed_plainly(tx: Transaction, ended: Sequence[Ended]) -> dict[Lease, Job]:
    """End jobs well and write their results; left out are those whose lease is lost."""
    ordered = sorted(ended, key=lambda one: one.lease.job_id)  # one lock order for all processes
    rows = tx.execute(
        SUCCEED_PLAINLY,
        {
            "event": "succeeded",
            "details": Jsonb({}),
            "job_ids": [one.lease.job_id for one in ordered],
            "tokens": [one.lease.token for one in ordered],
            "results": [_json(one.result) for one in ordered],
        },
    )
    held = [(row.pop("held_token"), Job(**row)) for row in rows]
    return {Lease(job.id, token): job for token, job in held}


def set_result(tx: Transaction, job_id: UUID, result: dict[str, Any]) -> None:
    """Write what the job has made."""
    tx.execute(SET_RESULT, {"job_id": job_id, "result": Jsonb(result)})


def fail(tx: Transaction, lease: Lease, error: dict[str, Any]) -> Job | None:
    """End the job with its error; None when the lease is lost."""
    details = {"code": error.get("code")}
    return _one(change(tx, FAIL, event="failed", details=details, error=Jsonb(error), **_keys(lease)))


def cancel(tx: Transaction, lease: Lease) -> Job | None:
    """End the job as its owner wished; None when the lease is lost."""
    return _one(change(tx, CANCEL, event="cancelled", **_keys(lease)))


def requeue(  # noqa: PLR0913 - keyword-only, one a column
    tx: Transaction,
    lease: Lease,
    *,
    event: str,
    error: dict[str, Any] | None = None,
    delay_s: float = 0.0,
    is_charged: bool,
    is_setback: bool = False,
) -> Job | None:
    """Put the job back into the queue, for at once or for later; None when the lease is lost."""
    details: dict[str, Any] = {"delay_s": round(delay_s, 1), "charged": is_charged}
    if error is not None:
        details["code"] = error.get("code")
    return _one(
        change(
            tx,
            REQUEUE,
            event=event,
            details=details,
            error=_json(error),
            delay_s=delay_s,
            refund=0 if is_charged else 1,
            setback=1 if is_setback else 0,
            **_keys(lease),
        )
    )


def list_expired(tx: Transaction, *, limit: int) -> list[Job]:
    """Lock and list running jobs whose worker has not renewed in time; rows in somebody's hands are left out."""
    return as_jobs(tx.execute(LIST_EXPIRED, {"limit": limit}))


def lease_of(job: Job) -> Lease:
    """Return the lease a running job's row carries; ValueError when it carries none."""
    if job.lease_token is None:
        raise ValueError(f"job {job.id} is {job.state} and has no lease")
    return Lease(job.id, job.lease_token)


def _keys(lease: Lease) -> dict[str, Any]:
    return {"job_id": lease.job_id, "token": lease.token}


def _json(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def _one(jobs: list[Job]) -> Job | None:
    return jobs[0] if jobs else None
