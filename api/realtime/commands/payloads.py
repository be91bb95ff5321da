"""The payloads of commands about rooms."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from api.schemas.rooms import DisplayName, Mode, Places, RoomName
from services.rooms.text import MAX_CONTENT


class JoinCommand(Struct, frozen=True, rename="camel"):
    """A room to join, by its code or its id."""

    room_code: Annotated[str, Meta(max_length=20)] | None = None
    room_id: UUID | None = None
    display_name: DisplayName | None = None
    last_seq: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class Nothing(Struct, frozen=True):
    """A command that needs no data."""


class MessageCommand(Struct, frozen=True, rename="camel"):
    """A message to the room."""

    content: Annotated[str, Meta(max_length=MAX_CONTENT)]
    message_type: Literal["text"] = "text"
    client_msg_id: str | None = None


class EditCommand(Struct, frozen=True):
    """New text for one's own message."""

    id: UUID
    content: Annotated[str, Meta(max_length=MAX_CONTENT)]


class DeleteCommand(Struct, frozen=True):
    """A message to delete."""

    id: UUID


class TypingCommand(Struct, frozen=True, rename="camel"):
    """The start or end of somebody's writing."""

    is_typing: bool = True


class ReactionCommand(Struct, frozen=True):
    """A reaction that everybody sees for a moment."""

    emoji: Annotated[str, Meta(min_length=1, max_length=32)]


class Changes(Struct, frozen=True, rename="camel"):
    """Changes to a room."""

    name: RoomName | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    max_participants: Places | UnsetType = UNSET
    is_locked: bool | UnsetType = UNSET
    is_private: bool | UnsetType = UNSET
    allow_guests: bool | UnsetType = UNSET


class StateCommand(Struct, frozen=True):
    """Changes of the room."""

    updates: Changes


class SignalCommand(Struct, frozen=True):
    """WebRTC signalling to one member."""

    to: UUID
    description: Any = None
    candidate: Any = None
