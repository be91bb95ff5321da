"""Rooms of all hosts, as operators see them."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from api.schemas.fields import Id, Time
from db.room_participants import LeftReason, Role
from services.operations.rooms import RoomPerson, RoomSummary
from services.rooms.shape import Name, RoomCode, RoomRecording, room_shape


class OperatorRoomView(Struct, kw_only=True):
    """A room of any host."""

    id: Id
    status: Literal["active", "ended"]
    created_at: Time
    room_code: RoomCode
    name: Name
    host_user_id: UUID
    email: Annotated[str | None, Meta(description="The host's.", examples=["ada@example.com"])]
    participant_count: int
    max_participants: int
    is_locked: bool
    is_private: bool
    allow_guests: bool
    mode: str
    messages: int
    polls: int
    recordings: Annotated[int, Meta(description="Recordings made in it, the running one too.")]
    recording: RoomRecording | None
    last_activity_at: Time
    ended_at: datetime | None


class OperatorParticipantView(Struct, kw_only=True):
    """A present or former member of a room."""

    user_id: UUID
    display_name: Annotated[str, Meta(examples=["Ada"])]
    email: Annotated[str | None, Meta(description="Null for guests.", examples=["ada@example.com"])]
    role: Role
    is_guest: bool
    is_online: Annotated[bool, Meta(description="Whether they are connected to the room now.")]
    is_muted: bool
    is_banned: bool
    has_consented: Annotated[bool, Meta(description="To being recorded.")]
    joined_at: Time
    left_at: datetime | None
    left_reason: LeftReason | None


class OperatorRoomDetailView(OperatorRoomView, kw_only=True):
    """A room of any host with its people, those present first."""

    participants: list[OperatorParticipantView]


def operator_room_view(row: RoomSummary) -> OperatorRoomView:
    """Show a room to an operator."""
    return OperatorRoomView(**_fields(row))


def operator_room_detail_view(
    row: RoomSummary, people: list[RoomPerson], *, online: Collection[UUID]
) -> OperatorRoomDetailView:
    """Show a room with its people; `online` holds the ids of those who are connected."""
    participants = [
        OperatorParticipantView(
            is_online=person.user_id in online,
            **{name: getattr(person, name) for name in RoomPerson.__struct_fields__},
        )
        for person in people
    ]
    return OperatorRoomDetailView(**_fields(row), participants=participants)


def _fields(row: RoomSummary) -> dict[str, Any]:
    shape = room_shape(row)
    own = ("email", "messages", "polls", "recordings", "last_activity_at")
    shared = [name for name in OperatorRoomView.__struct_fields__ if name not in own]
    return {name: getattr(shape, name) for name in shared} | {name: getattr(row, name) for name in own}
