"""Operators' search for rooms, and the people in a room."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db import rooms
from db.connection import Transaction
from db.room_participants import LeftReason, Role


class RoomSummary(rooms.RoomRow, frozen=True, kw_only=True):
    """A room with its host's address and its activity."""

    email: str | None
    last_activity_at: datetime
    messages: int
    polls: int
    recordings: int


class RoomPerson(Struct, frozen=True, kw_only=True):
    """A present or former member of a room. `email` is None for guests."""

    user_id: UUID
    display_name: str
    email: str | None
    role: Role
    is_guest: bool
    is_muted: bool
    is_banned: bool
    has_consented: bool
    joined_at: datetime
    left_at: datetime | None
    left_reason: LeftReason | None


SEARCH = f"""
SELECT {rooms.COLUMNS}, rooms.last_activity_at, users.email,
    (SELECT count(*) FROM room_messages AS m WHERE m.room_id = rooms.id AND m.deleted_at IS NULL) AS messages,
    (SELECT count(*) FROM polls WHERE polls.room_id = rooms.id) AS polls,
    (SELECT count(*) FROM recordings WHERE recordings.room_id = rooms.id) AS recordings
FROM rooms LEFT JOIN users ON users.id = rooms.host_user_id
WHERE (%(room_id)s::uuid IS NULL OR rooms.id = %(room_id)s::uuid)
    AND (%(is_active)s::boolean IS NULL OR rooms.is_active = %(is_active)s::boolean)
    AND (%(is_recording)s::boolean IS NULL OR (rooms.recording_id IS NOT NULL) = %(is_recording)s::boolean)
    AND (%(owner_id)s::uuid IS NULL OR rooms.host_user_id = %(owner_id)s::uuid)
    AND (%(email)s::text IS NULL OR users.email = lower(%(email)s))
    AND (%(q)s::text IS NULL OR position(lower(%(q)s) IN lower(rooms.name)) > 0
         OR rooms.room_code = upper(%(q)s) OR rooms.id::text = lower(%(q)s))
    AND (%(created_after)s::timestamptz IS NULL OR rooms.created_at >= %(created_after)s::timestamptz)
    AND (%(created_before)s::timestamptz IS NULL OR rooms.created_at < %(created_before)s::timestamptz)
    AND (%(before_at)s::timestamptz IS NULL OR (rooms.created_at, rooms.id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY rooms.created_at DESC, rooms.id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
LIST_PEOPLE = """
SELECT p.user_id, p.display_name, users.email, p.role, p.is_guest, p.is_muted, p.is_banned, p.has_consented,
    p.joined_at, p.left_at, p.left_reason
FROM room_participants AS p LEFT JOIN users ON users.id = p.account_id
WHERE p.room_id = %(room_id)s
ORDER BY p.left_at IS NOT NULL, p.joined_at, p.user_id LIMIT %(limit)s
"""


class RoomFilter(Struct, frozen=True, kw_only=True):
    """Conditions on rooms; None means any."""

    room_id: UUID | None = None
    is_active: bool | None = None
    is_recording: bool | None = None
    owner_id: UUID | None = None
    email: str | None = None
    """The host's address."""
    q: str | None = None
    """A part of the name, the code, or the id."""
    created_after: datetime | None = None
    created_before: datetime | None = None


def search_rooms(
    tx: Transaction, wanted: RoomFilter, *, limit: int, before: tuple[datetime, UUID] | None = None
) -> list[RoomSummary]:
    """List matching rooms, newest first."""
    before_at, before_id = before or (None, None)
    values: dict[str, Any] = {name: getattr(wanted, name) for name in RoomFilter.__struct_fields__}
    values |= {"before_at": before_at, "before_id": before_id, "limit": limit}
    with tx.cursor(row_factory=class_row(RoomSummary)) as cursor:
        return cursor.execute(SEARCH, values).fetchall()


def list_people(tx: Transaction, room_id: UUID, *, limit: int) -> list[RoomPerson]:
    """List the present and former members of a room: those present first, in order of arrival."""
    with tx.cursor(row_factory=class_row(RoomPerson)) as cursor:
        return cursor.execute(LIST_PEOPLE, {"room_id": room_id, "limit": limit}).fetchall()
