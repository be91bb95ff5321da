"""Members of a room: joining and leaving, guests, moderation, and the succession of the host."""

from collections.abc import Callable, Collection, Mapping
from typing import Literal
from uuid import UUID, uuid4

from msgspec import Struct

from db import live_recordings as live_rows
from db import room_participants as rows
from db import rooms as room_rows
from db.connection import Transaction
from db.room_participants import LeftReason, ParticipantRow, Role
from db.rooms import RoomRow
from services.errors import ConflictError, ForbiddenError, InvalidFieldError, NotFoundError
from services.rooms import event as events
from services.rooms import service as rooms
from services.rooms.errors import BannedError, RoomEndedError, RoomFullError, RoomLockedError
from services.rooms.person import Person
from services.rooms.service import Membership
from services.rooms.shape import participant_shape
from services.rooms.text import clean_display_name

Action = Literal["kick", "ban", "unban", "mute", "unmute", "promote", "demote", "transfer"]
FOR_THE_HOST: frozenset[Action] = frozenset({"promote", "demote", "transfer"})


class Joined(Struct, frozen=True, kw_only=True):
    """A room that a person has joined; `is_new` unless they were in it already."""

    room: RoomRow
    me: ParticipantRow
    is_new: bool
    after: int
    """Number of the last event before this one joined."""


def join(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    person: Person,
    *,
    room_id: UUID,
    has_code: bool,
    display_name: str | None = None,
    is_online: bool = False,
) -> Joined:
    """Join a room, or return the person's existing place.

    The room's row is locked, so concurrent joins never exceed its places. NotFoundError without the code of a private
    room, BannedError, RoomEndedError, RoomLockedError, RoomFullError.
    """
    room = room_rows.lock_room(tx, room_id)
    if room is None or person.room_id not in (None, room_id):
        raise rooms.no_such_room()
    known = rows.find_participant(tx, room_id=room_id, user_id=person.user_id)
    if known is not None and known.is_banned:
        raise BannedError("You were banned from this room.")
    if known is None and room.is_private and not has_code:
        raise rooms.no_such_room()
    if not room.is_active:
        raise RoomEndedError("This room has ended.")
    if known is not None and known.left_at is None:
        return _renamed(tx, room, known, display_name)
    _require_place(room, known)
    me = rows.upsert_participant(
        tx,
        room_id=room_id,
        user_id=person.user_id,
        display_name=_name_for(tx, person, known, display_name, room_id),
        role="participant",
        is_guest=person.is_guest,
    )
    _tell_joined(tx, me, is_online=is_online)
    live_rows.add_activity(tx, room_id=room_id, kind="join")
    return Joined(room=rooms.get(tx, room_id), me=me, is_new=True, after=room.last_seq)


def admit_guest(tx: Transaction, *, room: RoomRow, display_name: str) -> tuple[Person, ParticipantRow]:
    """Join a room as a guest; ForbiddenError if it admits none, else as `join`."""
    if not room.allow_guests:
        raise ForbiddenError("This room takes no guests; log in to join it.", reason="no_guests")
    guest = Person(user_id=uuid4(), room_id=room.id)
    joined = join(tx, guest, room_id=room.id, has_code=True, display_name=display_name)
    return guest, joined.me


def leave(
    tx: Transaction,
    person: Person,
    *,
    room_id: UUID,
    reason: LeftReason = "left",
    online: Collection[UUID] | None = None,
) -> bool:
    """Leave a room; the longest-serving co-host replaces a host. False if the person was not in it.

    Without a co-host, the room continues without a host until they return.
    """
    room = room_rows.lock_room(tx, room_id)
    if room is None or not room.is_active:
        return False
    if not rows.leave(tx, room_id=room_id, user_id=person.user_id, reason=reason):
        return False
    _tell_left(tx, room_id, person.user_id, reason)
    if room.host_user_id == person.user_id:
        succeed(tx, room, online=online)
    return True


