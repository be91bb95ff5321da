"""Events of a room that nobody may miss: each is a row, written in the transaction of its cause.

Events are numbered while the transaction holds the lock of the room's row. So they become visible in order, and a
reader that has seen one has seen all before it.
"""

from typing import Any, ClassVar, Literal
from uuid import UUID

from msgspec import Struct

from db import room_events as rows
from db.connection import Transaction
from db.room_events import RoomEventRow
from db.room_participants import LeftReason
from pipeline.types import Highlight
from services.rooms import wire
from services.rooms.shape import Message, Participant, Room, Seq


class RoomEvent(Struct, frozen=True, kw_only=True):
    """An event with its room and number."""

    event: ClassVar[str]
    room_id: UUID
    seq: Seq


class ParticipantJoined(RoomEvent, frozen=True, kw_only=True):
    """Somebody joined."""

    event = "room:participant-joined"
    participant: Participant


class ParticipantLeft(RoomEvent, frozen=True, kw_only=True):
    """Somebody is no longer in the room."""

    event = "room:participant-left"
    user_id: UUID
    reason: LeftReason


class ParticipantUpdated(RoomEvent, frozen=True, kw_only=True):
    """Somebody's name, role, mute or consent changed."""

    event = "room:participant-updated"
    participant: Participant


class MessageReceived(Message, frozen=True, kw_only=True):
    """Somebody posted a message."""

    event: ClassVar[str] = "room:message-received"


class MessageUpdated(Message, frozen=True, kw_only=True):
    """A message was edited or deleted. `seq` is the message's number; `event_seq` is that of the event."""

    event: ClassVar[str] = "room:message-updated"
    event_seq: Seq


class StateUpdated(RoomEvent, frozen=True, kw_only=True):
    """The room itself changed; `changed` names the fields."""

    event = "room:state-updated"
    room: Room
    changed: list[str]


class PersonalityChanged(RoomEvent, frozen=True, kw_only=True):
    """A personality poll chose the room's mode."""

    event = "room:personality-changed"
    mode: str
    poll_id: UUID


class RoomEnded(RoomEvent, frozen=True, kw_only=True):
    """The room has ended."""

    event = "room:ended"
    reason: Literal["ended_by_host", "inactive"]
    recording_id: UUID | None


class RecordingStarted(RoomEvent, frozen=True, kw_only=True):
    """The room is being recorded from now on."""

    event = "room:recording-started"
    recording_id: UUID


class RecordingStopped(RoomEvent, frozen=True, kw_only=True):
    """The recording has ended."""

    event = "room:recording-stopped"
    recording_id: UUID


class HighlightDetected(RoomEvent, frozen=True, kw_only=True):
    """A highlight was found during the recording; the final ones may differ."""

    event = "highlight:detected"
    recording_id: UUID
    highlight: Highlight
    provisional: Literal[True] = True


ROOM_EVENTS: tuple[type[Any], ...] = (
    ParticipantJoined,
    ParticipantLeft,
    ParticipantUpdated,
    MessageReceived,
    MessageUpdated,
    StateUpdated,
    PersonalityChanged,
    RoomEnded,
    RecordingStarted,
    RecordingStopped,
    HighlightDetected,
)


def next_seq(tx: Transaction, room_id: UUID) -> int:
    """Take the number of the next event; the caller has locked the room's row."""
    return rows.next_seq(tx, room_id)


def append(tx: Transaction, payload: Any, *, seq: int | None = None) -> RoomEventRow:
    """Write an event, named by its struct; pass `seq` if the payload's own `seq` has another meaning."""
    number = payload.seq if seq is None else seq
    return rows.insert_event(tx, room_id=payload.room_id, seq=number, type=payload.event, payload=wire.encode(payload))
