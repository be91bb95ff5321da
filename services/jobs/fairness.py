"""Fair order between owners: weighted turns, and a cap on the jobs of one owner in flight. Pure.

Stride scheduling (Waldspurger and Weihl, "Stride Scheduling", MIT 1995): each owner has a pass that grows by 1 / weight
with every job of theirs that is sent, and the owner with the smallest pass is next.
"""

import heapq
from collections.abc import Callable, Mapping
from typing import TypeGuard
from uuid import UUID

from msgspec import Struct

SYSTEM = UUID(int=2**128 - 1)
"""The owner key of the system's own jobs, which take turns like those of an owner."""


class Share(Struct, frozen=True, kw_only=True):
    """An owner's share: turns by `weight`, and at most `cap` jobs of one queue in flight."""

    weight: int
    cap: int


WEIGHT, CAP = "job_weight", "parallel_jobs"
"""The names of a share's fields among the limits of a tier."""
MAX_WEIGHT = 100
NO_CAP = 10_000
"""More slots than an installation has."""
DEFAULT_SHARES: Mapping[str, Share] = {
    "free": Share(weight=1, cap=4),
    "premium": Share(weight=2, cap=8),
    "pro": Share(weight=4, cap=16),
}
"""Defaults for tiers whose rows have no shares."""
SYSTEM_SHARE = Share(weight=2, cap=8)


class Load(Struct, frozen=True, kw_only=True):
    """An owner's jobs in flight in a queue: running, and sent but not begun."""

    running: int = 0
    sent: int = 0

    @property
    def total(self) -> int:
        """Running and sent jobs together."""
        return self.running + self.sent


IDLE = Load()


def default_share(tier: str) -> Share:
    """Return a tier's default share; unknown tiers count as free."""
    return DEFAULT_SHARES.get(tier, DEFAULT_SHARES["free"])


def share_of_limits(tier: str, limits: Mapping[str, object]) -> Share:
    """Return a tier's share from the limits of its row; invalid values count as missing."""
    default = default_share(tier)
    weight, cap = limits.get(WEIGHT), limits.get(CAP)
    return Share(
        weight=min(weight, MAX_WEIGHT) if _is_positive(weight) else default.weight,
        cap=NO_CAP if cap == -1 else cap if _is_positive(cap) else default.cap,
    )


def share_of(owner: UUID, tier: str, shares: Mapping[str, Share] = DEFAULT_SHARES) -> Share:
    """Return the owner's share, by the shares of the tiers."""
    return SYSTEM_SHARE if owner == SYSTEM else shares.get(tier) or default_share(tier)


def _is_positive(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


class Fairness:
    """The passes of the owners of one queue. A new dispatcher starts with all owners equal."""

    def __init__(self) -> None:
        self._passes: dict[UUID, float] = {}
        self._shares: dict[UUID, Share] = {}
        self._now = 0.0

    def begin_round(self, waiting: Mapping[UUID, Share], loads: Mapping[UUID, Load]) -> list[UUID]:
        """Store the waiting owners and the jobs in flight; return the owners whose sent jobs should be called back.

        Sent jobs keep their place, so an owner with nothing in flight would wait for them as well as for the running
        ones. They are called back from owners who also have a running job and are behind the new owner.
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
        """Return the turns of jobs that were called back or could not be sent."""
        self._passes[owner] -= jobs / self._shares[owner].weight

    def share(self, owner: UUID) -> Share:
        """Return the share of an owner who waits or has jobs in flight."""
        return self._shares[owner]

    def choose(
        self,
        waiting: Mapping[UUID, Share],
        loads: Mapping[UUID, Load],
        free: int,
        *,
        take: Callable[[UUID], bool] = lambda _owner: True,
    ) -> list[UUID]:
        """Return the owners whose jobs to send next, one entry for each job, in order.

        It assumes that each has enough jobs waiting; the caller returns unused turns. `take` reserves a place for one
        more job of an owner, and returns whether there was one.
        """
        line = [(self._passes[owner], loads.get(owner, IDLE).total, owner) for owner in waiting]
        heapq.heapify(line)
        chosen: list[UUID] = []
        while line and len(chosen) < free:
            standing, count, owner = heapq.heappop(line)
            share = waiting[owner]
            if count >= share.cap or not take(owner):
                continue
            self._now = max(self._now, standing)
            self._passes[owner] = standing + 1 / share.weight
            chosen.append(owner)
            heapq.heappush(line, (self._passes[owner], count + 1, owner))
        return chosen

    def _admit(self, waiting: Mapping[UUID, Share], loads: Mapping[UUID, Load]) -> None:
        """Drop owners who are gone; a new owner starts at the lowest pass of the others without jobs in flight."""
        active = {*waiting, *loads}
        self._shares = {
            owner: waiting.get(owner) or self._shares.get(owner, DEFAULT_SHARES["free"]) for owner in active
        }
        known = {owner: self._passes[owner] for owner in active if owner in self._passes}
        begin = min((self._without(owner, loads.get(owner, IDLE).total) for owner in known), default=self._now)
        self._passes = {owner: known.get(owner, begin) for owner in active}

    def _without(self, owner: UUID, jobs: int) -> float:
        """Return the pass that an owner would have with that many jobs fewer."""
        return self._passes[owner] - jobs / self._shares[owner].weight
