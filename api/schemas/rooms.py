"""Requests and answers about rooms, beside the shapes in `services.rooms.shape`."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Id, Time
from services.process.settings import IceServer
from services.rooms.shape import Message, Participant, Room

RoomName = Annotated[str, Meta(min_length=1, max_length=100, examples=["Friday listening"])]
DisplayName = Annotated[str, Meta(min_length=1, max_length=100, examples=["Ada"])]
Places = Annotated[int, Meta(ge=1, le=50, description="The host takes one.", examples=[10])]
Mode = Annotated[str, Meta(min_length=1, max_length=200, examples=["relaxed"])]
Code = Annotated[str, Meta(min_length=1, max_length=20, examples=["K7MZ4Q"])]


class CreateRoomRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A room to open."""

    name: RoomName
    max_participants: Places = 10
    is_private: Annotated[bool, Meta(description="Joining needs the code, not only the id.")] = False
    allow_guests: Annotated[bool, Meta(description="Whether people without an account may come in.")] = False


class StateRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes to a room."""

    name: RoomName | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    max_participants: Places | UnsetType = UNSET
    is_locked: Annotated[bool, Meta(description="A locked room admits nobody new.")] | UnsetType = UNSET
    is_private: bool | UnsetType = UNSET
    allow_guests: bool | UnsetType = UNSET

    def changes(self) -> dict[str, object]:
        """Return the fields that were given."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class JoinRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The name to join under, and the code of a private room."""

    display_name: DisplayName | None = None
    room_code: Code | None = None


class GuestRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The name of a guest."""

    display_name: DisplayName


class JoinedView(Struct, kw_only=True):
    """A room that the asking person is in."""

    id: Id
    status: Literal["active", "ended"]
    created_at: Time
    room: Room
    you: Participant
    participants: list[Participant]
    last_seq: int


class GuestView(Struct, kw_only=True):
    """A guest's token, and their place in the room."""

    token: Annotated[
        str, CREDENTIAL, Meta(description="Valid for this room only, for 24 hours.", examples=["eyJhbGciOi…"])
    ]
    participant: Participant
    room: Room


class LeftView(Struct, kw_only=True):
    """A room that the asking person is no longer in."""

    id: Id
    status: Literal["left"] = "left"
    created_at: Time


class MessagesView(Struct, kw_only=True):
    """A page of messages, oldest first."""

    items: list[Message]
    has_more: Annotated[bool, Meta(description="Whether there are more beyond this page.")]
    next_cursor: Annotated[
        str | None, Meta(description="`seq` to give as `before` (or `after`) for the next page; null on the last one.")
    ]


class StandingView(Struct, kw_only=True):
    """Somebody's place in a leaderboard."""

    rank: Annotated[int, Meta(examples=[1])]
    user_id: UUID
    display_name: str
    is_guest: bool
    score: float
    messages: int
    votes: Annotated[int, Meta(description="In anonymous polls nobody's votes are counted.")]
    reactions: int
    voice_s: float


class VoiceView(Struct, kw_only=True):
    """Servers and limits for voice in a room."""

    ice_servers: Annotated[list[IceServer], Meta(description="For `new RTCPeerConnection({iceServers})`.")]
    max_speakers: Annotated[int, Meta(examples=[6])]


def joined_view(room: Room, you: Participant, participants: list[Participant]) -> JoinedView:
    """Return a member's view of a room."""
    return JoinedView(
        id=room.id,
        status=room.status,
        created_at=room.created_at,
        room=room,
        you=you,
        participants=participants,
        last_seq=room.last_seq,
    )


def left_view(room_id: UUID, created_at: datetime) -> LeftView:
    """Return the answer to a leave."""
    return LeftView(id=room_id, created_at=created_at)
