"""Requests and answers about polls, beside the shapes in `services.polls.shape`."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from db.polls import PollType, Visibility
from services.polls.shape import OptionId, Poll, Version
from services.polls.view import PollView

Question = Annotated[str, Meta(min_length=1, max_length=500, examples=["What shall we talk about?"])]
OptionText = Annotated[str, Meta(min_length=1, max_length=200, examples=["Trains"])]
Options = Annotated[
    list[OptionText],
    Meta(
        max_length=6,
        description="2 to 6; an open question may begin without options and collect them.",
        examples=[["Yes"]],
    ),
]
Duration = Annotated[int, Meta(ge=30, le=1800, description="Seconds.", examples=[60])]
GivenOptionId = Annotated[str, Meta(min_length=1, max_length=64, examples=["1"])]


class CreatePollRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A question to a room."""

    poll_type: PollType
    question: Question
    options: Options = []
    duration_seconds: Duration
    is_anonymous: Annotated[bool, Meta(description="Cannot be changed later.")] = False
    results_visibility: Annotated[Visibility, Meta(description="When people see the results.")] = "live"
    highlight_ids: Annotated[
        list[UUID],
        Meta(
            max_length=6,
            description="Instead of options: highlights of the room's recording, whose scores votes raise.",
        ),
    ] = []
    makes_clips: Annotated[bool, Meta(description="Make a clip of the highlight that wins.")] = False


class VoteRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A ballot."""

    option_id: GivenOptionId


class OptionRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A suggestion."""

    text: OptionText


class BallotView(Poll, frozen=True, kw_only=True):
    """A poll after a vote."""

    poll_id: UUID
    option_id: OptionId
    version: Version


def ballot_view(view: PollView, *, option_id: str) -> BallotView:
    """Return the answer to a vote."""
    poll = view.poll
    fields = {name: getattr(poll, name) for name in poll.__struct_fields__}
    return BallotView(**fields, poll_id=poll.id, option_id=option_id, version=view.results.version)
