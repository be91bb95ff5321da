"""Rooms: who is in them, and when nobody is any more."""

from uuid import UUID

from db.connection import Transaction

END_INACTIVE = """
UPDATE rooms SET is_active = false, ended_at = now() WHERE id IN (
    SELECT id FROM rooms WHERE is_active AND last_activity_at < now() - make_interval(hours => %(hours)s)
    ORDER BY last_activity_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
LEAVE = "UPDATE room_participants SET left_at = now() WHERE room_id = ANY(%(room_ids)s) AND left_at IS NULL"


def end_inactive(tx: Transaction, *, hours: int, limit: int) -> list[UUID]:
    """End rooms in which nothing has happened for so long, as if everybody had left; return their ids."""
    ended = [row["id"] for row in tx.execute(END_INACTIVE, {"hours": hours, "limit": limit})]
    if ended:
        tx.execute(LEAVE, {"room_ids": ended})
    return ended
