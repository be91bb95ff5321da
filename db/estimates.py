"""What an estimate is made from: how much is ahead, and how long such jobs took lately."""

from db.connection import Transaction
from db.jobs import Job

COUNT_AHEAD = """
SELECT
    (SELECT count(*) FROM jobs WHERE state = 'running' AND queue = %(queue)s AND owner_key = %(owner_key)s)
  + (SELECT count(*) FROM jobs
     WHERE state = 'queued' AND dispatched_at IS NOT NULL AND queue = %(queue)s AND owner_key = %(owner_key)s
       AND id <> %(job_id)s)
  + (SELECT count(*) FROM (
        SELECT 1 FROM jobs
        WHERE state = 'queued' AND dispatched_at IS NULL AND queue = %(queue)s AND owner_key = %(owner_key)s
          AND id <> %(job_id)s AND (priority > %(priority)s OR (priority = %(priority)s AND run_at <= %(run_at)s))
        LIMIT %(most)s
     ) AS waiting) AS ahead
"""
MEAN_RUN = """
SELECT sum(run_s) / sum(jobs) AS run_s FROM job_series
WHERE kind = %(kind)s AND outcome = 'succeeded' AND bucket > now() - interval '1 day'
"""
MOST = 10_000


def count_ahead(tx: Transaction, job: Job) -> int:
    """Count the jobs of the same owner and queue that come before this one."""
    parameters = {
        "queue": job.queue,
        "owner_key": job.owner_key,
        "job_id": job.id,
        "priority": job.priority,
        "run_at": job.run_at,
        "most": MOST,
    }
    row = tx.execute(COUNT_AHEAD, parameters).fetchone()
    return int(row["ahead"]) if row else 0


def find_mean_run_s(tx: Transaction, *, kind: str) -> float | None:
    """Return how long jobs of a kind ran on average over the last day; None when none has ended."""
    row = tx.execute(MEAN_RUN, {"kind": kind}).fetchone()
    return row["run_s"] if row else None
