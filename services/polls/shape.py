"""Polls and results as clients see them: over HTTP in snake_case, over Socket.IO in camelCase."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from db.polls import PollRow, PollStatus, PollType, Visibility
from services.polls import tally
from services.polls.tally import Counted

OptionId = Annotated[str, Meta(description='"1", "2", …; never reused.', examples=["1"])]
Version = Annotated[int, Meta(description="Results with a lower number are older.", examples=[7])]


class PollOption(Struct, frozen=True, kw_only=True):
    """An option; `upvotes` count only in open questions, and are 0 while results are hidden."""

    id: OptionId
    text: Annotated[str, Meta(examples=["Yes"])]
    upvotes: int = 0


class Results(Struct, frozen=True, kw_only=True):
    """The counts of a poll. While they are hidden, `options` is null and `winner_ids` empty."""

    poll_id: UUID
    version: Version
    status: PollStatus
    total_votes: int
    is_hidden: bool
    is_final: Annotated[bool, Meta(description="Whether the poll is over.")]
    options: list[Counted] | None
    winner_ids: list[str]


class Poll(Struct, frozen=True, kw_only=True):
    """A poll. `your_option_id` is null in events to the whole room."""

    id: UUID
    room_id: UUID
    created_by: UUID
    created_at: datetime
    poll_type: PollType
    question: Annotated[str, Meta(examples=["What shall we talk about?"])]
    status: PollStatus
    options: list[PollOption]
    duration_seconds: int
    ends_at: datetime
    server_now: Annotated[datetime, Meta(description="The server's clock, for the countdown.")]
    closed_at: datetime | None
    is_anonymous: bool
    results_visibility: Visibility
    your_option_id: str | None
    results: Results | None


def results_shape(poll: PollRow, votes: Mapping[str, int], *, is_visible: bool) -> Results:
    """Return the counts of a poll, or only the number of voters."""
    counted = tally.count([(option["id"], option["text"]) for option in poll.options], votes)
    return Results(
        poll_id=poll.id,
        version=poll.version,
        status=poll.status,
        total_votes=sum(option.votes for option in counted),
        is_hidden=not is_visible,
        is_final=poll.status != "active",
        options=counted if is_visible else None,
        winner_ids=tally.winners(counted) if is_visible else [],
    )


def poll_shape(
    poll: PollRow,
    *,
    upvotes: Mapping[str, int],
    results: Results | None,
    your_option_id: str | None,
) -> Poll:
    """Return a poll as one person sees it."""
    shows_upvotes = results is not None and not results.is_hidden
    return Poll(
        id=poll.id,
        room_id=poll.room_id,
        created_by=poll.created_by,
        created_at=poll.created_at,
        poll_type=poll.poll_type,
        question=poll.question,
        status=poll.status,
        options=[
            PollOption(
                id=option["id"],
                text=option["text"],
                upvotes=upvotes.get(option["id"], 0) if shows_upvotes else 0,
            )
            for option in poll.options
        ],
        duration_seconds=poll.duration_seconds,
        ends_at=poll.ends_at,
        server_now=poll.server_now,
        closed_at=poll.closed_at,
        is_anonymous=poll.is_anonymous,
        results_visibility=poll.results_visibility,
        your_option_id=your_option_id,
        results=results,
    )