def give_up(tx: Transaction, *, room_id: UUID, user_id: UUID, online: Collection[UUID], hands_over: bool) -> bool:
    """Remove a person who was away for too long; True for a host who keeps the room for now.

    A host is removed only with `hands_over`, and only if a connected co-host can take over.
    """
    room = room_rows.lock_room(tx, room_id)
    if room is None or not room.is_active:
        return False
    if room.host_user_id == user_id and not (hands_over and succeed(tx, room, online=online)):
        return not hands_over
    if rows.leave(tx, room_id=room_id, user_id=user_id, reason="disconnected"):
        _tell_left(tx, room_id, user_id, "disconnected")
    return False


def succeed(tx: Transaction, room: RoomRow, *, online: Collection[UUID] | None = None) -> bool:
    """Make the longest-serving co-host the host of a locked room; False without a co-host.

    `online` limits the choice to connected people, if that is known.
    """
    listed = None if online is None else list(online)
    successor = rows.find_successor(tx, room.id, online=listed)
    if successor is None or successor == room.host_user_id:
        return False
    _hand_over(tx, room, successor)
    return True


def participants(tx: Transaction, room_id: UUID) -> list[ParticipantRow]:
    """List the members of a room, in order of arrival."""
    return rows.list_present(tx, room_id)


def moderate(tx: Transaction, person: Person, *, room_id: UUID, user_id: UUID, action: Action) -> ParticipantRow:
    """Apply an action of moderation to a member, and tell everybody.

    Co-hosts may kick, ban and mute participants; the host may do so to anybody, and appoints co-hosts. ForbiddenError
    otherwise, NotFoundError if that person is not in the room.
    """
    found = rooms.lock(tx, person, room_id)
    rooms.require_editor(found)
    target = rows.find_participant(tx, room_id=room_id, user_id=user_id)
    if target is None or (target.left_at is not None and action not in ("ban", "unban")):
        raise NotFoundError("This person is not in the room.")
    _require_rank(found, target, action)
    ACTIONS[action](tx, found.room, target)
    after = rows.find_participant(tx, room_id=room_id, user_id=user_id)
    assert after is not None  # noqa: S101 - rows of participants are kept as long as the room
    return after


def consent(tx: Transaction, person: Person, *, room_id: UUID, given: bool) -> ParticipantRow:
    """Store whether a person agrees to be recorded, and tell the room."""
    rooms.lock(tx, person, room_id)
    if rows.set_consent(tx, room_id=room_id, user_id=person.user_id, given=given):
        _tell_updated(tx, room_id, person.user_id)
    me = rows.find_participant(tx, room_id=room_id, user_id=person.user_id)
    assert me is not None  # noqa: S101 - the lock found the row
    return me


def _require_place(room: RoomRow, known: ParticipantRow | None) -> None:
    was_cut_off = known is not None and (known.left_reason == "disconnected" or known.role == "host")
    if room.is_locked and not was_cut_off:
        raise RoomLockedError("The room is locked; ask its host to unlock it.")
    if room.participant_count >= room.max_participants:
        raise RoomFullError(f"All {room.max_participants} places in the room are taken.")


def _name_for(
    tx: Transaction, person: Person, known: ParticipantRow | None, display_name: str | None, room_id: UUID
) -> str:
    if display_name is not None:
        return clean_display_name(display_name)
    if known is not None:
        return known.display_name
    account = None if person.is_guest else rows.find_display_name(tx, person.user_id)
    return clean_display_name(account or f"Member {rows.count_ever(tx, room_id) + 1}")


def _renamed(tx: Transaction, room: RoomRow, known: ParticipantRow, display_name: str | None) -> Joined:
    name = None if display_name is None else clean_display_name(display_name)
    if name is None or name == known.display_name:
        return Joined(room=room, me=known, is_new=False, after=room.last_seq)
    rows.rename(tx, room_id=room.id, user_id=known.user_id, display_name=name)
    me = _tell_updated(tx, room.id, known.user_id)
    return Joined(room=rooms.get(tx, room.id), me=me, is_new=False, after=room.last_seq)


