"""Queries for Prometheus: the current load of the system."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class QueueDepth(Struct, frozen=True, kw_only=True):
    """The jobs of a queue. `due` and `scheduled` wait in PostgreSQL, `sent` are on their way to a worker."""

    queue: str
    due: int
    scheduled: int
    sent: int
    running: int
    oldest_s: float
    """Waiting time of the oldest due job; 0 without one."""


class QueueDemand(Struct, frozen=True, kw_only=True):
    """The demand of a queue, without jobs beyond the caps of their owners."""

    queue: str
    slots_needed: int
    sendable_s: float
    """Waiting time of the next job that could be sent; 0 without one."""


class OwnerLoad(Struct, frozen=True, kw_only=True):
    """The number of an owner's open jobs."""

    owner_key: UUID
    jobs: int


class Workers(Struct, frozen=True, kw_only=True):
    """Worker processes by state, and their memory."""

    active: int
    draining: int
    silent: int
    memory_bytes: int


class WebhookLoad(Struct, frozen=True, kw_only=True):
    """Webhooks by state, and their pending deliveries."""

    enabled: int
    disabled: int
    failing: int
    pending: int
    oldest_s: float


class RoomLoad(Struct, frozen=True, kw_only=True):
    """The open rooms, and the number of recently opened ones."""

    open: int
    recording: int
    people: int
    polls: int
    opened_day: int


# Each part matches an index of `jobs`; otherwise a million finished rows would be read.
DEPTHS = """
SELECT queue, sum(due)::integer AS due, sum(scheduled)::integer AS scheduled, sum(sent)::integer AS sent,
    sum(running)::integer AS running,
    coalesce(extract(epoch FROM now() - min(oldest)), 0)::double precision AS oldest_s
FROM (
    SELECT queue, count(*) FILTER (WHERE run_at <= now()) AS due, count(*) FILTER (WHERE run_at > now()) AS scheduled,
        0 AS sent, 0 AS running, min(run_at) FILTER (WHERE run_at <= now()) AS oldest
    FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, count(*), 0, min(run_at)
    FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL GROUP BY queue
    UNION ALL
    SELECT queue, 0, 0, 0, count(*), NULL FROM jobs WHERE state = 'running' GROUP BY queue
) AS parts GROUP BY queue
"""
# A loose index scan: one step for each owner with waiting jobs, and at most `cap` rows of each are counted.
DEMANDS = """
WITH RECURSIVE heads AS (
    (SELECT queue, owner_key FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL
     ORDER BY queue, owner_key LIMIT 1)
    UNION ALL
    SELECT following.queue, following.owner_key FROM heads, LATERAL (
        SELECT queue, owner_key FROM jobs
        WHERE state = 'queued' AND dispatched_at IS NULL AND (queue, owner_key) > (heads.queue, heads.owner_key)
        ORDER BY queue, owner_key LIMIT 1
    ) AS following
),
flights AS (
    SELECT queue, owner_key, count(*) AS jobs FROM (
        SELECT queue, owner_key FROM jobs WHERE state = 'running'
        UNION ALL
        SELECT queue, owner_key FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL
    ) AS flight GROUP BY queue, owner_key
),
owners AS (SELECT queue, owner_key FROM heads UNION SELECT queue, owner_key FROM flights),
loads AS (
    SELECT owners.queue, coalesce(flights.jobs, 0) AS in_flight, waiting.jobs AS waiting, waiting.due_at,
        CASE WHEN owners.owner_key = %(system)s THEN %(system_cap)s ELSE coalesce(share.cap, %(cap)s) END AS cap
    FROM owners
    LEFT JOIN flights USING (queue, owner_key)
    LEFT JOIN subscriptions ON subscriptions.user_id = owners.owner_key
    LEFT JOIN unnest(%(tiers)s::text[], %(caps)s::integer[]) AS share (tier, cap)
        ON share.tier = tier_in_force(subscriptions)
    CROSS JOIN LATERAL (
        SELECT count(*) AS jobs, min(run_at) AS due_at FROM (
            SELECT run_at FROM jobs
            WHERE jobs.queue = owners.queue AND jobs.owner_key = owners.owner_key
              AND state = 'queued' AND dispatched_at IS NULL AND run_at <= now()
            ORDER BY priority DESC, run_at LIMIT %(most)s
        ) AS due
    ) AS waiting
)
SELECT queue,
    sum(greatest(in_flight, least(cap, in_flight + waiting)))::integer AS slots_needed,
    coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE in_flight < cap)), 0)::double precision AS sendable_s
FROM loads GROUP BY queue
"""
TOP_OWNERS = """
SELECT owner_key, sum(jobs)::integer AS jobs FROM (
    SELECT owner_key, count(*) AS jobs FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL GROUP BY owner_key
    UNION ALL
    SELECT owner_key, count(*) FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL GROUP BY owner_key
    UNION ALL
    SELECT owner_key, count(*) FROM jobs WHERE state = 'running' GROUP BY owner_key
) AS parts GROUP BY owner_key ORDER BY jobs DESC, owner_key LIMIT %(limit)s
"""
PAUSED = "SELECT queue FROM queue_controls WHERE is_paused"
WORKERS = """
SELECT count(*) FILTER (WHERE is_alive AND NOT is_leaving)::integer AS active,
    count(*) FILTER (WHERE is_alive AND is_leaving)::integer AS draining,
    count(*) FILTER (WHERE NOT is_alive)::integer AS silent,
    coalesce(sum(memory_bytes) FILTER (WHERE is_alive), 0)::bigint AS memory_bytes
FROM (
    SELECT heartbeat_at > now() - make_interval(secs => %(silent_s)s) AS is_alive,
        is_draining OR drain_requested_at IS NOT NULL AS is_leaving, memory_bytes
    FROM workers
) AS processes
"""
# pg_locks shows an advisory lock on a bigint as two halves.
HOLDS_LOCK = """
SELECT EXISTS (
    SELECT 1 FROM pg_locks, (SELECT hashtextextended(%(name)s, 0) AS key) AS wanted
    WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND classid = ((key >> 32) & 4294967295)::oid AND objid = (key & 4294967295)::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS is_held
"""
WEBHOOKS = """
SELECT hooks.enabled, hooks.disabled, hooks.failing, waiting.pending,
    coalesce(extract(epoch FROM now() - waiting.oldest), 0)::double precision AS oldest_s
FROM (
    SELECT count(*) FILTER (WHERE status = 'enabled')::integer AS enabled,
        count(*) FILTER (WHERE status = 'disabled')::integer AS disabled,
        count(*) FILTER (WHERE status = 'enabled' AND failing_since IS NOT NULL)::integer AS failing
    FROM webhooks
) AS hooks, (
    SELECT count(*)::integer AS pending, min(created_at) AS oldest FROM webhook_deliveries WHERE status = 'pending'
) AS waiting
"""
ROOMS = """
SELECT (SELECT count(*) FROM rooms WHERE is_active)::integer AS open,
    (SELECT count(*) FROM rooms WHERE recording_id IS NOT NULL AND is_active)::integer AS recording,
    (SELECT count(*) FROM rooms JOIN room_participants AS p ON p.room_id = rooms.id AND p.left_at IS NULL
     WHERE rooms.is_active)::integer AS people,
    (SELECT count(*) FROM polls WHERE status = 'active')::integer AS polls,
    (SELECT count(*) FROM rooms WHERE created_at > now() - interval '24 hours')::integer AS opened_day
"""


