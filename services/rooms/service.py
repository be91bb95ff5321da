"""Rooms themselves: opening, finding, changing and ending them."""

import secrets
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from db import polls as poll_rows
from db import room_events as event_rows
from db import room_participants as participant_rows
from db import rooms as rows
from db.connection import Transaction
from db.room_participants import ParticipantRow, Role
from db.rooms import RoomRow
from services.billing import tier as tiers
from services.billing.tier import Tier
from services.errors import ForbiddenError, InvalidFieldError, NotFoundError, UnavailableError
from services.paging import Page, TimeCursor, page_of
from services.rooms import event as events
from services.rooms import live
from services.rooms.errors import BannedError, RoomEndedError
from services.rooms.person import Person
from services.rooms.shape import room_shape
from services.rooms.text import clean_display_name, clean_name
from services.rooms.wire import camel

CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_LENGTH = 6
CODE_TRIES = 8
"""Of 10^9 codes, even with a million rooms, two in a row are taken with a probability of 10^-6."""
IDLE_HOURS = 24
BATCH = 200
EVENT_HOURS = 24
"""Every process has sent an event within seconds; a day helps the investigation of faults."""
EDITORS: frozenset[Role] = frozenset({"host", "co_host"})


class Membership(Struct, frozen=True, kw_only=True):
    """A room, and a person's place in it."""

    room: RoomRow
    me: ParticipantRow

    @property
    def is_editor(self) -> bool:
        """Whether this person may change the room and moderate it."""
        return self.me.role in EDITORS


def create(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    tier: Tier,
    name: str,
    max_participants: int,
    is_private: bool,
    allow_guests: bool,
) -> Membership:
    """Open a room, in which the host takes the first place; TierRequiredError if the tier has no rooms."""
    tiers.require(tier, "room_creation")
    room_id = _insert(
        tx,
        name=clean_name(name),
        host_user_id=user_id,
        max_participants=max_participants,
        is_private=is_private,
        allow_guests=allow_guests,
    )
    display_name = participant_rows.find_display_name(tx, user_id) or "Host"
    me = participant_rows.upsert_participant(
        tx,
        room_id=room_id,
        user_id=user_id,
        display_name=clean_display_name(display_name),
        role="host",
        is_guest=False,
    )
    return Membership(room=get(tx, room_id), me=me)


def get(tx: Transaction, room_id: UUID) -> RoomRow:
    """Return a room. Raises NotFoundError."""
    room = rows.find_room(tx, room_id)
    if room is None:
        raise no_such_room()
    return room


def find_by_code(tx: Transaction, code: str) -> RoomRow:
    """Return the room with this code, in upper or lower case. Raises NotFoundError."""
    room_id = rows.find_by_code(tx, code.strip().upper())
    if room_id is None:
        raise NotFoundError("There is no room with this code; check it with the person who gave it to you.")
    return get(tx, room_id)


def membership(tx: Transaction, person: Person, room_id: UUID) -> Membership:
    """Return a room and a person's place in it, also after the room ended.

    NotFoundError when they are not in it, BannedError when they were banned.
    """
    return _membership(tx, person, rows.find_room(tx, room_id))


def require_not_removed(tx: Transaction, person: Person, room_id: UUID) -> None:
    """Raise unless a person is in a room, or has left it of their own accord.

    NotFoundError for strangers and those who were kicked, BannedError.
    """
    me = None
    if person.room_id in {None, room_id}:
        me = participant_rows.find_participant(tx, room_id=room_id, user_id=person.user_id)
    if me is None or (me.left_reason == "kicked" and not me.is_banned):
        raise no_such_room()
    if me.is_banned:
        raise BannedError("You were banned from this room.")


def lock(tx: Transaction, person: Person, room_id: UUID) -> Membership:
    """Lock a running room until the transaction ends, for one of its members.

    NotFoundError, BannedError, RoomEndedError.
    """
    found = _membership(tx, person, rows.lock_room(tx, room_id))
    if not found.room.is_active:
        raise RoomEndedError("This room has ended.")
    return found


def lock_running(tx: Transaction, room_id: UUID) -> RoomRow:
    """Lock a running room until the transaction ends; NotFoundError, RoomEndedError."""
    room = rows.lock_room(tx, room_id)
    if room is None:
        raise no_such_room()
    if not room.is_active:
        raise RoomEndedError("This room has ended.")
    return room


def lock_any(tx: Transaction, room_id: UUID) -> RoomRow:
    """Lock a room until the transaction ends, also one that has ended. Raises NotFoundError."""
    room = rows.lock_room(tx, room_id)
    if room is None:
        raise no_such_room()
    return room


