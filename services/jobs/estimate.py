"""Estimates when a job begins and ends, from the jobs before it and the run times of similar jobs."""

import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from db import dispatch
from db import estimates as rows
from db.connection import Transaction, as_service
from db.estimates import Line, Running, RunTimes
from services.jobs.dispatch import WORKER_SILENT_S
from services.jobs.fairness import Share, share_of
from services.jobs.service import Job

USUAL_RUN_S = {"ingest": 30.0, "import": 60.0, "detect": 3.0, "render": 10.0}
"""Used until the first jobs of a kind have ended: run times for an hour of talk on a small machine."""
OTHER_RUN_S = 5.0
LEAST_RUN_S = 0.1
FEW_ALIKE = 3
"""With fewer jobs of the same settings, the run time is not estimated from the size."""
MOST_WEIGHT = 4


class Estimate(Struct, frozen=True, kw_only=True):
    """The estimated start (or actual one) and end of a job."""

    start_at: datetime
    finish_at: datetime
    starts_in_s: float
    """Seconds from now; 0 for a running job."""


def of(tx: Transaction, *, job: Job) -> Estimate | None:
    """Estimate a waiting or running job; None for an ended job, and while no worker serves its queue."""
    if job.state not in ("queued", "running"):
        return None
    with as_service(tx):
        times = rows.find_run_times(tx, job)
        own_s = run_s(times, kind=job.kind)
        if job.state == "running" and job.started_at is not None:
            left_s = job.eta_s if job.eta_s is not None else own_s - (times.now - job.started_at).total_seconds()
            finish_at = times.now + timedelta(seconds=max(0.0, left_s))
            return Estimate(start_at=job.started_at, finish_at=finish_at, starts_in_s=0.0)
        slots = dispatch.count_slots(tx, silent_s=WORKER_SILENT_S).get(job.queue, 0)
        if slots == 0:
            return None
        starts_in_s = _wait(tx, job, slots, _mean_s(times, job.kind))
    starts_in_s = max(starts_in_s, (job.run_at - times.now).total_seconds())
    start_at = times.now + timedelta(seconds=starts_in_s)
    return Estimate(start_at=start_at, finish_at=start_at + timedelta(seconds=own_s), starts_in_s=starts_in_s)


def run_s(times: RunTimes, *, kind: str) -> float:
    """Return the expected run time: from the size if enough similar jobs have ended, else their mean. Pure."""
    if times.alike < FEW_ALIKE or times.size is None:
        return times.alike_mean_s or _mean_s(times, kind)
    if times.slope is not None and times.slope > 0 and times.intercept_s is not None and times.intercept_s >= 0:
        return max(LEAST_RUN_S, times.intercept_s + times.slope * times.size)
    mean_s = times.alike_mean_s or _mean_s(times, kind)
    if times.slope is not None and times.slope > 0 and times.alike_mean_size:
        return max(LEAST_RUN_S, mean_s * times.size / times.alike_mean_size)
    return mean_s


def jobs_before(line: Line, own: Share, others: Iterable[tuple[Share, int]], *, is_newcomer: bool) -> int:
    """Return how many jobs begin before a waiting one. Pure.

    While the owner's earlier jobs take their turns, every other owner gets turns by weight, as long as they have jobs.
    Sent jobs come first, unless they are called back for an owner with nothing running.
    """
    turns = sum(min(count, round(share.weight * line.own_waiting / own.weight)) for share, count in others)
    return (0 if is_newcomer else line.sent) + line.own_waiting + turns


def wait_s(left_s: Iterable[float], *, slots: int, before: int, mean_s: float) -> float:
    """Return when a slot is free for a job with `before` others ahead of it. Pure.

    `left_s` is the remaining time of the running jobs; each job ahead takes `mean_s`.
    """
    busy = sorted(left_s, reverse=True)[:slots]
    free_at = busy + [0.0] * (slots - len(busy))
    heapq.heapify(free_at)
    # One job for each slot delays all slots equally.
    rounds, rest = divmod(before, slots) if before > slots else (0, before)
    for _ in range(rest):
        heapq.heapreplace(free_at, free_at[0] + mean_s)
    return free_at[0] + rounds * mean_s


def _wait(tx: Transaction, job: Job, slots: int, mean_s: float) -> float:
    line = rows.find_line(tx, job)
    running = rows.list_running(tx, job.queue)
    tiers = {row.owner_key: row.tier for row in dispatch.list_owners(tx, job.queue)}
    own = share_of(job.owner_key, tiers.pop(job.owner_key, "free"))
    most = MOST_WEIGHT * line.own_waiting + 1
    backlogs = rows.count_backlogs(tx, queue=job.queue, owners=list(tiers), most=most) if line.own_waiting else {}
    others = [(share_of(owner, tiers[owner]), count) for owner, count in backlogs.items()]
    mine = [each for each in running if each.owner_key == job.owner_key]
    # A sent job keeps its place among the sent ones.
    is_newcomer = not mine and line.own_sent == 0 and job.dispatched_at is None
    before = jobs_before(line, own, others, is_newcomer=is_newcomer)
    by_queue_s = wait_s(_left_s(running, mean_s), slots=slots, before=before, mean_s=mean_s)
    by_cap_s = wait_s(
        _left_s(mine, mean_s), slots=min(own.cap, slots), before=line.own_sent + line.own_waiting, mean_s=mean_s
    )
    return max(by_queue_s, by_cap_s)


def _left_s(running: Iterable[Running], mean_s: float) -> list[float]:
    return [max(0.0, each.eta_s if each.eta_s is not None else mean_s - each.elapsed_s) for each in running]


def _mean_s(times: RunTimes, kind: str) -> float:
    return USUAL_RUN_S.get(kind, OTHER_RUN_S) if times.mean_s is None else max(LEAST_RUN_S, times.mean_s)
