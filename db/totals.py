"""Totals of job events, counted in batches, each event once."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class EndedJob(Struct, frozen=True, kw_only=True):
    """A transition that is not counted yet; seconds are None unless it is the job's final end."""

    event_id: int
    event: str
    queue: str
    kind: str
    code: str
    wait_s: float | None
    run_s: float | None
    media_s: float


class JobTotal(Struct, frozen=True, kw_only=True):
    """The number of jobs of a kind that ended in one way. Counts are by bucket; the last one is above all bounds."""

    queue: str
    kind: str
    outcome: str
    code: str
    jobs: int
    media_s: float
    wait_s: float
    run_s: float
    wait_counts: list[int]
    run_counts: list[int]


class EventTotal(Struct, frozen=True, kw_only=True):
    """The number of events of one type in a queue."""

    queue: str
    event: str
    code: str
    total: int


TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('big-snuggles/totals', 0)) AS is_ours"
# Numbers are assigned before the commit, so young events wait for the next count.
LIST_UNCOUNTED = """
WITH batch AS (
    SELECT id, job_id, at, event, details FROM job_events
    WHERE id > (SELECT last_id FROM total_marks WHERE name = 'job_events') ORDER BY id LIMIT %(limit)s
)
SELECT batch.id AS event_id, batch.event, jobs.queue, jobs.kind, coalesce(batch.details ->> 'code', '') AS code,
    CASE WHEN jobs.finished_at = batch.at
         THEN greatest(0, extract(epoch FROM jobs.started_at - jobs.run_at))::double precision END AS wait_s,
    CASE WHEN jobs.finished_at = batch.at
         THEN greatest(0, extract(epoch FROM jobs.finished_at - jobs.started_at))::double precision END AS run_s,
    CASE WHEN batch.event <> 'succeeded' THEN 0
         WHEN jobs.kind = 'render' THEN coalesce(clips.end_s - clips.start_s, 0)
         WHEN jobs.kind = 'ingest' THEN coalesce(recordings.duration_s, 0) ELSE 0 END AS media_s
FROM batch
JOIN jobs ON jobs.id = batch.job_id
LEFT JOIN clips ON clips.id = jobs.clip_id
LEFT JOIN recordings ON recordings.id = jobs.recording_id
WHERE batch.id < coalesce(
    (SELECT min(id) FROM batch WHERE at > now() - make_interval(secs => %(settle_s)s)), 9223372036854775807
)
ORDER BY batch.id
"""
SET_MARK = "UPDATE total_marks SET last_id = %(last_id)s WHERE name = 'job_events'"
ADD_JOBS = """
INSERT INTO job_totals AS t (queue, kind, outcome, code, jobs, media_s, wait_s, run_s, wait_counts, run_counts)
VALUES (%(queue)s, %(kind)s, %(outcome)s, %(code)s, %(jobs)s, %(media_s)s, %(wait_s)s, %(run_s)s, %(wait_counts)s,
        %(run_counts)s)
ON CONFLICT (queue, kind, outcome, code) DO UPDATE SET
    jobs = t.jobs + excluded.jobs, media_s = t.media_s + excluded.media_s,
    wait_s = t.wait_s + excluded.wait_s, run_s = t.run_s + excluded.run_s,
    wait_counts = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i)
                   FROM unnest(t.wait_counts, excluded.wait_counts) WITH ORDINALITY AS u (a, b, i)),
    run_counts = (SELECT array_agg(coalesce(a, 0) + coalesce(b, 0) ORDER BY i)
                  FROM unnest(t.run_counts, excluded.run_counts) WITH ORDINALITY AS u (a, b, i))
"""
ADD_EVENTS = """
INSERT INTO job_event_totals AS t (queue, event, code, total) VALUES (%(queue)s, %(event)s, %(code)s, %(total)s)
ON CONFLICT (queue, event, code) DO UPDATE SET total = t.total + excluded.total
"""
LIST_JOB_TOTALS = """
SELECT queue, kind, outcome, code, jobs, media_s, wait_s, run_s, wait_counts, run_counts FROM job_totals
ORDER BY queue, kind, outcome, code
"""
LIST_EVENT_TOTALS = "SELECT queue, event, code, total FROM job_event_totals ORDER BY queue, event, code"


def try_lock(tx: Transaction) -> bool:
    """Take the lock for counting until the commit; False when another transaction has it."""
    row = tx.execute(TRY_LOCK).fetchone()
    return bool(row and row["is_ours"])


def list_uncounted(tx: Transaction, *, limit: int, settle_s: float) -> list[EndedJob]:
    """List job events since the last count, oldest first, up to `settle_s` ago."""
    with tx.cursor(row_factory=class_row(EndedJob)) as cursor:
        return cursor.execute(LIST_UNCOUNTED, {"limit": limit, "settle_s": settle_s}).fetchall()


def add(tx: Transaction, *, jobs: Sequence[JobTotal], events: Sequence[EventTotal], last_id: int) -> None:
    """Add to the totals, and record the last counted event."""
    with tx.cursor() as cursor:
        cursor.executemany(ADD_JOBS, [_parameters(total) for total in jobs])
        cursor.executemany(ADD_EVENTS, [_parameters(total) for total in events])
        cursor.execute(SET_MARK, {"last_id": last_id})


def list_job_totals(tx: Transaction) -> list[JobTotal]:
    """List all totals of ended jobs."""
    with tx.cursor(row_factory=class_row(JobTotal)) as cursor:
        return cursor.execute(LIST_JOB_TOTALS).fetchall()


def list_event_totals(tx: Transaction) -> list[EventTotal]:
    """List all totals of other events."""
    with tx.cursor(row_factory=class_row(EventTotal)) as cursor:
        return cursor.execute(LIST_EVENT_TOTALS).fetchall()


def _parameters(total: JobTotal | EventTotal) -> dict[str, Any]:
    return {name: getattr(total, name) for name in total.__struct_fields__}
