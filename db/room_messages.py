"""Messages of rooms."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

MessageType = Literal["text", "system"]


class MessageRow(Struct, frozen=True, kw_only=True):
    """A row of `room_messages`."""

    id: UUID
    room_id: UUID
    seq: int
    user_id: UUID
    display_name: str
    message_type: MessageType
    content: str
    client_msg_id: str | None
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    updated_seq: int


COLUMNS = """id, room_id, seq, user_id, display_name, message_type, content, client_msg_id, created_at, edited_at,
deleted_at, updated_seq"""

# The caller holds the lock of the room's row, so the numbers commit in their order.
SEND_MESSAGE = f"""
WITH sent AS (
    SELECT {COLUMNS} FROM room_messages
    WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND client_msg_id = %(client_msg_id)s::text
), numbered AS (
    UPDATE rooms SET last_seq = last_seq + 1, last_activity_at = now()
    WHERE id = %(room_id)s AND NOT EXISTS (SELECT FROM sent) RETURNING last_seq
), inserted AS (
    INSERT INTO room_messages (room_id, seq, updated_seq, user_id, display_name, message_type, content, client_msg_id)
    SELECT %(room_id)s, last_seq, last_seq, %(user_id)s, %(display_name)s, 'text', %(content)s, %(client_msg_id)s::text
    FROM numbered RETURNING {COLUMNS}
)
SELECT {COLUMNS}, true AS is_new FROM inserted UNION ALL SELECT {COLUMNS}, false FROM sent
"""  # noqa: S608 - the columns are a constant
FIND_MESSAGE = f"SELECT {COLUMNS} FROM room_messages WHERE id = %(message_id)s AND room_id = %(room_id)s"  # noqa: S608 - the columns are a constant
EDIT = f"""
UPDATE room_messages SET content = %(content)s, edited_at = now(), updated_seq = %(seq)s
WHERE id = %(message_id)s AND deleted_at IS NULL RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
DELETE = f"""
UPDATE room_messages SET content = '', deleted_at = now(), updated_seq = %(seq)s
WHERE id = %(message_id)s AND deleted_at IS NULL RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
LIST_LATEST = f"""
SELECT {COLUMNS} FROM room_messages
WHERE room_id = %(room_id)s AND (%(before)s::bigint IS NULL OR seq < %(before)s::bigint)
ORDER BY seq DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
LIST_AFTER = f"""
SELECT {COLUMNS} FROM room_messages WHERE room_id = %(room_id)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
LIST_CHANGED = f"""
SELECT {COLUMNS} FROM room_messages WHERE room_id = %(room_id)s AND updated_seq > %(after)s
ORDER BY seq LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant


def send_message(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, room_id: UUID, user_id: UUID, display_name: str, content: str, client_msg_id: str | None
) -> tuple[MessageRow, bool]:
    """Insert a message with the room's next number and return it with True, or an earlier one of this id with False."""
    parameters = {
        "room_id": room_id,
        "user_id": user_id,
        "display_name": display_name,
        "content": content,
        "client_msg_id": client_msg_id,
    }
    row = tx.execute(SEND_MESSAGE, parameters).fetchone()
    assert row is not None  # noqa: S101 - one of the two is there
    is_new = row.pop("is_new")
    return MessageRow(**row), is_new


def find_message(tx: Transaction, *, room_id: UUID, message_id: UUID) -> MessageRow | None:
    """Return a message of a room."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        return cursor.execute(FIND_MESSAGE, {"room_id": room_id, "message_id": message_id}).fetchone()


def edit(tx: Transaction, *, message_id: UUID, content: str, seq: int) -> MessageRow | None:
    """Replace the content; None when the message was deleted."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        return cursor.execute(EDIT, {"message_id": message_id, "content": content, "seq": seq}).fetchone()


def delete(tx: Transaction, *, message_id: UUID, seq: int) -> MessageRow | None:
    """Delete the content; None if that was done before."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        return cursor.execute(DELETE, {"message_id": message_id, "seq": seq}).fetchone()


def list_latest(tx: Transaction, *, room_id: UUID, before: int | None, limit: int) -> list[MessageRow]:
    """List the newest messages, those before a number if one is given; oldest first."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        found = cursor.execute(LIST_LATEST, {"room_id": room_id, "before": before, "limit": limit}).fetchall()
    return found[::-1]


def list_after(tx: Transaction, *, room_id: UUID, after: int, limit: int) -> list[MessageRow]:
    """List the messages after a number, oldest first."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        return cursor.execute(LIST_AFTER, {"room_id": room_id, "after": after, "limit": limit}).fetchall()


def list_changed(tx: Transaction, *, room_id: UUID, after: int, limit: int) -> list[MessageRow]:
    """List the messages sent, edited or deleted after a number, oldest first."""
    with tx.cursor(row_factory=class_row(MessageRow)) as cursor:
        return cursor.execute(LIST_CHANGED, {"room_id": room_id, "after": after, "limit": limit}).fetchall()
