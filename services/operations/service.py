"""Views and actions of operators. All of them run as the service; callers have checked the permission."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from db import deliveries as delivery_rows
from db import dispatch, workers
from db import jobs as job_rows
from db import metrics as metric_rows
from db import operations as rows
from db.connection import Transaction
from db.deliveries import Delivery
from db.jobs import Cursor
from db.operations import (
    AuditEntry,
    DeliveryFilter,
    ErrorGroup,
    JobFilter,
    QueueTimes,
    Receiver,
    SeriesPoint,
    Tenant,
    WorkerState,
)
from services.errors import InvalidFieldError, NotFoundError
from services.jobs.dispatch import WORKER_SILENT_S
from services.jobs.fairness import SYSTEM
from services.jobs.service import QUEUES, Job, JobEvent
from services.lifecycle import outcome as lifecycle
from services.paging import Page, page_of
from services.webhooks import service as webhooks

__all__ = [
    "AuditEntry",
    "DeliveryFilter",
    "ErrorGroup",
    "JobFilter",
    "QueueTimes",
    "Receiver",
    "SeriesPoint",
    "Tenant",
    "WorkerState",
]

Action = Literal["retry", "discard", "cancel", "run_next"]
BULK_LIMIT = 10_000
"""The most jobs that one call changes; the result says how many remain for another call."""
COUNT_LIMIT = 100_000
SHOWN_COUNT = 10_000
"""Counts beside a list stop here: exact ones at millions of rows take seconds."""
ERROR_GROUPS = 50
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
TENANTS = 100
SERIES = {3600: 300, 24 * 3600: 3600, 7 * 24 * 3600: 6 * 3600}
"""Seconds to look back → seconds for each point, for a few dozen points."""
OPEN_TO: dict[Action, tuple[str, ...]] = {
    "retry": ("failed",),
    "discard": ("failed",),
    "cancel": ("queued", "running"),
    "run_next": ("queued",),
}


class Operator(Struct, frozen=True, kw_only=True):
    """The acting operator: a user with the permission, or the holder of the operator's token."""

    name: str
    user_id: UUID | None = None


class QueueState(Struct, frozen=True, kw_only=True):
    """A queue's current load and recent results."""

    name: str
    is_paused: bool
    waiting: int
    scheduled: int
    sent: int
    running: int
    oldest_s: float
    slots: int


class BulkResult(Struct, frozen=True, kw_only=True):
    """The effect of an action on all matching jobs, or its preview."""

    action: str
    matched: int
    changed: int
    is_preview: bool
    has_more: bool


def list_queues(tx: Transaction) -> list[QueueState]:
    """List all queues."""
    depths = {depth.queue: depth for depth in metric_rows.list_depths(tx)}
    paused = set(metric_rows.list_paused(tx))
    slots = dispatch.count_slots(tx, silent_s=WORKER_SILENT_S)
    found = []
    for queue in QUEUES:
        depth = depths.get(queue)
        found.append(
            QueueState(
                name=queue,
                is_paused=queue in paused,
                waiting=depth.due if depth else 0,
                scheduled=depth.scheduled if depth else 0,
                sent=depth.sent if depth else 0,
                running=depth.running if depth else 0,
                oldest_s=depth.oldest_s if depth else 0.0,
                slots=slots.get(queue, 0),
            )
        )
    return found


def list_series(tx: Transaction, *, back_s: int) -> list[SeriesPoint]:
    """List the results of jobs over the last hour, day or week; InvalidFieldError for another span."""
    _require_span(back_s)
    return rows.list_series(tx, back_s=back_s, step_s=SERIES[back_s])


def _require_span(back_s: int) -> None:
    if back_s not in SERIES:
        raise InvalidFieldError("back_s", f"Choose one of {', '.join(map(str, SERIES))} seconds.")


