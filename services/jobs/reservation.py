"""Reserves slots: limits how many an owner, the free tier or imports may use, over all queues together. Pure.

Fair turns decide who is next, but a running job keeps its slot for minutes, so one slot is reserved for other owners.
A single slot cannot be reserved: there an owner waits for the job of another.
"""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from db.dispatch import Flight

IMPORT = "import"
IMPORT_DIVISOR = 4
"""Imports wait for foreign servers, so they get a quarter of the slots."""
LEAST_SLOTS = 2
"""With at least this many slots, one is reserved. Of two, a single owner gets one, but its job gets all cores."""


class Reservation:
    """The jobs that may still be sent in this round; every chosen job takes from it."""

    def __init__(self, slots: int, flights: Sequence[Flight]) -> None:
        self._of_owner = Counter[UUID]()
        for flight in flights:
            self._of_owner[flight.owner_key] += flight.running + flight.sent
        self._free = sum(flight.running + flight.sent for flight in flights if flight.is_free)
        self._imports = sum(flight.running + flight.sent for flight in flights if flight.kind == IMPORT)
        self._most = slots - 1 if slots >= LEAST_SLOTS else None
        """The limits of one owner and of the whole free tier; None means no limit."""
        self._most_imports = max(1, slots // IMPORT_DIVISOR)

    @property
    def takes_imports(self) -> bool:
        """Whether another import may be sent."""
        return self._imports < self._most_imports

    def take(self, owner: UUID, *, is_free: bool) -> bool:
        """Take a slot for a job of this owner; False when the limit is reached."""
        if self._most is not None and (self._of_owner[owner] >= self._most or (is_free and self._free >= self._most)):
            return False
        self._of_owner[owner] += 1
        self._free += is_free
        return True

    def take_import(self) -> bool:
        """Count a job that has its slot as an import; False when the limit is reached."""
        if not self.takes_imports:
            return False
        self._imports += 1
        return True

    def give_back(self, owner: UUID, *, is_free: bool) -> None:
        """Return the slot of a job that is not sent."""
        self._of_owner[owner] -= 1
        self._free -= is_free
