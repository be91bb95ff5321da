"""Every event by name, with the shape of its data. The web app's types are generated from this."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from services.polls import event as poll_events
from services.polls.event import POLL_EVENTS
from services.polls.shape import Poll, Results, Version
from services.rooms.event import ROOM_EVENTS
from services.rooms.shape import Message, Participant, Room


class Authenticated(Struct, frozen=True, kw_only=True):
    """The client's own identity: after connecting, and with the room after each join."""

    user_id: UUID
    room_id: UUID | None = None
    participants: list[Participant] | None = None


class RoomJoined(Struct, frozen=True, kw_only=True):
    """The room that the client has joined."""

    room: Room
    you: Participant
    last_seq: int


class MessagesHistory(Struct, frozen=True, kw_only=True):
    """The last messages, or all changes after `lastSeq`; oldest first."""

    room_id: UUID
    messages: list[Message]
    has_more: bool


class Kicked(Struct, frozen=True, kw_only=True):
    """The client was removed from the room."""

    room_id: UUID
    reason: str


class Signal(Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """WebRTC signalling of another member; either `description` or `candidate`."""

    room_id: UUID
    sender: UUID
    description: Any = None
    candidate: Any = None


class CommandError(Struct, frozen=True, kw_only=True):
    """A command that asked for no acknowledgement failed."""

    event: str
    code: str
    message: str
    retryable: bool
    details: dict[str, Any]


class PresenceUpdated(Struct, frozen=True, kw_only=True):
    """Somebody came back or is away."""

    room_id: UUID
    user_id: UUID
    is_online: bool


class Typing(Struct, frozen=True, kw_only=True):
    """Somebody writes, or stopped."""

    room_id: UUID
    user_id: UUID
    is_typing: bool


class Reaction(Struct, frozen=True, kw_only=True):
    """Somebody reacted."""

    room_id: UUID
    user_id: UUID
    emoji: str
    at: datetime


class Voice(Struct, frozen=True, kw_only=True):
    """Somebody's microphone went on or off."""

    room_id: UUID
    user_id: UUID


class JoinAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a join."""

    room: Room
    you: Participant
    participants: list[Participant]
    last_seq: int


class MessageAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a message."""

    message: Message


class StateAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a change of the room."""

    room: Room


class PollAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a new poll."""

    poll: Poll


class VoteAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a ballot."""

    poll_id: UUID
    option_id: str
    version: Version
    results: Results


class CloseAnswer(Struct, frozen=True, kw_only=True):
    """The acknowledgement of the end of a poll."""

    poll: Poll
    results: Results


class Empty(Struct, frozen=True, kw_only=True):
    """An event without data."""


SERVER_EVENTS: Mapping[str, type[Any]] = {
    "room:authenticated": Authenticated,
    "room:joined": RoomJoined,
    "room:messages-history": MessagesHistory,
    "room:kicked": Kicked,
    "room:signal": Signal,
    "room:error": CommandError,
    "poll:error": CommandError,
    "room:presence-updated": PresenceUpdated,
    "room:typing": Typing,
    "room:reaction": Reaction,
    "room:voice-started": Voice,
    "room:voice-stopped": Voice,
    "poll:vote-received": poll_events.VoteReceived,
    "poll:results-update": poll_events.ResultsUpdate,
    **{kind.event: kind for kind in (*ROOM_EVENTS, *POLL_EVENTS)},
}
ANSWERS: Mapping[str, type[Any]] = {
    "room:join": JoinAnswer,
    "room:message": MessageAnswer,
    "room:message-edit": MessageAnswer,
    "room:message-delete": MessageAnswer,
    "room:state-update": StateAnswer,
    "poll:create": PollAnswer,
    "poll:vote": VoteAnswer,
    "poll:close": CloseAnswer,
}
"""`data` of the acknowledgements that are not empty."""
