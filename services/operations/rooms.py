"""Rooms of all hosts, as operators see them."""

from uuid import UUID

from db import room_search as rows
from db.connection import Transaction
from db.room_search import RoomFilter, RoomPerson, RoomSummary
from services.errors import NotFoundError
from services.paging import Page, TimeCursor, page_of

PEOPLE = 500

__all__ = ["RoomFilter", "RoomPerson", "RoomSummary"]


def search_rooms(
    tx: Transaction, wanted: RoomFilter, *, limit: int, cursor: TimeCursor | None = None
) -> Page[RoomSummary]:
    """List matching rooms, newest first."""
    found = rows.search_rooms(tx, wanted, limit=limit + 1, before=cursor)
    return page_of(found, limit, [(row.created_at, row.id) for row in found])


def get_room(tx: Transaction, *, room_id: UUID) -> tuple[RoomSummary, list[RoomPerson]]:
    """Return a room with everybody who is or was in it, at most PEOPLE. Raises NotFoundError."""
    found = rows.search_rooms(tx, RoomFilter(room_id=room_id), limit=1)
    if not found:
        raise NotFoundError("There is no such room.")
    return found[0], rows.list_people(tx, room_id, limit=PEOPLE)
