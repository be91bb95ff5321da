"""Rooms, participants and messages as clients see them: over HTTP in snake_case, over Socket.IO in camelCase."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from db.room_messages import MessageRow, MessageType
from db.room_participants import ParticipantRow, Role
from db.rooms import RoomRow

RoomCode = Annotated[str, Meta(description="What people type to join.", examples=["K7MZ4Q"])]
Seq = Annotated[int, Meta(description="Number of an event in its room: 1, 2, 3, …", examples=[42])]
Name = Annotated[str, Meta(examples=["Friday listening"])]


class RoomRecording(Struct, frozen=True, kw_only=True):
    """The recording that is running in a room."""

    recording_id: UUID
    started_at: datetime


class Room(Struct, frozen=True, kw_only=True):
    """A room."""

    id: UUID
    status: Literal["active", "ended"]
    created_at: datetime
    room_code: RoomCode
    name: Name
    host_user_id: UUID
    max_participants: int
    is_active: bool
    is_locked: bool
    is_private: bool
    allow_guests: bool
    mode: str
    participant_count: int
    your_role: Annotated[Role | None, Meta(description="Null in events to the whole room, and for people outside it.")]
    recording: RoomRecording | None
    last_seq: Seq
    ended_at: datetime | None


class Participant(Struct, frozen=True, kw_only=True):
    """A member of a room."""

    user_id: UUID
    display_name: Annotated[str, Meta(examples=["Ada"])]
    role: Role
    is_guest: bool
    is_online: Annotated[bool, Meta(description="Whether they are connected to the room now.")]
    is_muted: bool
    has_consented: Annotated[bool, Meta(description="To being recorded.")]
    joined_at: datetime


class Message(Struct, frozen=True, kw_only=True):
    """A message in a room. `content` is empty once it was deleted."""

    id: UUID
    seq: Seq
    room_id: UUID
    user_id: UUID
    display_name: Annotated[str, Meta(examples=["Ada"])]
    message_type: MessageType
    content: Annotated[
        str, Meta(description="Unchanged text of the author: show it as text, never as HTML.", examples=["Hello"])
    ]
    client_msg_id: str | None
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


def room_shape(row: RoomRow, *, your_role: Role | None = None) -> Room:
    """Return a room as clients see it."""
    recording = None
    if row.recording_id is not None and row.recording_started_at is not None:
        recording = RoomRecording(recording_id=row.recording_id, started_at=row.recording_started_at)
    return Room(
        id=row.id,
        status="active" if row.is_active else "ended",
        created_at=row.created_at,
        room_code=row.room_code,
        name=row.name,
        host_user_id=row.host_user_id,
        max_participants=row.max_participants,
        is_active=row.is_active,
        is_locked=row.is_locked,
        is_private=row.is_private,
        allow_guests=row.allow_guests,
        mode=row.mode,
        participant_count=row.participant_count,
        your_role=your_role,
        recording=recording,
        last_seq=row.last_seq,
        ended_at=row.ended_at,
    )


def participant_shape(row: ParticipantRow, *, online: Collection[UUID]) -> Participant:
    """Return a participant as clients see them; `online` holds the ids of those who are connected."""
    return Participant(
        user_id=row.user_id,
        display_name=row.display_name,
        role=row.role,
        is_guest=row.is_guest,
        is_online=row.user_id in online,
        is_muted=row.is_muted,
        has_consented=row.has_consented,
        joined_at=row.joined_at,
    )


def message_shape(row: MessageRow) -> Message:
    """Return a message as clients see it."""
    return Message(
        id=row.id,
        seq=row.seq,
        room_id=row.room_id,
        user_id=row.user_id,
        display_name=row.display_name,
        message_type=row.message_type,
        content=row.content,
        client_msg_id=row.client_msg_id,
        created_at=row.created_at,
        edited_at=row.edited_at,
        deleted_at=row.deleted_at,
    )
