"""When a job that was just accepted will begin and end, from who else waits and how long such jobs take."""

from msgspec import Struct

from db import dispatch
from db import estimates as rows
from db.connection import Transaction, as_service
from services.dispatch import WORKER_SILENT_S
from services.fairness import share_of
from services.jobs import Job

USUAL_RUN_S = {"ingest": 30.0, "import": 60.0, "detect": 3.0, "render": 10.0}
"""Until the first jobs of a kind have been counted: what they take for an hour of talk on a small machine."""
OTHER_RUN_S = 5.0


class Estimate(Struct, frozen=True, kw_only=True):
    """Seconds from now."""

    starts_in_s: float
    ends_in_s: float


def of(tx: Transaction, *, job: Job) -> Estimate | None:
    """Estimate for a job that waits; None while no worker takes from its queue."""
    with as_service(tx):
        slots = dispatch.count_slots(tx, silent_s=WORKER_SILENT_S).get(job.queue, 0)
        if slots == 0:
            return None
        waiting = {row.owner_key: row.tier for row in dispatch.list_owners(tx, job.queue)}
        under_way = {flight.owner_key for flight in dispatch.list_flights(tx) if flight.queue == job.queue}
        ahead = rows.count_ahead(tx, job)
        run_s = rows.find_mean_run_s(tx, kind=job.kind)
    weights = {owner: share_of(owner, waiting.get(owner, "free")).weight for owner in {*waiting, *under_way}}
    own = share_of(job.owner_key, waiting.get(job.owner_key, "free"))
    share = own.weight / (sum(weights.values()) or own.weight)
    return estimate(
        ahead=ahead,
        slots=min(slots * share, own.cap),
        run_s=USUAL_RUN_S.get(job.kind, OTHER_RUN_S) if run_s is None else run_s,
    )


def estimate(*, ahead: int, slots: float, run_s: float) -> Estimate:
    """Estimate for a job with so many of its owner's before it, on his share of the slots. Pure.

    Those before it keep the slots busy for `run_s` each; it begins when one is free.
    """
    starts_in_s = max(0.0, (ahead + 1 - slots) / slots) * run_s if slots > 0 else 0.0
    return Estimate(starts_in_s=round(starts_in_s, 1), ends_in_s=round(starts_in_s + run_s, 1))
