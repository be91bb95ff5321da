"""Events of an owner's recordings, clips and webhooks, one row each, kept for a month."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction


class EventRow(Struct, frozen=True, kw_only=True):
    """A row of `events`."""

    id: UUID
    seq: int
    user_id: UUID
    type: str
    recording_id: UUID | None
    clip_id: UUID | None
    data: dict[str, Any]
    trace_id: str | None
    created_at: datetime


COLUMNS = "id, seq, user_id, type, recording_id, clip_id, data, trace_id, created_at"

INSERT_EVENT = f"""
INSERT INTO events (user_id, type, recording_id, clip_id, data, trace_id)
VALUES (%(user_id)s, %(type)s, %(recording_id)s, %(clip_id)s, %(data)s, %(trace_id)s)
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_EVENT = f"SELECT {COLUMNS} FROM events WHERE id = %(event_id)s"  # noqa: S608 - the columns are a constant
LIST_AFTER = f"""
SELECT {COLUMNS} FROM events
WHERE user_id = %(user_id)s AND seq > %(after)s AND seq <> ALL(%(seen)s::bigint[])
ORDER BY seq LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
LAST_SEQ = "SELECT coalesce(max(seq), 0) AS seq FROM events WHERE user_id = %(user_id)s"
# Numbers are assigned before the commit, but no transaction is open for as long as this.
SETTLED_SEQ = """
SELECT coalesce(max(seq), 0) AS seq FROM events
WHERE user_id = %(user_id)s AND seq <= %(seq)s AND created_at < now() - make_interval(secs => %(settle_s)s)
"""
DELETE_OLD = """
DELETE FROM events WHERE id IN (
    SELECT id FROM events WHERE created_at < now() - make_interval(days => %(days)s) ORDER BY created_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def insert_event(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    user_id: UUID,
    type: str,  # noqa: A002 - the column's name, and the field's in every message
    data: dict[str, Any],
    recording_id: UUID | None = None,
    clip_id: UUID | None = None,
    trace_id: str | None = None,
) -> EventRow:
    """Insert an event; the commit notifies followers of the owner's events."""
    parameters = {
        "user_id": user_id,
        "type": type,
        "recording_id": recording_id,
        "clip_id": clip_id,
        "data": Jsonb(data),
        "trace_id": trace_id,
    }
    with tx.cursor(row_factory=class_row(EventRow)) as cursor:
        row = cursor.execute(INSERT_EVENT, parameters).fetchone()
    assert row is not None  # noqa: S101 - INSERT … RETURNING returns its row or raises
    return row


def find_event(tx: Transaction, event_id: UUID) -> EventRow | None:
    """Return an event, or None after its retention."""
    with tx.cursor(row_factory=class_row(EventRow)) as cursor:
        return cursor.execute(FIND_EVENT, {"event_id": event_id}).fetchone()


def list_after(tx: Transaction, *, user_id: UUID, after: int, seen: Sequence[int], limit: int) -> list[EventRow]:
    """List an owner's events after a number, oldest first, without those in `seen`."""
    parameters = {"user_id": user_id, "after": after, "seen": list(seen), "limit": limit}
    with tx.cursor(row_factory=class_row(EventRow)) as cursor:
        return cursor.execute(LIST_AFTER, parameters).fetchall()


def last_seq(tx: Transaction, *, user_id: UUID) -> int:
    """Return the number of an owner's newest event; 0 without events."""
    row = tx.execute(LAST_SEQ, {"user_id": user_id}).fetchone()
    return int(row["seq"]) if row else 0


def settled_seq(tx: Transaction, *, user_id: UUID, seq: int, settle_s: float) -> int:
    """Return the highest number up to `seq` below which no more events of the owner can appear."""
    row = tx.execute(SETTLED_SEQ, {"user_id": user_id, "seq": seq, "settle_s": settle_s}).fetchone()
    return int(row["seq"]) if row else 0


def delete_old(tx: Transaction, *, days: int, limit: int) -> int:
    """Delete up to `limit` events older than so many days, with their deliveries; return how many."""
    return len(tx.execute(DELETE_OLD, {"days": days, "limit": limit}).fetchall())
