"""Slots that nobody can take alone: how many jobs an owner, the free tier or imports may have under way. Pure.

Fair turns decide who is next, but a job that has begun keeps its slot for minutes. So some slots are kept for others,
over all queues together. With one or two slots
only imports are held back: there is too little to keep.
"""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from db.dispatch import Flight

IMPORT = "import"
IMPORT_DIVISOR = 4
"""Imports wait for servers of strangers, so they get a quarter of the slots."""
FEW_SLOTS = 2
"""With so few, keeping one would halve what a single owner gets."""


class Reservation:
    """What may still be sent in this round; every job that is chosen takes from it."""

    def __init__(self, slots: int, flights: Sequence[Flight]) -> None:
        self._of_owner = Counter[UUID]()
        for flight in flights:
            self._of_owner[flight.owner_key] += flight.running + flight.sent
        self._free = sum(flight.running + flight.sent for flight in flights if flight.is_free)
        self._imports = sum(flight.running + flight.sent for flight in flights if flight.kind == IMPORT)
        self._most = slots - 1 if slots > FEW_SLOTS else None
        """Of one owner, and of the free tier together; None is no limit."""
        self._most_imports = max(1, slots // IMPORT_DIVISOR)

    @property
    def takes_imports(self) -> bool:
        """Whether another import may be sent."""
        return self._imports < self._most_imports

    def take(self, owner: UUID, *, is_free: bool) -> bool:
        """Take a place for a job of this owner; False when there is none."""
        if self._most is not None and (self._of_owner[owner] >= self._most or (is_free and self._free >= self._most)):
            return False
        self._of_owner[owner] += 1
        self._free += is_free
        return True

    def take_import(self) -> bool:
        """Let a job that has its place be an import; False when there are too many."""
        if not self.takes_imports:
            return False
        self._imports += 1
        return True

    def give_back(self, owner: UUID, *, is_free: bool) -> None:
        """Give back a place that was taken for a job which is not sent."""
        self._of_owner[owner] -= 1
        self._free -= is_free
