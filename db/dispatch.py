"""Queries of the dispatcher: free slots, waiting owners, and rows to send."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from db.connection import Transaction

URGENT_PRIORITY = 100
"""Jobs of at least this priority come before every owner's turn; the index jobs_urgent has the same number."""


class Flight(Struct, frozen=True, kw_only=True):
    """The number of one owner's jobs of a kind in a queue that are running, or sent and not yet claimed."""

    queue: str
    owner_key: UUID
    kind: str
    running: int
    sent: int
    is_free: bool
    """Whether the owner is on the free tier; the system is not."""


class NextJob(Struct, frozen=True):
    """A waiting job that may be sent."""

    id: UUID
    kind: str


class WaitingOwner(Struct, frozen=True, kw_only=True):
    """An owner with a job in the queue that could be sent now."""

    owner_key: UUID
    tier: str


class Sent(Struct, frozen=True, kw_only=True):
    """A row that was marked as sent, with the fields of its message."""

    job_id: UUID
    dispatch_no: int
    queue: str
    kind: str
    priority: int
    trace_id: str | None


class Unclaimed(Struct, frozen=True, kw_only=True):
    """A sent row that no worker has claimed."""

    job_id: UUID
    dispatch_no: int
    queue: str


# Jobs arrive faster than statistics are updated. A planner that expects no waiting rows may use any index and read a
# hundred thousand rows. So every statement here orders rows like its index, and sorting is disabled.
KEEP_TO_INDEXES = """
SELECT set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true)
"""
COUNT_SLOTS = """
SELECT queue, sum(slots)::integer AS slots FROM workers, unnest(queues) AS queue
WHERE NOT is_draining AND drain_requested_at IS NULL AND heartbeat_at > now() - make_interval(secs => %(silent_s)s)
  AND NOT EXISTS (SELECT 1 FROM queue_controls WHERE queue_controls.queue = queue.queue AND is_paused)
GROUP BY queue
"""
LIST_QUEUES = """
SELECT queue FROM unnest(%(queues)s::text[]) AS queue
CROSS JOIN LATERAL (
    SELECT 1 FROM jobs WHERE jobs.queue = queue.queue AND state = 'queued' AND dispatched_at IS NULL
    ORDER BY jobs.queue, jobs.owner_key LIMIT 1
) AS first
"""
LIST_FLIGHTS = """
WITH in_flight AS (
    SELECT queue, owner_key, kind, sum(running)::integer AS running, sum(sent)::integer AS sent FROM (
        SELECT queue, owner_key, kind, 1 AS running, 0 AS sent FROM jobs WHERE state = 'running'
        UNION ALL
        (SELECT queue, owner_key, kind, 0, 1 FROM jobs WHERE state = 'queued' AND dispatched_at IS NOT NULL
         ORDER BY queue, dispatched_at)
    ) AS each GROUP BY queue, owner_key, kind
)
SELECT in_flight.*, subscriptions.user_id IS NOT NULL AND tier_in_force(subscriptions) = 'free' AS is_free
FROM in_flight LEFT JOIN subscriptions ON subscriptions.user_id = in_flight.owner_key
"""
# A loose index scan: one step in jobs_waiting for each owner, however many jobs they have. LIMIT 1 keeps the planner
# from reading all jobs at once, as it would for EXISTS.
LIST_OWNERS = """
WITH RECURSIVE owners AS (
    (SELECT owner_key FROM jobs
     WHERE queue = %(queue)s AND state = 'queued' AND dispatched_at IS NULL
     ORDER BY owner_key LIMIT 1)
    UNION ALL
    SELECT (SELECT following.owner_key FROM jobs AS following
            WHERE following.queue = %(queue)s AND following.state = 'queued' AND following.dispatched_at IS NULL
              AND following.owner_key > owners.owner_key
            ORDER BY following.owner_key LIMIT 1)
    FROM owners WHERE owners.owner_key IS NOT NULL
)
SELECT owners.owner_key, tier_in_force(subscriptions) AS tier
FROM owners
CROSS JOIN LATERAL (
    SELECT 1 FROM jobs
    WHERE jobs.queue = %(queue)s AND jobs.state = 'queued' AND jobs.dispatched_at IS NULL
      AND jobs.owner_key = owners.owner_key AND jobs.run_at <= now() AND jobs.kind <> ALL(%(held_kinds)s)
    ORDER BY jobs.priority DESC, jobs.run_at, jobs.created_at LIMIT 1
) AS due
LEFT JOIN subscriptions ON subscriptions.user_id = owners.owner_key
"""
LIST_TIER_LIMITS = "SELECT tier, limits FROM tier_features ORDER BY tier"
LIST_NEXT = """
SELECT wanted.owner_key, next.id, next.kind
FROM unnest(%(owners)s::uuid[], %(counts)s::integer[]) AS wanted (owner_key, count)
CROSS JOIN LATERAL (
    SELECT id, kind, priority, run_at, created_at FROM jobs
    WHERE queue = %(queue)s AND state = 'queued' AND dispatched_at IS NULL AND owner_key = wanted.owner_key
      AND run_at <= now() AND kind <> ALL(%(held_kinds)s)
    ORDER BY priority DESC, run_at, created_at LIMIT wanted.count
) AS next
ORDER BY next.priority DESC, next.run_at, next.created_at
"""
LIST_URGENT = """
SELECT id FROM jobs
WHERE queue = %(queue)s AND state = 'queued' AND dispatched_at IS NULL AND priority >= 100 AND run_at <= now()
ORDER BY priority DESC, run_at LIMIT %(limit)s
"""
# The state is checked outside the subquery that locks: inside, a planner with old statistics would read all waiting
# rows.
MARK_SENT = """
WITH picked AS (
    SELECT id, state, dispatched_at FROM jobs WHERE id = ANY(%(job_ids)s) FOR UPDATE SKIP LOCKED
)
UPDATE jobs SET dispatched_at = now(), dispatch_no = jobs.dispatch_no + 1
FROM picked WHERE jobs.id = picked.id AND picked.state = 'queued' AND picked.dispatched_at IS NULL
RETURNING jobs.id AS job_id, jobs.dispatch_no, jobs.queue, jobs.kind, jobs.priority, jobs.trace_id
"""
UNMARK = """
UPDATE jobs SET dispatched_at = NULL
FROM unnest(%(job_ids)s::uuid[], %(numbers)s::integer[]) AS sent (job_id, dispatch_no)
WHERE jobs.id = sent.job_id AND jobs.dispatch_no = sent.dispatch_no AND jobs.state = 'queued'
RETURNING jobs.id
"""
RECALL = """
UPDATE jobs SET dispatched_at = NULL WHERE id IN (
    SELECT id FROM jobs
    WHERE queue = %(queue)s AND state = 'queued' AND dispatched_at IS NOT NULL AND owner_key = ANY(%(owners)s)
      AND priority < 100
    ORDER BY queue, dispatched_at
    FOR UPDATE SKIP LOCKED
)
RETURNING owner_key
"""
# A worker with a free slot fetches a message within milliseconds, so one that waits for seconds may be lost.
LIST_UNCLAIMED = """
SELECT id AS job_id, dispatch_no, queue FROM jobs AS unclaimed
WHERE state = 'queued' AND dispatched_at < now() - make_interval(secs => %(unclaimed_s)s)
  AND EXISTS (
    SELECT 1 FROM workers
    WHERE unclaimed.queue = ANY(workers.queues) AND NOT workers.is_draining AND workers.drain_requested_at IS NULL
      AND workers.heartbeat_at > now() - make_interval(secs => %(silent_s)s)
      AND workers.slots > (
        SELECT count(*) FROM jobs AS busy WHERE busy.state = 'running' AND busy.worker_id = workers.id
      )
  )
ORDER BY queue, dispatched_at
"""


