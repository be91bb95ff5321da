"""When a job will begin and end: from who waits before it, in fair order, and how long such jobs took lately."""

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
"""Until the first jobs of a kind have ended: what they take for an hour of talk on a small machine."""
OTHER_RUN_S = 5.0
LEAST_RUN_S = 0.1
FEW_ALIKE = 3
"""With fewer jobs of the same settings, what size has to do with time is a guess."""
MOST_WEIGHT = 4


class Estimate(Struct, frozen=True, kw_only=True):
    """When a job begins (or began) and ends, as far as can be said."""

    start_at: datetime
    finish_at: datetime
    starts_in_s: float
    """From now; 0 for one that has begun."""


def of(tx: Transaction, *, job: Job) -> Estimate | None:
    """Estimate for a job that waits or runs; None once it has ended, and while no worker takes from its queue."""
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
    """Return how long a job will run: by its size where jobs alike say what size has to do with it. Pure."""
    if times.alike < FEW_ALIKE or times.size is None:
        return times.alike_mean_s or _mean_s(times, kind)
    if times.slope is not None and times.slope > 0 and times.intercept_s is not None and times.intercept_s >= 0:
        return max(LEAST_RUN_S, times.intercept_s + times.slope * times.size)
    mean_s = times.alike_mean_s or _mean_s(times, kind)
    if times.slope is not None and times.slope > 0 and times.alike_mean_size:
        return max(LEAST_RUN_S, mean_s * times.size / times.alike_mean_size)
    return mean_s


def jobs_before(line: Line, own: Share, others: Iterable[tuple[Share, int]], *, is_newcomer: bool) -> int:
    """Return how many jobs begin before one that waits. Pure.

    While an owner's jobs before it take their turns, each other owner gets turns by the weights, as far as he has jobs.
    What was sent already comes first, but for somebody who has nothing under way it is called back.
    """
    turns = sum(min(count, round(share.weight * line.own_waiting / own.weight)) for share, count in others)
    return (0 if is_newcomer else line.sent) + line.own_waiting + turns


def wait_s(left_s: Iterable[float], *, slots: int, before: int, mean_s: float) -> float:
    """Return when a slot is free for a job with so many others before it. Pure.

    `left_s` is what the jobs under way still need; each of those before it takes `mean_s`.
    """
    busy = sorted(left_s, reverse=True)[:slots]
    free_at = busy + [0.0] * (slots - len(busy))
    heapq.heapify(free_at)
    # As many jobs as there are slots push all of them back alike.
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
    # One that was sent keeps its place among what was sent.
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
