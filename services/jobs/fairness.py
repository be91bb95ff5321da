"""Whose job is next: weighted turns between owners, and a cap on what one owner may have under way. Pure.

Stride scheduling (Waldspurger and Weihl, "Stride Scheduling", MIT 1995): each owner has a pass that grows by 1 / weight
with every job he is given, and the one with the smallest pass is next.
"""

import heapq
from collections.abc import Mapping
from uuid import UUID

from msgspec import Struct

SYSTEM = UUID(int=2**128 - 1)
"""The owner key of jobs that nobody asked for: maintenance takes its turn like an owner."""


class Share(Struct, frozen=True, kw_only=True):
    """What an owner gets: `weight` against that of others, at most `cap` jobs of one queue under way."""

    weight: int
    cap: int


SHARES: Mapping[str, Share] = {
    "free": Share(weight=1, cap=4),
    "premium": Share(weight=2, cap=8),
    "pro": Share(weight=4, cap=16),
}
SYSTEM_SHARE = Share(weight=2, cap=8)


class Load(Struct, frozen=True, kw_only=True):
    """What one owner has under way in a queue: running, and sent to the workers but not begun."""

    running: int = 0
    sent: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.running + self.sent


IDLE = Load()


def share_of(owner: UUID, tier: str) -> Share:
    """Return what the owner gets; an unknown tier is a free one."""
    return SYSTEM_SHARE if owner == SYSTEM else SHARES.get(tier, SHARES["free"])


class Fairness:
    """The passes of one queue's owners. Losing them, as a new dispatcher does, makes all equal once."""

    def __init__(self) -> None:
        self._passes: dict[UUID, float] = {}
        self._shares: dict[UUID, Share] = {}
        self._now = 0.0

    def begin_round(self, waiting: Mapping[UUID, Share], loads: Mapping[UUID, Load]) -> list[UUID]:
        """Take note of who waits and of what is under way; name the owners whose sent jobs are to be taken back.

        What was sent keeps its place whoever comes after, so somebody who has nothing under way would wait for it on
        top of what is running. It is taken back from owners who have a job running besides, and come after him.
        """
        self._admit(waiting, loads)
        newcomers = [self._passes[owner] for owner in waiting if owner not in loads]
        if not newcomers:
            return []
        first = min(newcomers)
        return [
            owner
            for owner, load in loads.items()
            if load.sent > 0 and load.running > 0 and first <= self._without(owner, load.sent)
        ]

    def give_back(self, owner: UUID, jobs: int = 1) -> None:
        """Uncount jobs that were taken back, or could not be sent."""
        self._passes[owner] -= jobs / self._shares[owner].weight

    def share(self, owner: UUID) -> Share:
        """Return the share of an owner who waits or has something under way."""
        return self._shares[owner]

    def choose(self, waiting: Mapping[UUID, Share], loads: Mapping[UUID, Load], free: int) -> list[UUID]:
        """Name the owners whose jobs are to be sent, one entry a job, in their order.

        As if each had enough of them: what an owner turns out not to have is given back.
        """
        line = [(self._passes[owner], loads.get(owner, IDLE).total, owner) for owner in waiting]
        heapq.heapify(line)
        chosen: list[UUID] = []
        while line and len(chosen) < free:
            standing, count, owner = heapq.heappop(line)
            share = waiting[owner]
            if count >= share.cap:
                continue
            self._now = max(self._now, standing)
            self._passes[owner] = standing + 1 / share.weight
            chosen.append(owner)
            heapq.heappush(line, (self._passes[owner], count + 1, owner))
        return chosen

    def _admit(self, waiting: Mapping[UUID, Share], loads: Mapping[UUID, Load]) -> None:
        """Forget who has gone; who is new begins where the last one stood before what he has under way."""
        active = {*waiting, *loads}
        self._shares = {owner: waiting.get(owner) or self._shares.get(owner, SHARES["free"]) for owner in active}
        known = {owner: self._passes[owner] for owner in active if owner in self._passes}
        begin = min((self._without(owner, loads.get(owner, IDLE).total) for owner in known), default=self._now)
        self._passes = {owner: known.get(owner, begin) for owner in active}

    def _without(self, owner: UUID, jobs: int) -> float:
        """Where an owner would stand without so many of the jobs he was given."""
        return self._passes[owner] - jobs / self._shares[owner].weight