def keep_to_indexes(tx: Transaction) -> None:
    """Make the rest of this transaction read only by index, whatever the statistics say."""
    tx.execute(KEEP_TO_INDEXES)


def count_slots(tx: Transaction, *, silent_s: float) -> dict[str, int]:
    """Return queue → slots of the workers that are alive and not draining; paused queues are left out."""
    return {row["queue"]: row["slots"] for row in tx.execute(COUNT_SLOTS, {"silent_s": silent_s})}


def list_queues(tx: Transaction, queues: Sequence[str]) -> list[str]:
    """List the queues with waiting jobs."""
    return [row["queue"] for row in tx.execute(LIST_QUEUES, {"queues": list(queues)})]


def list_flights(tx: Transaction) -> list[Flight]:
    """Count running and sent jobs, by queue and owner."""
    return [Flight(**row) for row in tx.execute(LIST_FLIGHTS)]


def list_owners(tx: Transaction, queue: str, *, held_kinds: Sequence[str] = ()) -> list[WaitingOwner]:
    """List the owners with a due job in the queue, except jobs of kinds that are held back."""
    return [WaitingOwner(**row) for row in tx.execute(LIST_OWNERS, {"queue": queue, "held_kinds": list(held_kinds)})]


def list_tier_limits(tx: Transaction) -> dict[str, dict[str, Any]]:
    """Return the limits in the rows of the tiers, by tier."""
    return {row["tier"]: row["limits"] for row in tx.execute(LIST_TIER_LIMITS)}