def pause_queue(tx: Transaction, operator: Operator, *, queue: str, is_paused: bool) -> None:
    """Pause or resume a queue; workers finish the jobs they have. NotFoundError."""
    if queue not in QUEUES:
        raise NotFoundError(f"There is no queue {queue}")
    rows.set_queue_paused(tx, queue, is_paused=is_paused)
    workers.wake_dispatcher(tx)
    record(tx, operator, action="queue.pause" if is_paused else "queue.resume", subject=("queue", queue))


def list_errors(tx: Transaction, *, back_s: int) -> list[ErrorGroup]:
    """Group failed jobs by error code over the last hour, day or week; InvalidFieldError for another span."""
    _require_span(back_s)
    return rows.list_errors(tx, back_s=back_s, limit=ERROR_GROUPS)


def list_times(tx: Transaction, *, back_s: int) -> list[QueueTimes]:
    """List percentiles of waiting and run times over the last hour, day or week; InvalidFieldError for another span."""
    _require_span(back_s)
    return rows.list_times(tx, back_s=back_s)


def count_by_state(tx: Transaction, wanted: JobFilter) -> dict[str, int]:
    """Count the matching jobs by state, ignoring the filter's state; SHOWN_COUNT + 1 means more than SHOWN_COUNT."""
    return {state: rows.count_jobs(tx, replace(wanted, state=state), most=SHOWN_COUNT + 1) for state in STATES}


def list_workers(tx: Transaction) -> list[WorkerState]:
    """List the worker processes with their running jobs."""
    return rows.list_workers(tx)


def drain_worker(tx: Transaction, operator: Operator, *, worker_id: UUID) -> None:
    """Let a worker finish its jobs and take no more. Raises NotFoundError."""
    if not workers.request_drain(tx, worker_id):
        raise NotFoundError("There is no such worker.")
    record(tx, operator, action="worker.drain", subject=("worker", str(worker_id)))


def undrain_worker(tx: Transaction, operator: Operator, *, worker_id: UUID) -> None:
    """Let a drained worker take jobs again, within seconds. Raises NotFoundError."""
    if not workers.cancel_drain(tx, worker_id):
        raise NotFoundError("There is no such worker.")
    record(tx, operator, action="worker.undrain", subject=("worker", str(worker_id)))


def list_tenants(tx: Transaction) -> list[Tenant]:
    """List the owners with most jobs."""
    return rows.list_tenants(tx, system=SYSTEM, limit=TENANTS)


def search_jobs(tx: Transaction, wanted: JobFilter, *, limit: int, cursor: Cursor | None = None) -> Page[Job]:
    """List matching jobs of all owners, newest first."""
    found = rows.search_jobs(tx, wanted, limit=limit + 1, cursor=cursor)
    return page_of(found, limit, [(job.created_at, job.id) for job in found])


def emails_of(tx: Transaction, jobs: Sequence[Job]) -> dict[UUID, str]:
    """Return the email addresses of the jobs' owners, by id; jobs of the system have none."""
    return rows.list_emails(tx, list({job.user_id for job in jobs if job.user_id is not None}))


def get_job(tx: Transaction, *, job_id: UUID) -> tuple[Job, list[JobEvent]]:
    """Return a job of any owner with its events. Raises NotFoundError."""
    job = job_rows.find_job(tx, job_id)
    if job is None:
        raise NotFoundError("There is no such job.")
    return job, job_rows.list_events(tx, job_id)


def act(
    tx: Transaction, operator: Operator, *, action: Action, wanted: JobFilter, is_preview: bool = False
) -> BulkResult:
    """Retry, discard, cancel or prioritise all matching jobs whose state allows it, at most BULK_LIMIT in a call.

    A preview only counts. InvalidFieldError for a filter without a condition, so that nobody selects all by mistake.
    """
    if wanted == JobFilter():
        raise InvalidFieldError("filter", "Say which jobs: by ids, or by at least one condition.")
    filters = _narrowed(wanted, OPEN_TO[action])
    matched = sum(rows.count_jobs(tx, one, most=COUNT_LIMIT) for one in filters)
    changed = 0
    if not is_preview:
        changed = _apply(tx, action, filters)
        details = {"filter": _plain(wanted), "matched": matched, "changed": changed}
        record(tx, operator, action=f"jobs.{action}", subject=("jobs", None), details=details)
    return BulkResult(
        action=action,
        matched=matched,
        changed=changed,
        is_preview=is_preview,
        has_more=not is_preview and matched > changed,
    )


