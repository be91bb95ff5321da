"""Schedules and their ticks: one row for each run, so that two schedulers cannot run it twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from db.connection import Transaction
from db.jobs import JobState


class Schedule(Struct, frozen=True, kw_only=True):
    """A job that runs at an interval."""

    name: str
    every_s: int
    kind: str


class ScheduleState(Struct, frozen=True, kw_only=True):
    """A schedule with its latest run."""

    name: str
    every_s: int
    kind: str
    is_paused: bool
    last_slot: datetime | None
    last_job_id: UUID | None
    last_state: JobState | None
    last_result: dict[str, Any] | None
    last_error: dict[str, Any] | None
    last_finished_at: datetime | None
    next_slot: datetime


UPSERT_SCHEDULES = """
INSERT INTO schedules (name, every_s, kind)
SELECT * FROM unnest(%(names)s::text[], %(seconds)s::integer[], %(kinds)s::text[])
ON CONFLICT (name) DO UPDATE SET every_s = excluded.every_s, kind = excluded.kind
"""
DELETE_OTHERS = "DELETE FROM schedules WHERE name <> ALL(%(names)s)"
# Several missed ticks count as one, in the current slot.
INSERT_TICKS = """
INSERT INTO schedule_ticks (name, slot)
SELECT name, to_timestamp(floor(extract(epoch FROM now()) / every_s) * every_s) FROM schedules WHERE NOT is_paused
ON CONFLICT (name, slot) DO NOTHING
RETURNING name
"""
INSERT_EXTRA_TICK = """
INSERT INTO schedule_ticks (name, slot) SELECT name, clock_timestamp() FROM schedules WHERE name = %(name)s
RETURNING name, slot
"""
FIND_OPEN_JOB = """
SELECT jobs.id FROM schedule_ticks JOIN jobs ON jobs.id = schedule_ticks.job_id
WHERE schedule_ticks.name = %(name)s AND jobs.state IN ('queued', 'running')
ORDER BY schedule_ticks.slot DESC LIMIT 1
"""
SET_TICK_JOB = """
UPDATE schedule_ticks SET job_id = %(job_id)s WHERE name = %(name)s AND slot = (
    SELECT max(slot) FROM schedule_ticks WHERE name = %(name)s
)
"""
LIST_SCHEDULES = """
SELECT schedules.name, schedules.every_s, schedules.kind, schedules.is_paused, tick.slot AS last_slot,
    tick.job_id AS last_job_id, jobs.state AS last_state, jobs.result AS last_result, jobs.error AS last_error,
    jobs.finished_at AS last_finished_at,
    to_timestamp((floor(extract(epoch FROM now()) / every_s) + 1) * every_s) AS next_slot
FROM schedules
LEFT JOIN LATERAL (
    SELECT slot, job_id FROM schedule_ticks
    WHERE schedule_ticks.name = schedules.name AND job_id IS NOT NULL ORDER BY slot DESC LIMIT 1
) AS tick ON true
LEFT JOIN jobs ON jobs.id = tick.job_id
ORDER BY schedules.name
"""
FIND_SCHEDULE = "SELECT name, every_s, kind FROM schedules WHERE name = %(name)s"
SET_PAUSED = "UPDATE schedules SET is_paused = %(is_paused)s WHERE name = %(name)s RETURNING name"
PRUNE_TICKS = """
DELETE FROM schedule_ticks WHERE (name, slot) IN (
    SELECT name, slot FROM schedule_ticks WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING name
"""


def save_schedules(tx: Transaction, schedules: Sequence[Schedule]) -> None:
    """Store exactly these schedules in the table; paused ones stay paused."""
    names = [schedule.name for schedule in schedules]
    tx.execute(
        UPSERT_SCHEDULES,
        {
            "names": names,
            "seconds": [schedule.every_s for schedule in schedules],
            "kinds": [schedule.kind for schedule in schedules],
        },
    )
    tx.execute(DELETE_OTHERS, {"names": names})


def insert_ticks(tx: Transaction) -> list[str]:
    """Insert the due ticks; return the names of the newly inserted ones."""
    return [row["name"] for row in tx.execute(INSERT_TICKS)]


def insert_extra_tick(tx: Transaction, name: str) -> bool:
    """Insert a tick for now, due or not; False when the schedule does not exist."""
    return tx.execute(INSERT_EXTRA_TICK, {"name": name}).fetchone() is not None


def find_open_job(tx: Transaction, name: str) -> UUID | None:
    """Return the open job of an earlier tick."""
    row = tx.execute(FIND_OPEN_JOB, {"name": name}).fetchone()
    return row["id"] if row else None


def set_tick_job(tx: Transaction, name: str, job_id: UUID) -> None:
    """Set the job of the latest tick."""
    tx.execute(SET_TICK_JOB, {"name": name, "job_id": job_id})


def find_schedule(tx: Transaction, name: str) -> Schedule | None:
    """Return a schedule by its name."""
    row = tx.execute(FIND_SCHEDULE, {"name": name}).fetchone()
    return Schedule(**row) if row else None


def list_schedules(tx: Transaction) -> list[ScheduleState]:
    """List all schedules with their latest runs, by name."""
    return [ScheduleState(**row) for row in tx.execute(LIST_SCHEDULES)]


def set_paused(tx: Transaction, name: str, *, is_paused: bool) -> bool:
    """Pause or resume; False when the schedule does not exist."""
    return tx.execute(SET_PAUSED, {"name": name, "is_paused": is_paused}).fetchone() is not None


def prune_ticks(tx: Transaction, *, days: int, limit: int) -> int:
    """Delete old ticks; return how many."""
    return len(tx.execute(PRUNE_TICKS, {"days": days, "limit": limit}).fetchall())
