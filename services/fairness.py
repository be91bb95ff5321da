"""Whose job is next: weighted turns between owners, and a cap on what one owner may have under way. Pure."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

BEGIN = UUID(int=0)
"""Before every owner."""
SYSTEM = UUID(int=2**128 - 1)
"""The owner key of jobs that nobody asked for: maintenance takes its turn like an owner."""


class Share(Struct, frozen=True, kw_only=True):
    """What an owner gets: `weight` jobs a turn, at most `cap` jobs of one queue under way."""

    weight: int
    cap: int


SHARES: Mapping[str, Share] = {
    "free": Share(weight=1, cap=4),
    "premium": Share(weight=2, cap=8),
    "pro": Share(weight=4, cap=16),
}
SYSTEM_SHARE = Share(weight=2, cap=8)


class Round(Struct, frozen=True, kw_only=True):
    """Where the round stands: the owner who was served last, and how many jobs of his turn are left."""

    owner: UUID = BEGIN
    left: int = 0

    @property
    def after(self) -> UUID:
        """The key behind which the next owner is to be looked for: an unfinished turn goes on."""
        return UUID(int=self.owner.int - 1) if self.left > 0 and self.owner.int > 0 else self.owner


class Turn(Struct, frozen=True, kw_only=True):
    """An owner whose turn has come, with the jobs he has waiting, in his order."""

    owner: UUID
    share: Share
    jobs: Sequence[UUID]


def share_of(owner: UUID, tier: str) -> Share:
    """Return what the owner gets; an unknown tier is a free one."""
    return SYSTEM_SHARE if owner == SYSTEM else SHARES.get(tier, SHARES["free"])


def choose(
    turns: Sequence[Turn], *, standing: Round, under_way: Mapping[UUID, int], free: int
) -> tuple[list[UUID], Round]:
    """Pick up to `free` jobs in the order in which they are to be sent, and say where the round stands then.

    `turns` begins with the owner behind `standing.after`. Owners take turns until nothing is left to take: an owner
    alone gets all, up to his cap.
    """
    counts = dict(under_way)
    position = dict.fromkeys((turn.owner for turn in turns), 0)
    chosen: list[UUID] = []
    while len(chosen) < free:
        before = len(chosen)
        for turn in turns:
            if len(chosen) == free:
                break
            allowance = standing.left if turn.owner == standing.owner and standing.left > 0 else turn.share.weight
            begin = position[turn.owner]
            room = max(0, turn.share.cap - counts.get(turn.owner, 0))
            taken = turn.jobs[begin : begin + min(allowance, room, free - len(chosen))]
            chosen.extend(taken)
            position[turn.owner] = begin + len(taken)
            counts[turn.owner] = counts.get(turn.owner, 0) + len(taken)
            standing = Round(owner=turn.owner, left=allowance - len(taken) if taken else 0)
        if len(chosen) == before:
            break
    return chosen, standing
