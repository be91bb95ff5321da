"""Counting ballots: pure functions on numbers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

Visibility = Literal["live", "after_vote", "after_close", "on_reveal"]
SHARE_DIGITS = 4


class Counted(Struct, frozen=True, kw_only=True):
    """An option with its votes; `share` is of all votes, 0 to 1."""

    id: str
    text: str
    votes: int
    share: float


def count(options: Sequence[tuple[str, str]], votes: Mapping[str, int]) -> list[Counted]:
    """Return every option, `(id, text)`, with its votes, in the order of the poll."""
    total = sum(votes.get(option_id, 0) for option_id, _ in options)
    return [
        Counted(
            id=option_id,
            text=text,
            votes=votes.get(option_id, 0),
            share=round(votes.get(option_id, 0) / total, SHARE_DIGITS) if total else 0.0,
        )
        for option_id, text in options
    ]


def winners(counted: Sequence[Counted]) -> list[str]:
    """Return the ids of the options with the most votes; several when they tie, none when nobody voted."""
    most = max((option.votes for option in counted), default=0)
    return [option.id for option in counted if option.votes == most] if most else []


def is_visible(visibility: Visibility, *, is_over: bool, has_voted: bool, revealed_at: datetime | None) -> bool:
    """Return whether a person may see the results of a poll, by its setting."""
    match visibility:
        case "live":
            return True
        case "after_vote":
            return has_voted or is_over
        case "after_close":
            return is_over
        case "on_reveal":
            return revealed_at is not None
