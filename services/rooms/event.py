"""What everybody in a room is told and must not miss: a row in the transaction in which it happened.

Number and row are written while the transaction holds the lock of the room's row, so the numbers of a room become
visible in their order, and a reader that has seen one has seen all before it.
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
    """An event that carries its room and its number."""

    event: ClassVar[str]
    room_id: UUID
    seq: Seq


class ParticipantJoined(RoomEvent, frozen=True, kw_only=True):
    """Somebody came in."""

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
    """Somebody wrote."""

    event: ClassVar[str] = "room:message-received"


class MessageUpdated(Message, frozen=True, kw_only=True):
    """A message was edited or deleted. `seq` is still the message's own; `event_seq` is that of the event."""

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
    """The room is over."""

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
    """A moment was heard while the recording runs; the final ones may differ."""

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
    """Write an event whose struct names it; `seq` where the payload's own `seq` is that of something else."""
    number = payload.seq if seq is None else seq
    return rows.insert_event(tx, room_id=payload.room_id, seq=number, type=payload.event, payload=wire.encode(payload))