def _require_rank(found: Membership, target: ParticipantRow, action: Action) -> None:
    if target.user_id == found.me.user_id:
        raise ForbiddenError("You cannot do this to yourself.", reason="yourself")
    if found.me.role == "host":
        return
    if action in FOR_THE_HOST or target.role != "participant":
        raise ForbiddenError("Only the host can do this.", reason="host_only")


def _kick(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    rows.leave(tx, room_id=room.id, user_id=target.user_id, reason="kicked")
    _tell_left(tx, room.id, target.user_id, "kicked")


def _ban(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    rows.set_banned(tx, room_id=room.id, user_id=target.user_id, is_banned=True)
    if rows.leave(tx, room_id=room.id, user_id=target.user_id, reason="banned"):
        _tell_left(tx, room.id, target.user_id, "banned")


def _unban(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    rows.set_banned(tx, room_id=room.id, user_id=target.user_id, is_banned=False)


def _mute(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    if rows.set_muted(tx, room_id=room.id, user_id=target.user_id, is_muted=True):
        _tell_updated(tx, room.id, target.user_id)


def _unmute(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    if rows.set_muted(tx, room_id=room.id, user_id=target.user_id, is_muted=False):
        _tell_updated(tx, room.id, target.user_id)


def _promote(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    _require_account(target)
    _give_role(tx, room, target, "co_host")


def _demote(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    _give_role(tx, room, target, "participant")


def _transfer(tx: Transaction, room: RoomRow, target: ParticipantRow) -> None:
    _require_account(target)
    _hand_over(tx, room, target.user_id)


ACTIONS: Mapping[Action, Callable[[Transaction, RoomRow, ParticipantRow], None]] = {
    "kick": _kick,
    "ban": _ban,
    "unban": _unban,
    "mute": _mute,
    "unmute": _unmute,
    "promote": _promote,
    "demote": _demote,
    "transfer": _transfer,
}


def _require_account(target: ParticipantRow) -> None:
    if target.is_guest:
        raise ConflictError("A guest has no account and cannot lead a room.", reason="needs_account")


def _give_role(tx: Transaction, room: RoomRow, target: ParticipantRow, role: Role) -> None:
    if rows.set_role(tx, room_id=room.id, user_id=target.user_id, role=role):
        _tell_updated(tx, room.id, target.user_id)


def _hand_over(tx: Transaction, room: RoomRow, to: UUID) -> None:
    room_rows.update_host(tx, room_id=room.id, host_user_id=to)
    rows.set_role(tx, room_id=room.id, user_id=room.host_user_id, role="co_host")
    rows.set_role(tx, room_id=room.id, user_id=to, role="host")
    for user_id in (room.host_user_id, to):
        _tell_updated(tx, room.id, user_id)
    rooms.announce(tx, room.id, ["host_user_id"])


def _tell_joined(tx: Transaction, me: ParticipantRow, *, is_online: bool) -> None:
    online = [me.user_id] if is_online else []
    seq = events.next_seq(tx, me.room_id)
    shape = participant_shape(me, online=online)
    events.append(tx, events.ParticipantJoined(room_id=me.room_id, seq=seq, participant=shape))


def _tell_left(tx: Transaction, room_id: UUID, user_id: UUID, reason: LeftReason) -> None:
    seq = events.next_seq(tx, room_id)
    events.append(tx, events.ParticipantLeft(room_id=room_id, seq=seq, user_id=user_id, reason=reason))


def _tell_updated(tx: Transaction, room_id: UUID, user_id: UUID) -> ParticipantRow:
    row = rows.find_participant(tx, room_id=room_id, user_id=user_id)
    if row is None:
        raise InvalidFieldError("user_id", "This person is not in the room.")
    if row.left_at is None:
        seq = events.next_seq(tx, room_id)
        # Participants count as online here, because presence has its own events.
        shape = participant_shape(row, online=[user_id])
        events.append(tx, events.ParticipantUpdated(room_id=room_id, seq=seq, participant=shape))
    return row
