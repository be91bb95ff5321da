"""The leaderboard of a room."""

from uuid import UUID

from msgspec import Struct

from db import room_participants as rows
from db.connection import Transaction
from db.room_participants import EngagementRow

MESSAGE_POINTS = 2.0
VOTE_POINTS = 3.0
REACTION_POINTS = 0.5
VOICE_POINTS_PER_S = 0.05
"""A minute of talk counts as much as a vote; rarer activities count more."""


class Standing(Struct, frozen=True, kw_only=True):
    """A person's place in the leaderboard."""

    rank: int
    user_id: UUID
    display_name: str
    is_guest: bool
    score: float
    messages: int
    votes: int
    reactions: int
    voice_s: float


def leaderboard(tx: Transaction, room_id: UUID) -> list[Standing]:
    """List the people of a room by score, highest first; equal scores share a rank."""
    found = sorted(rows.list_engagement(tx, room_id), key=lambda row: (-score(row), row.display_name, row.user_id))
    standings: list[Standing] = []
    for place, row in enumerate(found, 1):
        points = score(row)
        is_tied = bool(standings) and standings[-1].score == points
        standings.append(
            Standing(
                rank=standings[-1].rank if is_tied else place,
                user_id=row.user_id,
                display_name=row.display_name,
                is_guest=row.is_guest,
                score=points,
                messages=row.messages,
                votes=row.votes,
                reactions=row.reactions,
                voice_s=round(row.voice_s, 1),
            )
        )
    return standings


def score(row: EngagementRow) -> float:
    """Return the score of a person's activities."""
    points = (
        MESSAGE_POINTS * row.messages
        + VOTE_POINTS * row.votes
        + REACTION_POINTS * row.reactions
        + VOICE_POINTS_PER_S * row.voice_s
    )
    return round(points, 2)
