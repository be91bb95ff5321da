"""Which waiting jobs go to the workers next: enough to keep every slot busy, in an order that is fair to owners."""

from collections.abc import Mapping
from uuid import UUID

from db import dispatch as rows
from db.connection import Transaction
from db.dispatch import Sent, Waiting
from services.fairness import Round, Turn, choose, share_of
from services.jobs import QUEUES

DISPATCHER_LOCK = "big-snuggles/dispatcher"
"""The advisory lock of the one dispatcher that is active."""
WORKER_SILENT_S = 20.0
"""A worker writes every five seconds; one that has missed four is not counted on."""
WORKER_DEAD_S = 120.0
"""After this its row goes: operators have seen by then that it fell silent."""
WINDOW = 2
"""Jobs sent for each slot: one under way and one at hand, so that a slot that becomes free does not wait for us. More
would be decided too early: what is sent keeps its place whoever comes after."""
OWNERS_A_LOOK = 64
UNCLAIMED_S = 5.0
"""A message that a worker with a free slot has not taken for so long is lost: it polls fifty times a second."""


class Dispatch:
    """Remembers whose turn it is in each queue. Losing that memory makes one round begin somewhere else, no more."""

    def __init__(self) -> None:
        self._rounds: dict[str, Round] = dict.fromkeys(QUEUES, Round())

    def next_batch(self, tx: Transaction) -> list[Sent]:
        """Mark the jobs to be sent now, over all queues, and return them in the order in which to send them."""
        slots = rows.count_slots(tx, silent_s=WORKER_SILENT_S)
        if not slots:
            return []
        flights = rows.list_flights(tx)
        batch = []
        for queue, count in slots.items():
            under_way = {flight.owner_key: flight.running + flight.sent for flight in flights if flight.queue == queue}
            free = WINDOW * count - sum(under_way.values())
            if queue in self._rounds and free > 0:
                batch += self._next_of(tx, queue, under_way, free)
        return batch

    def _next_of(self, tx: Transaction, queue: str, under_way: Mapping[UUID, int], free: int) -> list[Sent]:
        chosen = rows.list_urgent(tx, queue, limit=free)
        if len(chosen) < free:
            turns = self._turns(tx, queue, free)
            taken, self._rounds[queue] = choose(
                turns, standing=self._rounds[queue], under_way=under_way, free=free - len(chosen)
            )
            chosen += [job_id for job_id in taken if job_id not in chosen]
        return rows.mark_sent(tx, chosen) if chosen else []

    def _turns(self, tx: Transaction, queue: str, free: int) -> list[Turn]:
        """Return the next owners with jobs that are due, once around, until there are enough jobs to choose from."""
        begin = after = self._rounds[queue].after
        turns: list[Turn] = []
        has_wrapped = False
        while True:
            waiting, last = rows.list_waiting(tx, queue, after=after, owners=OWNERS_A_LOOK, per_owner=free)
            turns += _turns_of(waiting, until=begin if has_wrapped else None)
            if len(turns) >= free or (has_wrapped and (last is None or last > begin)):
                return turns
            if last is None:
                has_wrapped, last = True, UUID(int=0)
            after = last


def _turns_of(waiting: list[Waiting], *, until: UUID | None) -> list[Turn]:
    jobs: dict[tuple[UUID, str], list[UUID]] = {}
    for job in waiting:
        if until is None or job.owner_key <= until:
            jobs.setdefault((job.owner_key, job.tier), []).append(job.job_id)
    return [Turn(owner=owner, share=share_of(owner, tier), jobs=ids) for (owner, tier), ids in jobs.items()]
