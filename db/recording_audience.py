"""The audience's activity during a live recording: counts by stretch of time, and saved moments."""

from typing import Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

CountedKind = Literal["message", "reaction", "vote", "join"]

# Saved moments are listed one by one, so they are not counted.
COUNT_ACTIVITY = """
SELECT floor(at_s / %(bin_s)s::double precision)::integer AS bin, kind, sum(number)::bigint AS number FROM (
    SELECT extract(epoch FROM a.at - r.live_started_at)::double precision AS at_s, a.kind, a.number
    FROM recording_activity a JOIN recordings r ON r.id = a.recording_id
    WHERE a.recording_id = %(recording_id)s AND r.user_id = %(user_id)s AND a.kind <> 'memory'
) AS timed WHERE at_s >= 0 AND at_s < %(end_s)s::double precision GROUP BY bin, kind ORDER BY bin, kind
"""
# People wrote the labels themselves, so the owner of the recording sees only their own.
LIST_MOMENTS = """
SELECT least(m.at_s, %(end_s)s::double precision) AS at_s,
    CASE WHEN m.user_id = %(user_id)s THEN m.label END AS label
FROM memories m JOIN recordings r ON r.id = m.recording_id
WHERE m.recording_id = %(recording_id)s AND r.user_id = %(user_id)s ORDER BY m.at_s, m.id LIMIT %(limit)s
"""


class CountRow(Struct, frozen=True, kw_only=True):
    """Counts of activity in one stretch; stretches are numbered from 0."""

    bin: int
    kind: CountedKind
    number: int


class MomentRow(Struct, frozen=True, kw_only=True):
    """A saved moment, in seconds from the recording's start; only the person who saved it sees the label."""

    at_s: float
    label: str | None


def count_activity(tx: Transaction, *, recording_id: UUID, user_id: UUID, bin_s: float, end_s: float) -> list[CountRow]:
    """Count people's activity in stretches of `bin_s` up to `end_s`, in order; only for the recording's owner."""
    values = {"recording_id": recording_id, "user_id": user_id, "bin_s": bin_s, "end_s": end_s}
    with tx.cursor(row_factory=class_row(CountRow)) as cursor:
        return cursor.execute(COUNT_ACTIVITY, values).fetchall()


def list_moments(tx: Transaction, *, recording_id: UUID, user_id: UUID, end_s: float, limit: int) -> list[MomentRow]:
    """List the first saved moments of a recording, in order of time; only for its owner."""
    values = {"recording_id": recording_id, "user_id": user_id, "end_s": end_s, "limit": limit}
    with tx.cursor(row_factory=class_row(MomentRow)) as cursor:
        return cursor.execute(LIST_MOMENTS, values).fetchall()
