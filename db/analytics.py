"""Figures about a host's rooms and clips over time."""

from datetime import date
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class DayRow(Struct, frozen=True, kw_only=True):
    """One day of a host's rooms."""

    day: date
    sessions: int
    minutes: float
    people: int
    messages: int
    polls: int
    votes: int


class HourRow(Struct, frozen=True, kw_only=True):
    """The activity in a host's rooms in one hour of the week; Monday is 1."""

    weekday: int
    hour: int
    messages: int


class ClipRow(Struct, frozen=True, kw_only=True):
    """Views and shares of a clip."""

    id: UUID
    title: str
    view_count: int
    share_count: int


# A session is a room; it lasts until its end, or until the last activity in it.
LIST_DAYS = """
WITH days AS (
    SELECT generate_series(current_date - %(days)s::integer + 1, current_date, interval '1 day')::date AS day
), mine AS (
    SELECT id, created_at::date AS day, coalesce(ended_at, last_activity_at) - created_at AS length
    FROM rooms WHERE host_user_id = %(user_id)s AND created_at >= current_date - %(days)s::integer + 1
), counted AS (
    SELECT day, length,
        (SELECT count(*) FROM room_participants AS p WHERE p.room_id = mine.id) AS people,
        (SELECT count(*) FROM room_messages AS m WHERE m.room_id = mine.id AND m.deleted_at IS NULL) AS messages,
        (SELECT count(*) FROM polls WHERE polls.room_id = mine.id) AS polls,
        (SELECT count(*) FROM poll_votes JOIN polls ON polls.id = poll_id WHERE polls.room_id = mine.id) AS votes
    FROM mine
)
SELECT days.day, count(counted.day) AS sessions,
    coalesce(extract(epoch FROM sum(length)) / 60, 0)::double precision AS minutes,
    coalesce(sum(people), 0)::bigint AS people, coalesce(sum(messages), 0)::bigint AS messages,
    coalesce(sum(polls), 0)::bigint AS polls, coalesce(sum(votes), 0)::bigint AS votes
FROM days LEFT JOIN counted USING (day) GROUP BY days.day ORDER BY days.day
"""
LIST_HOURS = """
SELECT extract(isodow FROM m.created_at)::integer AS weekday, extract(hour FROM m.created_at)::integer AS hour,
    count(*) AS messages
FROM room_messages AS m JOIN rooms ON rooms.id = m.room_id
WHERE rooms.host_user_id = %(user_id)s AND m.created_at >= current_date - %(days)s::integer + 1
GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""
LIST_CLIPS = """
SELECT id, title, view_count, share_count FROM clips
WHERE user_id = %(user_id)s AND view_count + share_count > 0
ORDER BY view_count DESC, share_count DESC, id LIMIT %(limit)s
"""


def list_days(tx: Transaction, *, user_id: UUID, days: int) -> list[DayRow]:
    """List the last days, oldest first, including those without a session."""
    with tx.cursor(row_factory=class_row(DayRow)) as cursor:
        return cursor.execute(LIST_DAYS, {"user_id": user_id, "days": days}).fetchall()


def list_hours(tx: Transaction, *, user_id: UUID, days: int) -> list[HourRow]:
    """List the hours of the week (UTC) with messages, busiest first."""
    with tx.cursor(row_factory=class_row(HourRow)) as cursor:
        return cursor.execute(LIST_HOURS, {"user_id": user_id, "days": days}).fetchall()


def list_clips(tx: Transaction, *, user_id: UUID, limit: int) -> list[ClipRow]:
    """List the most viewed and shared clips."""
    with tx.cursor(row_factory=class_row(ClipRow)) as cursor:
        return cursor.execute(LIST_CLIPS, {"user_id": user_id, "limit": limit}).fetchall()