def list_next(
    tx: Transaction, queue: str, counts: Mapping[UUID, int], *, held_kinds: Sequence[str] = ()
) -> dict[UUID, list[NextJob]]:
    """Return owner → their next jobs in order, up to the requested number."""
    parameters: dict[str, Any] = {
        "queue": queue,
        "owners": list(counts),
        "counts": list(counts.values()),
        "held_kinds": list(held_kinds),
    }
    jobs: dict[UUID, list[NextJob]] = {owner: [] for owner in counts}
    for row in tx.execute(LIST_NEXT, parameters):
        jobs[row["owner_key"]].append(NextJob(row["id"], row["kind"]))
    return jobs


def list_urgent(tx: Transaction, queue: str, *, limit: int) -> list[UUID]:
    """List the waiting jobs that an operator moved to the front."""
    return [row["id"] for row in tx.execute(LIST_URGENT, {"queue": queue, "limit": limit})]


def mark_sent(tx: Transaction, job_ids: Sequence[UUID]) -> list[Sent]:
    """Mark rows as sent under a new number, in the given order; locked rows are left out."""
    rows = tx.execute(MARK_SENT, {"job_ids": list(job_ids)})
    place = {job_id: number for number, job_id in enumerate(job_ids)}
    return sorted((Sent(**row) for row in rows), key=lambda sent: place[sent.job_id])


def unmark(tx: Transaction, sent: Sequence[tuple[UUID, int]]) -> int:
    """Make sent jobs that were not claimed wait again, by id and dispatch number; return how many."""
    parameters = {"job_ids": [job_id for job_id, _ in sent], "numbers": [number for _, number in sent]}
    return len(tx.execute(UNMARK, parameters).fetchall())


def recall(tx: Transaction, queue: str, owners: Sequence[UUID]) -> list[UUID]:
    """Make the sent jobs of these owners wait again, except urgent ones.

    Returns the owner of each of these jobs.
    """
    return [row["owner_key"] for row in tx.execute(RECALL, {"queue": queue, "owners": list(owners)})]


def list_unclaimed(tx: Transaction, *, unclaimed_s: float, silent_s: float) -> list[Unclaimed]:
    """List jobs sent at least that long ago and not claimed, although a worker of their queue has a free slot."""
    rows = tx.execute(LIST_UNCLAIMED, {"unclaimed_s": unclaimed_s, "silent_s": silent_s})
    return [Unclaimed(**row) for row in rows]
