"""Queries for estimates: the jobs ahead, and run times of recent similar jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from db.connection import Transaction
from db.jobs import Job


class RunTimes(Struct, frozen=True, kw_only=True):
    """Run times of the latest jobs of a kind: of all, and of similar ones.

    Size is seconds of media for a render or a detection, and bytes for an ingest or an import.
    """

    now: datetime
    size: float | None
    mean_s: float | None
    alike: int
    alike_mean_s: float | None
    alike_mean_size: float | None
    slope: float | None
    """Seconds for each unit of size, by least squares over similar jobs; None if all have the same size."""
    intercept_s: float | None


class Running(Struct, frozen=True, kw_only=True):
    """A running job."""

    owner_key: UUID
    elapsed_s: float
    eta_s: float | None


class Line(Struct, frozen=True, kw_only=True):
    """The jobs ahead of a job, apart from other owners' waiting ones."""

    own_waiting: int
    own_sent: int
    sent: int


RUN_TIMES = """
WITH mine AS (
    SELECT clips.preset, clips.accuracy, clips.formats, clips.loudness IS NULL AS is_plain,
        CASE jobs.kind WHEN 'render' THEN clips.end_s - clips.start_s WHEN 'detect' THEN recordings.duration_s
            ELSE recordings.size_bytes END AS size
    FROM jobs LEFT JOIN clips ON clips.id = jobs.clip_id LEFT JOIN recordings ON recordings.id = jobs.recording_id
    WHERE jobs.id = %(job_id)s
), lately AS (
    SELECT clip_id, recording_id, kind, extract(epoch FROM finished_at - started_at)::double precision AS run_s
    FROM jobs WHERE kind = %(kind)s AND state = 'succeeded' AND started_at IS NOT NULL
    ORDER BY finished_at DESC LIMIT %(sample)s
), measured AS (
    SELECT lately.run_s,
        CASE lately.kind WHEN 'render' THEN clips.end_s - clips.start_s WHEN 'detect' THEN recordings.duration_s
            ELSE recordings.size_bytes END AS size,
        (clips.preset, clips.accuracy, clips.formats, clips.loudness IS NULL)
            IS NOT DISTINCT FROM (mine.preset, mine.accuracy, mine.formats, mine.is_plain) AS is_alike
    FROM lately CROSS JOIN mine
    LEFT JOIN clips ON clips.id = lately.clip_id LEFT JOIN recordings ON recordings.id = lately.recording_id
)
SELECT now() AS now, (SELECT size FROM mine) AS size, avg(run_s) AS mean_s,
    count(*) FILTER (WHERE is_alike AND size IS NOT NULL) AS alike,
    avg(run_s) FILTER (WHERE is_alike) AS alike_mean_s,
    avg(size) FILTER (WHERE is_alike)::double precision AS alike_mean_size,
    regr_slope(run_s, size) FILTER (WHERE is_alike) AS slope,
    regr_intercept(run_s, size) FILTER (WHERE is_alike) AS intercept_s
FROM measured
"""
LIST_RUNNING = """
SELECT owner_key, extract(epoch FROM clock_timestamp() - started_at)::double precision AS elapsed_s, eta_s
FROM jobs WHERE state = 'running' AND queue = %(queue)s
"""
FIND_LINE = """
SELECT
    (SELECT count(*) FROM (
        SELECT 1 FROM jobs
        WHERE state = 'queued' AND dispatched_at IS NULL AND queue = %(queue)s AND owner_key = %(owner_key)s
          AND id <> %(job_id)s
          AND (priority > %(priority)s
               OR (priority = %(priority)s AND (run_at, created_at) <= (%(run_at)s, %(created_at)s)))
        LIMIT %(most)s
    ) AS waiting) AS own_waiting,
    count(*) FILTER (WHERE owner_key = %(owner_key)s) AS own_sent,
    count(*) AS sent
FROM jobs
WHERE state = 'queued' AND dispatched_at IS NOT NULL AND queue = %(queue)s AND id <> %(job_id)s
  AND (%(dispatched_at)s::timestamptz IS NULL OR dispatched_at < %(dispatched_at)s::timestamptz)
"""
COUNT_BACKLOGS = """
SELECT wanted.owner_key, (
    SELECT count(*) FROM (
        SELECT 1 FROM jobs
        WHERE queue = %(queue)s AND state = 'queued' AND dispatched_at IS NULL AND owner_key = wanted.owner_key
          AND run_at <= now()
        LIMIT %(most)s
    ) AS waiting
) AS jobs
FROM unnest(%(owners)s::uuid[]) AS wanted (owner_key)
"""
OLDEST_DUE = """
SELECT extract(epoch FROM now() - run_at)::double precision AS age_s FROM jobs
WHERE queue = %(queue)s AND state = 'queued' ORDER BY run_at LIMIT 1
"""
SAMPLE = 60
"""How many of the latest jobs count; older ones say little about today's recordings."""
MOST = 10_000


def find_run_times(tx: Transaction, job: Job) -> RunTimes:
    """Return run times of the latest jobs of this kind."""
    row = tx.execute(RUN_TIMES, {"job_id": job.id, "kind": job.kind, "sample": SAMPLE}).fetchone()
    if row is None:
        raise RuntimeError("an aggregate returned no row")
    return RunTimes(**row)


def list_running(tx: Transaction, queue: str) -> list[Running]:
    """List the running jobs of a queue."""
    return [Running(**row) for row in tx.execute(LIST_RUNNING, {"queue": queue})]


def find_line(tx: Transaction, job: Job) -> Line:
    """Count the owner's own jobs before this one, and the sent jobs before it."""
    row = tx.execute(FIND_LINE, line_parameters(job)).fetchone()
    if row is None:
        raise RuntimeError("an aggregate returned no row")
    return Line(**row)


def line_parameters(job: Job) -> dict[str, Any]:
    """Return the parameters of FIND_LINE."""
    return {
        "queue": job.queue,
        "owner_key": job.owner_key,
        "job_id": job.id,
        "priority": job.priority,
        "run_at": job.run_at,
        "created_at": job.created_at,
        "dispatched_at": job.dispatched_at,
        "most": MOST,
    }


def count_backlogs(tx: Transaction, *, queue: str, owners: Sequence[UUID], most: int) -> dict[UUID, int]:
    """Return owner → number of their waiting jobs, counted up to `most`."""
    rows = tx.execute(COUNT_BACKLOGS, {"queue": queue, "owners": list(owners), "most": most})
    return {row["owner_key"]: row["jobs"] for row in rows}


def find_oldest_due_s(tx: Transaction, *, queue: str) -> float:
    """Return the seconds for which the oldest queued job has been due; 0 without a queued job."""
    row = tx.execute(OLDEST_DUE, {"queue": queue}).fetchone()
    return max(0.0, row["age_s"]) if row else 0.0