def list_depths(tx: Transaction) -> list[QueueDepth]:
    """Count the open jobs of each queue that has some."""
    with tx.cursor(row_factory=class_row(QueueDepth)) as cursor:
        return cursor.execute(DEPTHS).fetchall()


def list_demands(
    tx: Transaction, *, caps: Mapping[str, int], default_cap: int, system: UUID, system_cap: int
) -> list[QueueDemand]:
    """Return the demand of each queue with open jobs.

    `caps` has an owner's most jobs in flight in one queue, by tier; `system` is the owner of the system's own jobs.
    """
    parameters: dict[str, Any] = {
        "tiers": list(caps),
        "caps": list(caps.values()),
        "cap": default_cap,
        "system": system,
        "system_cap": system_cap,
        "most": max(default_cap, system_cap, *caps.values()),
    }
    with tx.cursor(row_factory=class_row(QueueDemand)) as cursor:
        return cursor.execute(DEMANDS, parameters).fetchall()


def list_top_owners(tx: Transaction, *, limit: int) -> list[OwnerLoad]:
    """List the owners with the most open jobs."""
    with tx.cursor(row_factory=class_row(OwnerLoad)) as cursor:
        return cursor.execute(TOP_OWNERS, {"limit": limit}).fetchall()


def list_paused(tx: Transaction) -> Sequence[str]:
    """List the queues that an operator has paused."""
    return [row["queue"] for row in tx.execute(PAUSED)]


def count_workers(tx: Transaction, *, silent_s: float) -> Workers:
    """Count worker processes by state."""
    with tx.cursor(row_factory=class_row(Workers)) as cursor:
        row = cursor.execute(WORKERS, {"silent_s": silent_s}).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups has one row
    return row


def is_lock_held(tx: Transaction, name: str) -> bool:
    """Return whether a process holds the advisory lock of this name."""
    row = tx.execute(HOLDS_LOCK, {"name": name}).fetchone()
    return bool(row and row["is_held"])


def count_webhooks(tx: Transaction) -> WebhookLoad:
    """Count webhooks by state, and their pending deliveries."""
    with tx.cursor(row_factory=class_row(WebhookLoad)) as cursor:
        row = cursor.execute(WEBHOOKS).fetchone()
    assert row is not None  # noqa: S101 - aggregates without groups have one row
    return row


def count_rooms(tx: Transaction) -> RoomLoad:
    """Count the open rooms with the people, polls and recordings in them."""
    with tx.cursor(row_factory=class_row(RoomLoad)) as cursor:
        row = cursor.execute(ROOMS).fetchone()
    assert row is not None  # noqa: S101 - a query of subqueries has one row
    return row