def list_rooms(
    tx: Transaction, *, user_id: UUID, limit: int, cursor: TimeCursor | None, is_active: bool | None
) -> Page[RoomRow]:
    """List the rooms that a person hosts or has been in, newest first."""
    found = rows.list_rooms(tx, user_id=user_id, is_active=is_active, before=cursor, limit=limit + 1)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def role_in(tx: Transaction, *, room: RoomRow, user_id: UUID) -> Role | None:
    """Return a person's role in a room; None if they are not in it."""
    row = participant_rows.find_participant(tx, room_id=room.id, user_id=user_id)
    return row.role if row is not None and is_inside(row) else None


def update_state(tx: Transaction, person: Person, *, room_id: UUID, changes: dict[str, Any]) -> Membership:
    """Change a room's name, mode, size, lock, privacy or openness to guests; host and co-hosts."""
    found = lock(tx, person, room_id)
    require_editor(found)
    if "name" in changes:
        changes = {**changes, "name": clean_name(changes["name"])}
    if "mode" in changes:
        changes = {**changes, "mode": clean_name(changes["mode"], field="mode")}
    changed = [name for name, value in changes.items() if getattr(found.room, name) != value]
    if "max_participants" in changed and changes["max_participants"] < found.room.participant_count:
        raise InvalidFieldError(
            "max_participants",
            f"{found.room.participant_count} people are in the room; remove somebody first.",
            reason="people_inside",
        )
    if not changed:
        return found
    rows.update_room(tx, room_id=room_id, changes={name: changes[name] for name in changed})
    return Membership(room=announce(tx, room_id, changed), me=found.me)


def announce(tx: Transaction, room_id: UUID, changed: list[str]) -> RoomRow:
    """Tell everybody which fields of a room changed, and return it; the caller holds its lock."""
    seq = events.next_seq(tx, room_id)
    room = get(tx, room_id)
    events.append(
        tx,
        events.StateUpdated(room_id=room_id, seq=seq, room=room_shape(room), changed=[camel(name) for name in changed]),
    )
    return room


def end(tx: Transaction, person: Person, *, room_id: UUID) -> Membership:
    """End a room with its polls; only for the host. A second call changes nothing."""
    room = rows.lock_room(tx, room_id)
    found = _membership(tx, person, room)
    if found.me.role != "host":
        raise ForbiddenError("Only the host can end the room.", reason="host_only")
    if found.room.is_active:
        end_locked(tx, found.room, reason="ended_by_host")
    return Membership(room=get(tx, room_id), me=found.me)


def end_locked(tx: Transaction, room: RoomRow, *, reason: Literal["ended_by_host", "inactive"]) -> int:
    """End a room whose lock is held, and tell everybody; return how many polls that closed."""
    live.stop_running(tx, room)
    rows.end_room(tx, room.id)
    closed = poll_rows.close_of_rooms(tx, [room.id])
    seq = events.next_seq(tx, room.id)
    events.append(tx, events.RoomEnded(room_id=room.id, seq=seq, reason=reason, recording_id=room.recording_id))
    participant_rows.leave_all(tx, room.id)
    return closed


def sweep(tx: Transaction) -> dict[str, int]:
    """End rooms without activity for a day, with their polls, and delete old events; return counts."""
    polls_closed = 0
    inactive = rows.list_inactive(tx, hours=IDLE_HOURS, limit=BATCH)
    for room_id in inactive:
        polls_closed += end_locked(tx, get(tx, room_id), reason="inactive")
    event_rows.delete_old(tx, hours=EVENT_HOURS, limit=BATCH * 50)
    return {"ended": len(inactive), "polls_closed": polls_closed}


def require_editor(found: Membership) -> None:
    """Raise ForbiddenError unless the person is host or co-host."""
    if not found.is_editor:
        raise ForbiddenError("Only the host and co-hosts can do this.", reason="hosts_only")


def is_inside(row: ParticipantRow) -> bool:
    """Return whether a person is in a room, or was until it ended."""
    return not row.is_banned and (row.left_at is None or row.left_reason == "room_ended")


def no_such_room() -> NotFoundError:
    """Return the error for a room that does not exist, or that this person is not in."""
    return NotFoundError("There is no such room, or you are not in it; join it first.")


def _membership(tx: Transaction, person: Person, room: RoomRow | None) -> Membership:
    if room is None or person.room_id not in (None, room.id):
        raise no_such_room()
    me = participant_rows.find_participant(tx, room_id=room.id, user_id=person.user_id)
    if me is None:
        raise no_such_room()
    if me.is_banned:
        raise BannedError("You were banned from this room.")
    if not is_inside(me):
        raise no_such_room()
    return Membership(room=room, me=me)


def _insert(tx: Transaction, **room: Any) -> UUID:
    for _ in range(CODE_TRIES):
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        if (room_id := rows.insert_room(tx, room_code=code, **room)) is not None:
            return room_id
    raise UnavailableError("No free room code was found; try again.")
