"""Scheduled jobs. A tick is a row that only one scheduler can insert, together with its job."""

from db import schedules as rows
from db.connection import Transaction
from db.schedules import Schedule, ScheduleState
from services.errors import NotFoundError
from services.jobs import service as jobs
from services.jobs.service import Job

__all__ = ["Schedule", "ScheduleState"]

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
SCHEDULES = (
    Schedule(name="expire-clips", every_s=10 * MINUTE_S, kind="expire_clips"),
    Schedule(name="cleanup-clips", every_s=15 * MINUTE_S, kind="cleanup_clips"),
    Schedule(name="cleanup-rooms", every_s=HOUR_S, kind="cleanup_rooms"),
    Schedule(name="end-silent-recordings", every_s=MINUTE_S, kind="end_silent_recordings"),
    Schedule(name="archive-polls", every_s=10 * MINUTE_S, kind="archive_polls"),
    Schedule(name="reset-quotas", every_s=HOUR_S, kind="reset_quotas"),
    Schedule(name="sweep-uploads", every_s=HOUR_S, kind="sweep_uploads"),
    Schedule(name="sweep-objects", every_s=24 * HOUR_S, kind="sweep_objects"),
    Schedule(name="purge-idempotency-keys", every_s=10 * MINUTE_S, kind="purge_idempotency_keys"),
    Schedule(name="roll-up-jobs", every_s=MINUTE_S, kind="roll_up_jobs"),
    Schedule(name="prune-jobs", every_s=10 * MINUTE_S, kind="prune_jobs"),
    Schedule(name="reconcile-subscriptions", every_s=24 * HOUR_S, kind="reconcile_subscriptions"),
    Schedule(name="prune-stripe-events", every_s=24 * HOUR_S, kind="prune_stripe_events"),
    Schedule(name="expire-exports", every_s=HOUR_S, kind="expire_exports"),
    Schedule(name="sweep-webhooks", every_s=MINUTE_S, kind="sweep_webhooks"),
)


def install(tx: Transaction) -> None:
    """Store these schedules in the table; paused ones stay paused."""
    rows.save_schedules(tx, SCHEDULES)


def tick(tx: Transaction) -> list[Job]:
    """Queue the due jobs, each once however many processes call this, and return them.

    Several missed ticks queue one job. A tick queues none while the job of an earlier tick is open.
    """
    return [_queue(tx, name) for name in rows.insert_ticks(tx) if rows.find_open_job(tx, name) is None]


def run_now(tx: Transaction, *, name: str) -> Job:
    """Queue the job of a schedule now, in addition to its ticks. Raises NotFoundError."""
    if not rows.insert_extra_tick(tx, name):
        raise NotFoundError(f"There is no schedule {name}")
    return _queue(tx, name)


def pause(tx: Transaction, *, name: str, is_paused: bool) -> None:
    """Pause or resume a schedule. Raises NotFoundError."""
    if not rows.set_paused(tx, name, is_paused=is_paused):
        raise NotFoundError(f"There is no schedule {name}")


def list_schedules(tx: Transaction) -> list[ScheduleState]:
    """List all schedules with their latest runs, by name."""
    return rows.list_schedules(tx)


def _queue(tx: Transaction, name: str) -> Job:
    schedule = rows.find_schedule(tx, name)
    if schedule is None:
        raise NotFoundError(f"There is no schedule {name}")
    job = jobs.enqueue(tx, kind=schedule.kind, user_id=None)
    rows.set_tick_job(tx, name, job.id)
    return job
