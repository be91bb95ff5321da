"""Rooms: their rows, and the lock that orders the changes of a room."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class RoomRow(Struct, frozen=True, kw_only=True):
    """A row of `rooms`, with its number of members."""

    id: UUID
    room_code: str
    name: str
    host_user_id: UUID
    max_participants: int
    is_active: bool
    is_locked: bool
    is_private: bool
    allow_guests: bool
    mode: str
    last_seq: int
    recording_id: UUID | None
    recording_started_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    participant_count: int


COLUMNS = """rooms.id, rooms.room_code, rooms.name, rooms.host_user_id, rooms.max_participants, rooms.is_active,
rooms.is_locked, rooms.is_private, rooms.allow_guests, rooms.mode, rooms.last_seq, rooms.recording_id,
rooms.recording_started_at, rooms.created_at, rooms.ended_at, (
    SELECT count(*) FROM room_participants WHERE room_id = rooms.id AND left_at IS NULL
) AS participant_count"""

INSERT_ROOM = """
INSERT INTO rooms (room_code, name, host_user_id, max_participants, is_private, allow_guests)
VALUES (%(room_code)s, %(name)s, %(host_user_id)s, %(max_participants)s, %(is_private)s, %(allow_guests)s)
ON CONFLICT (room_code) DO NOTHING
RETURNING id
"""
FIND_ROOM = f"SELECT {COLUMNS} FROM rooms WHERE id = %(room_id)s"  # noqa: S608 - the columns are a constant
FIND_BY_CODE = "SELECT id FROM rooms WHERE room_code = %(room_code)s"
LOCK_ROOM = "SELECT id FROM rooms WHERE id = %(room_id)s FOR UPDATE"
LIST_ROOMS = f"""
SELECT {COLUMNS} FROM rooms
JOIN room_participants AS mine ON mine.room_id = rooms.id AND mine.user_id = %(user_id)s
    AND NOT mine.is_banned AND mine.left_reason IS DISTINCT FROM 'kicked'
WHERE (%(is_active)s::boolean IS NULL OR rooms.is_active = %(is_active)s::boolean)
    AND (%(before_at)s::timestamptz IS NULL OR (rooms.created_at, rooms.id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY rooms.created_at DESC, rooms.id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
UPDATE_ROOM = """
UPDATE rooms SET
    name = coalesce(%(name)s, name), mode = coalesce(%(mode)s, mode),
    max_participants = coalesce(%(max_participants)s, max_participants),
    is_locked = coalesce(%(is_locked)s, is_locked), is_private = coalesce(%(is_private)s, is_private),
    allow_guests = coalesce(%(allow_guests)s, allow_guests)
WHERE id = %(room_id)s
"""
UPDATE_HOST = "UPDATE rooms SET host_user_id = %(host_user_id)s WHERE id = %(room_id)s"
END_ROOM = "UPDATE rooms SET is_active = false, ended_at = now() WHERE id = %(room_id)s AND is_active RETURNING id"
LIST_INACTIVE = """
SELECT id FROM rooms WHERE is_active AND last_activity_at < now() - make_interval(hours => %(hours)s)
ORDER BY last_activity_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""


def insert_room(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    room_code: str,
    name: str,
    host_user_id: UUID,
    max_participants: int,
    is_private: bool,
    allow_guests: bool,
) -> UUID | None:
    """Insert a room; None when another one has this code."""
    row = tx.execute(
        INSERT_ROOM,
        {
            "room_code": room_code,
            "name": name,
            "host_user_id": host_user_id,
            "max_participants": max_participants,
            "is_private": is_private,
            "allow_guests": allow_guests,
        },
    ).fetchone()
    return row["id"] if row else None


def find_room(tx: Transaction, room_id: UUID) -> RoomRow | None:
    """Return a room, if it exists and is visible to the caller."""
    with tx.cursor(row_factory=class_row(RoomRow)) as cursor:
        return cursor.execute(FIND_ROOM, {"room_id": room_id}).fetchone()


def find_by_code(tx: Transaction, room_code: str) -> UUID | None:
    """Return the id of the room with this code."""
    row = tx.execute(FIND_BY_CODE, {"room_code": room_code}).fetchone()
    return row["id"] if row else None


def lock_room(tx: Transaction, room_id: UUID) -> RoomRow | None:
    """Lock a room's row until the transaction ends and return it; every change of a room begins with this.

    Uses two statements, so that the row and the count of members are those after the lock was acquired.
    """
    if tx.execute(LOCK_ROOM, {"room_id": room_id}).fetchone() is None:
        return None
    return find_room(tx, room_id)


def list_rooms(
    tx: Transaction, *, user_id: UUID, is_active: bool | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[RoomRow]:
    """List the rooms that a user hosts or has been in, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {
        "user_id": user_id,
        "is_active": is_active,
        "before_at": before_at,
        "before_id": before_id,
        "limit": limit,
    }
    with tx.cursor(row_factory=class_row(RoomRow)) as cursor:
        return cursor.execute(LIST_ROOMS, parameters).fetchall()


def update_room(tx: Transaction, *, room_id: UUID, changes: dict[str, Any]) -> None:
    """Change the columns named in `changes`."""
    names = ("name", "mode", "max_participants", "is_locked", "is_private", "allow_guests")
    tx.execute(UPDATE_ROOM, {"room_id": room_id, **{name: changes.get(name) for name in names}})


def update_host(tx: Transaction, *, room_id: UUID, host_user_id: UUID) -> None:
    """Make another user the host."""
    tx.execute(UPDATE_HOST, {"room_id": room_id, "host_user_id": host_user_id})


def end_room(tx: Transaction, room_id: UUID) -> bool:
    """Change active → ended; False when it has ended already."""
    return tx.execute(END_ROOM, {"room_id": room_id}).fetchone() is not None


def list_inactive(tx: Transaction, *, hours: int, limit: int) -> Sequence[UUID]:
    """Lock and list rooms without activity for at least that long."""
    return [row["id"] for row in tx.execute(LIST_INACTIVE, {"hours": hours, "limit": limit})]
