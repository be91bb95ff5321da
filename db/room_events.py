"""Events of rooms, numbered in the order of their commits."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class RoomEventRow(Struct, frozen=True, kw_only=True):
    """An event of a room; `payload` is JSON text."""

    seq: int
    type: str
    payload: str
    created_at: datetime


# The caller holds the lock of the room's row, so the numbers commit in their order.
NEXT_SEQ = """
UPDATE rooms SET last_seq = last_seq + 1, last_activity_at = now() WHERE id = %(room_id)s RETURNING last_seq
"""
INSERT_EVENT = """
INSERT INTO room_events (room_id, seq, type, payload) VALUES (%(room_id)s, %(seq)s, %(type)s, %(payload)s::json)
RETURNING seq, type, payload::text AS payload, created_at
"""
LIST_AFTER = """
SELECT seq, type, payload::text AS payload, created_at FROM room_events
WHERE room_id = %(room_id)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""
DELETE_OLD = """
DELETE FROM room_events WHERE (room_id, seq) IN (
    SELECT room_id, seq FROM room_events WHERE created_at < now() - make_interval(hours => %(hours)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING seq
"""


def next_seq(tx: Transaction, room_id: UUID) -> int:
    """Take the next number of a room, whose row is locked until the transaction ends."""
    row = tx.execute(NEXT_SEQ, {"room_id": room_id}).fetchone()
    assert row is not None  # noqa: S101 - the caller has locked the row
    return int(row["last_seq"])


def insert_event(tx: Transaction, *, room_id: UUID, seq: int, type: str, payload: bytes) -> RoomEventRow:  # noqa: A002 - the column's name
    """Insert an event; the commit notifies every process with members of the room."""
    parameters = {"room_id": room_id, "seq": seq, "type": type, "payload": payload.decode()}
    with tx.cursor(row_factory=class_row(RoomEventRow)) as cursor:
        row = cursor.execute(INSERT_EVENT, parameters).fetchone()
    assert row is not None  # noqa: S101 - an insert returns its row or raises
    return row


def list_after(tx: Transaction, *, room_id: UUID, after: int, limit: int) -> list[RoomEventRow]:
    """List a room's events after a number, in order."""
    with tx.cursor(row_factory=class_row(RoomEventRow)) as cursor:
        return cursor.execute(LIST_AFTER, {"room_id": room_id, "after": after, "limit": limit}).fetchall()


def delete_old(tx: Transaction, *, hours: int, limit: int) -> int:
    """Delete old events, which every process has sent; return how many."""
    return len(tx.execute(DELETE_OLD, {"hours": hours, "limit": limit}).fetchall())
