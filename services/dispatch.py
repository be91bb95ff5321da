"""Which waiting jobs go to the workers next: enough to keep every slot busy, in an order that is fair to owners."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from db import dispatch as rows
from db.connection import Transaction
from db.dispatch import Flight, Sent
from services.fairness import Fairness, Load, share_of
from services.jobs import QUEUES

DISPATCHER_LOCK = "big-snuggles/dispatcher"
"""The advisory lock of the one dispatcher that is active."""
WORKER_SILENT_S = 20.0
"""A worker writes every five seconds; one that has missed four is not counted on."""
WORKER_DEAD_S = 120.0
"""After this its row goes: operators have seen by then that it fell silent."""
WINDOW = 2
"""Jobs sent for each slot: one under way and one at hand, so that a slot that becomes free does not wait for us."""
UNCLAIMED_S = 5.0
"""A message that a worker with a free slot has not taken for so long is lost: it polls fifty times a second."""


class Dispatch:
    """Remembers who was served how much in each queue. Losing that memory makes all owners equal once, no more."""

    def __init__(self) -> None:
        self._queues: dict[str, Fairness] = {queue: Fairness() for queue in QUEUES}

    def next_batch(self, tx: Transaction) -> list[Sent]:
        """Mark the jobs to be sent now, over all queues, and return them in the order in which to send them."""
        queues = rows.list_queues(tx, QUEUES)
        slots = rows.count_slots(tx, silent_s=WORKER_SILENT_S) if queues else {}
        if not slots:
            return []
        flights = rows.list_flights(tx)
        batch = []
        for queue in queues:
            if queue in slots:
                batch += _next_of(tx, queue, self._queues[queue], _loads(flights, queue), WINDOW * slots[queue])
        return batch


def _next_of(tx: Transaction, queue: str, fairness: Fairness, loads: dict[UUID, Load], window: int) -> list[Sent]:
    waiting = {row.owner_key: share_of(row.owner_key, row.tier) for row in rows.list_owners(tx, queue)}
    urgent = rows.list_urgent(tx, queue, limit=window)
    late = fairness.begin_round(waiting, loads)
    for owner in rows.recall(tx, queue, list(loads) if urgent else late) if urgent or late else ():
        fairness.give_back(owner)
        loads[owner] = Load(running=loads[owner].running, sent=loads[owner].sent - 1)
        waiting.setdefault(owner, fairness.share(owner))
    free = max(0, window - sum(load.total for load in loads.values()))
    chosen = urgent[:free]
    picked = fairness.choose(waiting, loads, free - len(chosen))
    chosen += _jobs_of(tx, queue, fairness, picked, skip=chosen)
    return rows.mark_sent(tx, chosen) if chosen else []


def _jobs_of(tx: Transaction, queue: str, fairness: Fairness, owners: list[UUID], *, skip: list[UUID]) -> list[UUID]:
    """Return the next job of each owner in the list, in its order; who has none any more gets his turn back."""
    if not owners:
        return []
    next_jobs = rows.list_next(tx, queue, Counter(owners))
    chosen = []
    for owner in owners:
        job_id = next_jobs[owner].pop(0) if next_jobs[owner] else None
        if job_id is None or job_id in skip:
            fairness.give_back(owner)
        else:
            chosen.append(job_id)
    return chosen


def _loads(flights: Iterable[Flight], queue: str) -> dict[UUID, Load]:
    return {
        flight.owner_key: Load(running=flight.running, sent=flight.sent) for flight in flights if flight.queue == queue
    }
