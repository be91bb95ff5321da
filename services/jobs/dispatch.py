"""Chooses the jobs to send next: enough to keep every slot busy, in an order that is fair to owners."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from uuid import UUID

from db import dispatch as rows
from db.connection import Transaction, allow_loss
from db.dispatch import Flight, Sent
from services.jobs.fairness import IDLE, SYSTEM, Fairness, Load, Share, share_of, share_of_limits
from services.jobs.reservation import IMPORT, Reservation
from services.jobs.service import QUEUES

DISPATCHER_LOCK = "big-snuggles/dispatcher"
"""The advisory lock of the active dispatcher."""
WORKER_SILENT_S = 20.0
"""Workers send a heartbeat every five seconds; after four missed ones, the slots no longer count."""
WORKER_DEAD_S = 120.0
"""After this its row is deleted; by then operators have seen that it is dead."""
WINDOW = 2
"""Jobs sent for each slot: one running and one fetched, so that a free slot does not wait for the dispatcher."""
FEW_OWNERS = 64
LOOK_S = 0.25
"""Age limit of the list of waiting owners if there are more than FEW_OWNERS: listing a thousand takes some ms."""
UNCLAIMED_S = 5.0
"""After this a sent job that no worker fetched, despite a free slot, may be lost: workers poll every 100 ms."""


class Dispatch:
    """Remembers how much each owner was served in each queue. A new dispatcher starts with all owners equal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues = {queue: _Line(queue, clock) for queue in QUEUES}

    def next_batch(self, tx: Transaction) -> list[Sent]:
        """Mark the jobs to send now, over all queues, and return them in sending order."""
        # If a crash rolls back the mark, the message is stale, or the job is sent twice and claimed once.
        allow_loss(tx)
        rows.keep_to_indexes(tx)
        queues = rows.list_queues(tx, QUEUES)
        slots = rows.count_slots(tx, silent_s=WORKER_SILENT_S) if queues else {}
        if not slots:
            return []
        flights = rows.list_flights(tx)
        reservation = Reservation(max(slots.values()), flights)
        batch = []
        for queue, line in self._queues.items():
            if queue in queues and queue in slots:
                batch += line.next_of(tx, _loads(flights, queue), WINDOW * slots[queue], reservation)
        return batch


class _Line:
    """The owners of one queue."""

    def __init__(self, queue: str, clock: Callable[[], float]) -> None:
        self._queue = queue
        self._clock = clock
        self._fairness = Fairness()
        self._waiting: dict[UUID, Share] = {}
        self._payers: set[UUID] = set()
        self._stale_s = 0.0

    def next_of(self, tx: Transaction, loads: dict[UUID, Load], window: int, reservation: Reservation) -> list[Sent]:
        self._look(tx, reservation)
        urgent = rows.list_urgent(tx, self._queue, limit=window)
        late = self._fairness.begin_round(self._waiting, loads)
        for owner in rows.recall(tx, self._queue, list(loads) if urgent else late) if urgent or late else ():
            self._fairness.give_back(owner)
            reservation.give_back(owner, is_free=self._is_free(owner))
            loads[owner] = Load(running=loads[owner].running, sent=loads[owner].sent - 1)
            self._waiting.setdefault(owner, self._fairness.share(owner))
        free = max(0, window - sum(load.total for load in loads.values()))
        chosen = urgent[:free]
        picked = self._fairness.choose(
            self._waiting,
            loads,
            free - len(chosen),
            take=lambda owner: reservation.take(owner, is_free=self._is_free(owner)),
        )
        chosen += self._jobs_of(tx, picked, reservation, skip=chosen)
        return rows.mark_sent(tx, chosen) if chosen else []

    def _is_free(self, owner: UUID) -> bool:
        return owner not in self._payers

    def _look(self, tx: Transaction, reservation: Reservation) -> None:
        """List the waiting owners; if there are many, from a cache of a moment ago."""
        now_s = self._clock()
        if len(self._waiting) <= FEW_OWNERS or now_s >= self._stale_s:
            found = rows.list_owners(tx, self._queue, held_kinds=_held_kinds(reservation))
            limits = rows.list_tier_limits(tx)
            shares = {tier: share_of_limits(tier, named) for tier, named in limits.items()}
            self._waiting = {row.owner_key: share_of(row.owner_key, row.tier, shares) for row in found}
            self._payers = {SYSTEM} | {row.owner_key for row in found if row.tier != "free"}
            self._stale_s = now_s + LOOK_S

    def _jobs_of(
        self, tx: Transaction, owners: list[UUID], reservation: Reservation, *, skip: list[UUID]
    ) -> list[UUID]:
        """Return the next job of each listed owner, in order. Owners with nothing waiting keep their turn."""
        if not owners:
            return []
        next_jobs = rows.list_next(tx, self._queue, Counter(owners), held_kinds=_held_kinds(reservation))
        chosen = []
        for owner in owners:
            job = next_jobs[owner].pop(0) if next_jobs[owner] else None
            if job is None or job.id in skip or (job.kind == IMPORT and not reservation.take_import()):
                self._fairness.give_back(owner)
                reservation.give_back(owner, is_free=self._is_free(owner))
            else:
                chosen.append(job.id)
            if job is None:
                self._waiting.pop(owner, None)
                self._stale_s = 0.0
        return chosen


def _held_kinds(reservation: Reservation) -> tuple[str, ...]:
    return () if reservation.takes_imports else (IMPORT,)


def _loads(flights: Iterable[Flight], queue: str) -> dict[UUID, Load]:
    loads: dict[UUID, Load] = {}
    for flight in flights:
        if flight.queue == queue:
            known = loads.get(flight.owner_key, IDLE)
            loads[flight.owner_key] = Load(running=known.running + flight.running, sent=known.sent + flight.sent)
    return loads
