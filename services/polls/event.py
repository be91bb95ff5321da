"""Events that tell a room about its polls, and that must not be lost."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from services.polls.shape import Poll, Results, Version
from services.rooms.event import RoomEvent


class PollCreated(RoomEvent, frozen=True, kw_only=True):
    """A poll began."""

    event = "poll:created"
    poll: Poll


class PollUpdated(RoomEvent, frozen=True, kw_only=True):
    """A poll was reopened, reset or revealed, or got a new option."""

    event = "poll:updated"
    poll: Poll
    results: Results


class PollClosed(RoomEvent, frozen=True, kw_only=True):
    """Somebody closed a poll."""

    event = "poll:closed"
    poll: Poll
    results: Results


class PollExpired(RoomEvent, frozen=True, kw_only=True):
    """The time of a poll is over."""

    event = "poll:expired"
    poll: Poll
    results: Results


class VoteReceived(Struct, frozen=True, kw_only=True):
    """Somebody voted, without who and for what."""

    room_id: UUID
    poll_id: UUID
    version: Version
    total_votes: int


class ResultsUpdate(Struct, frozen=True, kw_only=True):
    """The counts of a poll, for those who may see them."""

    room_id: UUID
    poll_id: UUID
    version: Version
    results: Results


POLL_EVENTS: tuple[type[Any], ...] = (PollCreated, PollUpdated, PollClosed, PollExpired)
