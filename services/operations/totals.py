"""Totals of job events. They only grow, across restarts, deleted rows and several processes."""

import re
from bisect import bisect_left
from collections.abc import Iterable

from db import totals as rows
from db.connection import Transaction
from db.totals import EndedJob, EventTotal, JobTotal

__all__ = ["EventTotal", "JobTotal"]

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
"""Upper bounds of waiting and running times, from the 20 ms of an idle system to a long recording behind a full queue.
Stored counts refer to them by position: a change needs a migration that empties `job_totals`."""
SETTLE_S = 10.0
"""Longer than any transaction that ends a job, so every earlier event is visible."""
BATCH = 5000
MAX_BATCHES = 20
"""Events in one count; later counts handle a longer backlog."""
OUTCOMES = ("succeeded", "failed", "cancelled")
COUNTED_EVENTS = ("retry_scheduled", "handed_back", "failed")
CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
OTHER_CODE = "other"
LOST_LEASE_CODE = "worker_lost"


def count(tx: Transaction, *, settle_s: float = SETTLE_S) -> int:
    """Count new events (service transaction); return how many, 0 while another process is counting."""
    if not rows.try_lock(tx):
        return 0
    counted = 0
    for _ in range(MAX_BATCHES):
        batch = rows.list_uncounted(tx, limit=BATCH, settle_s=settle_s)
        if batch:
            rows.add(tx, jobs=job_totals(batch), events=event_totals(batch), last_id=batch[-1].event_id)
        counted += len(batch)
        if len(batch) < BATCH:
            break
    return counted


def job_totals(batch: Iterable[EndedJob]) -> list[JobTotal]:
    """Add up the ends of jobs. Pure."""
    groups: dict[tuple[str, str, str, str], list[EndedJob]] = {}
    for job in batch:
        if job.event in OUTCOMES:
            groups.setdefault((job.queue, job.kind, job.event, label_code(job.code)), []).append(job)
    return [
        JobTotal(
            queue=queue,
            kind=kind,
            outcome=outcome,
            code=code,
            jobs=len(jobs),
            media_s=sum(job.media_s for job in jobs),
            wait_s=sum(job.wait_s or 0.0 for job in jobs),
            run_s=sum(job.run_s or 0.0 for job in jobs),
            wait_counts=_counts(job.wait_s for job in jobs),
            run_counts=_counts(job.run_s for job in jobs),
        )
        for (queue, kind, outcome, code), jobs in sorted(groups.items())
    ]


def event_totals(batch: Iterable[EndedJob]) -> list[EventTotal]:
    """Add up other events of jobs. Pure."""
    groups: dict[tuple[str, str, str], int] = {}
    for job in batch:
        if job.event in COUNTED_EVENTS:
            key = job.queue, job.event, label_code(job.code)
            groups[key] = groups.get(key, 0) + 1
    return [
        EventTotal(queue=queue, event=event, code=code, total=total)
        for (queue, event, code), total in sorted(groups.items())
    ]


def label_code(code: str) -> str:
    """Return the code of an error as a label; anything except a short word becomes `other`, to limit the labels."""
    return code if not code or CODE.fullmatch(code) else OTHER_CODE


def _counts(seconds: Iterable[float | None]) -> list[int]:
    counts = [0] * (len(BUCKETS_S) + 1)
    for value in seconds:
        if value is not None:
            counts[bisect_left(BUCKETS_S, value)] += 1
    return counts
