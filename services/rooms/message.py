"""Messages: sending each once, editing, deleting, and reading them page by page."""

from typing import Any
from uuid import UUID

from msgspec import Struct

from db import live_recordings as live_rows
from db import room_messages as rows
from db.connection import Transaction
from db.room_events import RoomEventRow
from db.room_messages import MessageRow
from services.errors import ForbiddenError, InvalidFieldError, NotFoundError
from services.rooms import event as events
from services.rooms import service as rooms
from services.rooms.errors import MutedError
from services.rooms.person import Person
from services.rooms.service import Membership
from services.rooms.shape import message_shape
from services.rooms.text import clean_content

HISTORY = 50
"""Messages shown to a person who joins for the first time."""
MAX_REPLAY = 1000
"""Most messages on resumption; more are read page by page over HTTP."""
MAX_CLIENT_ID = 100


class Sent(Struct, frozen=True, kw_only=True):
    """A message, and its event for the room; None if it was sent before."""

    message: MessageRow
    event: RoomEventRow | None


class History(Struct, frozen=True, kw_only=True):
    """Some messages, oldest first, and whether there are more beyond them."""

    messages: list[MessageRow]
    has_more: bool


def send(tx: Transaction, person: Person, *, room_id: UUID, content: str, client_msg_id: str | None = None) -> Sent:
    """Post a message and tell the room; a repeat with the same `client_msg_id` returns the first one.

    NotFoundError, RoomEndedError, MutedError, InvalidFieldError.
    """
    _check_client_id(client_msg_id)
    found = rooms.lock(tx, person, room_id)
    _require_voice(found)
    text = clean_content(content)
    message, is_new = rows.send_message(
        tx,
        room_id=room_id,
        user_id=person.user_id,
        display_name=found.me.display_name,
        content=text,
        client_msg_id=client_msg_id,
    )
    if not is_new:
        return Sent(message=message, event=None)
    event = events.append(tx, events.MessageReceived(**_fields(message)))
    if found.room.recording_id is not None:
        live_rows.add_activity(tx, room_id=room_id, kind="message")
    return Sent(message=message, event=event)


def edit(tx: Transaction, person: Person, *, room_id: UUID, message_id: UUID, content: str) -> MessageRow:
    """Edit one's own message; ForbiddenError for another person's, NotFoundError for a deleted one."""
    found = rooms.lock(tx, person, room_id)
    _require_voice(found)
    message = _own(tx, person, room_id, message_id)
    text = clean_content(content)
    if message.deleted_at is not None:
        raise NotFoundError("This message was deleted.")
    if text == message.content:
        return message
    seq = events.next_seq(tx, room_id)
    edited = rows.edit(tx, message_id=message_id, content=text, seq=seq)
    assert edited is not None  # noqa: S101 - the room's lock is held, and it was there a moment ago
    events.append(tx, events.MessageUpdated(**_fields(edited), event_seq=seq), seq=seq)
    return edited


def delete(tx: Transaction, person: Person, *, room_id: UUID, message_id: UUID) -> MessageRow:
    """Delete a message: one's own, or for host and co-hosts anybody's. A second call changes nothing."""
    found = rooms.lock(tx, person, room_id)
    message = _find(tx, room_id, message_id) if found.is_editor else _own(tx, person, room_id, message_id)
    if message.deleted_at is not None:
        return message
    seq = events.next_seq(tx, room_id)
    deleted = rows.delete(tx, message_id=message_id, seq=seq)
    assert deleted is not None  # noqa: S101 - the room's lock is held, and it was there a moment ago
    events.append(tx, events.MessageUpdated(**_fields(deleted), event_seq=seq), seq=seq)
    return deleted


def history(tx: Transaction, *, room_id: UUID, last_seq: int | None) -> History:
    """Return the messages for a person who joins: the last ones, or all changes after `last_seq`."""
    if last_seq is not None:
        found = rows.list_changed(tx, room_id=room_id, after=last_seq, limit=MAX_REPLAY + 1)
        return History(messages=found[:MAX_REPLAY], has_more=len(found) > MAX_REPLAY)
    latest = rows.list_latest(tx, room_id=room_id, before=None, limit=HISTORY + 1)
    return History(messages=latest[-HISTORY:], has_more=len(latest) > HISTORY)


def page(tx: Transaction, *, room_id: UUID, before: int | None, after: int | None, limit: int) -> History:
    """Return a page of messages: the newest, or those before or after a number; oldest first."""
    if before is not None and after is not None:
        raise InvalidFieldError("before", "Give `before` or `after`, not both.")
    if after is not None:
        found = rows.list_after(tx, room_id=room_id, after=after, limit=limit + 1)
        return History(messages=found[:limit], has_more=len(found) > limit)
    latest = rows.list_latest(tx, room_id=room_id, before=before, limit=limit + 1)
    return History(messages=latest[-limit:], has_more=len(latest) > limit)


def _require_voice(found: Membership) -> None:
    if found.me.is_muted:
        raise MutedError("You were muted in this room: you can read, react and vote.")


def _own(tx: Transaction, person: Person, room_id: UUID, message_id: UUID) -> MessageRow:
    message = _find(tx, room_id, message_id)
    if message.user_id != person.user_id:
        raise ForbiddenError("This is the message of somebody else.", reason="not_yours")
    return message


def _find(tx: Transaction, room_id: UUID, message_id: UUID) -> MessageRow:
    message = rows.find_message(tx, room_id=room_id, message_id=message_id)
    if message is None:
        raise NotFoundError("There is no such message in this room.")
    return message


def _check_client_id(client_msg_id: str | None) -> None:
    if client_msg_id is None:
        return
    if not 1 <= len(client_msg_id) <= MAX_CLIENT_ID or "\0" in client_msg_id:
        raise InvalidFieldError("client_msg_id", f"client_msg_id must have 1 to {MAX_CLIENT_ID} characters.")


def _fields(message: MessageRow) -> dict[str, Any]:
    shape = message_shape(message)
    return {name: getattr(shape, name) for name in shape.__struct_fields__}
