"""Polls: what a room was asked, and when that is over."""

from collections.abc import Sequence
from uuid import UUID

from db.connection import Transaction

CLOSE_OF_ROOMS = """
UPDATE polls SET status = 'closed', closed_at = now() WHERE status = 'active' AND room_id = ANY(%(room_ids)s)
RETURNING id
"""
EXPIRE = """
UPDATE polls SET status = 'expired', closed_at = ends_at WHERE status = 'active' AND id IN (
    SELECT id FROM polls WHERE status = 'active' AND ends_at < now()
    ORDER BY ends_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
ARCHIVE = """
WITH old AS (
    SELECT id FROM polls
    WHERE status <> 'active' AND archived_results IS NULL AND closed_at < now() - make_interval(days => %(days)s)
    ORDER BY closed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), counts AS (
    SELECT poll_id, option_id, count(*) AS ballots FROM poll_votes WHERE poll_id IN (SELECT id FROM old) GROUP BY 1, 2
)
UPDATE polls SET archived_results = coalesce(
    (SELECT jsonb_object_agg(option_id, ballots) FROM counts WHERE poll_id = polls.id), '{}'
)
FROM old WHERE polls.id = old.id
RETURNING polls.id
"""
FORGET_BALLOTS = "DELETE FROM poll_votes WHERE poll_id = ANY(%(poll_ids)s)"


def close_of_rooms(tx: Transaction, room_ids: Sequence[UUID]) -> int:
    """Close the polls that these rooms still have open; return how many."""
    return len(tx.execute(CLOSE_OF_ROOMS, {"room_ids": list(room_ids)}).fetchall())


def expire(tx: Transaction, *, limit: int) -> int:
    """Change active → expired where the time is over; return how many."""
    return len(tx.execute(EXPIRE, {"limit": limit}).fetchall())


def archive(tx: Transaction, *, days: int, limit: int) -> int:
    """Keep of polls that ended so long ago the counts alone, and forget who chose what; return how many."""
    archived = [row["id"] for row in tx.execute(ARCHIVE, {"days": days, "limit": limit})]
    if archived:
        tx.execute(FORGET_BALLOTS, {"poll_ids": archived})
    return len(archived)