def list_deliveries(
    tx: Transaction, wanted: DeliveryFilter, *, limit: int, cursor: Cursor | None = None
) -> Page[Delivery]:
    """List deliveries to all webhooks, newest first."""
    found = rows.list_deliveries(tx, wanted, limit=limit + 1, cursor=cursor)
    return page_of(found, limit, [(delivery.created_at, delivery.id) for delivery in found])


def receivers_of(tx: Transaction, deliveries: Sequence[Delivery]) -> dict[UUID, Receiver]:
    """Return the receivers of deliveries, by the id of the webhook."""
    return rows.list_receivers(tx, list({delivery.webhook_id for delivery in deliveries}))


def replay_delivery(tx: Transaction, operator: Operator, *, delivery_id: UUID) -> Delivery:
    """Send the event of an ended delivery again, as a new delivery.

    NotFoundError; ConflictError while it is pending, or its webhook is disabled.
    """
    found = delivery_rows.find_delivery(tx, delivery_id)
    if found is None:
        raise NotFoundError("There is no such delivery.")
    replayed = webhooks.replay(tx, user_id=found.user_id, webhook_id=found.webhook_id, delivery_id=found.id)
    details = {"replayed_as": str(replayed.id)}
    record(tx, operator, action="delivery.replay", subject=("delivery", str(delivery_id)), details=details)
    return replayed


def record(
    tx: Transaction,
    operator: Operator,
    *,
    action: str,
    subject: tuple[str, str | None],
    details: dict[str, Any] | None = None,
) -> None:
    """Add an action to the audit log, in the transaction of the action."""
    rows.insert_audit(
        tx,
        actor_id=operator.user_id,
        actor=operator.name,
        action=action,
        subject_type=subject[0],
        subject_id=subject[1],
        details=details or {},
    )


def list_audit(tx: Transaction, *, limit: int, before: int | None = None) -> list[AuditEntry]:
    """List the audit log, newest first, from before an id."""
    return rows.list_audit(tx, limit=limit, before=before)


def _narrowed(wanted: JobFilter, states: Sequence[str]) -> list[JobFilter]:
    """Return one filter for each matching state in which the action is possible."""
    return [replace(wanted, state=state) for state in states if wanted.state in (None, state)]


def _apply(tx: Transaction, action: Action, filters: Sequence[JobFilter]) -> int:
    ids: list[UUID] = []
    for one in filters:
        ids += rows.lock_ids(tx, one, limit=BULK_LIMIT - len(ids))
    change: Callable[[Transaction, Sequence[UUID]], Sequence[Job]] = {
        "retry": lifecycle.retry_many,
        "discard": job_rows.discard_failed,
        "cancel": lifecycle.cancel_many,
        "run_next": lifecycle.run_next,
    }[action]
    changed = len(change(tx, ids)) if ids else 0
    if action in ("retry", "run_next"):
        workers.wake_dispatcher(tx)
    return changed


def _plain(wanted: JobFilter) -> dict[str, Any]:
    """Return the given conditions as JSON, with only the length of a long list of ids."""
    given: dict[str, Any] = {}
    for name in wanted.__struct_fields__:
        value = getattr(wanted, name)
        if isinstance(value, list):
            given[name] = len(value)
        elif isinstance(value, datetime | UUID):
            given[name] = str(value)
        elif value is not None:
            given[name] = value
    return given
