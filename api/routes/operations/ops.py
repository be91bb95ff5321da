"""`/api/ops`: the state of the queue, and operators' actions on it. Each change is in the audit log."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.auth import Principal, operators_only
from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Done, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, JobStatus, Limit, OwnerParameter, TimeParameter, owner_of
from api.schemas.jobs import JobView, job_view
from api.schemas.operations.ops import (
    BulkRequest,
    JobCountsView,
    OperatorDeliveryView,
    OperatorJobDetailView,
    OperatorJobView,
    QueuesView,
    ScheduleView,
    SelectionView,
    operator_delivery_view,
    operator_job_detail_view,
    operator_job_view,
    schedule_view,
)
from api.schemas.webhooks import DeliveryStatus
from db.connection import SERVICE
from services.jobs import schedule as schedules
from services.operations import service as operations
from services.operations.service import (
    Action,
    AuditEntry,
    BulkResult,
    DeliveryFilter,
    ErrorGroup,
    Operator,
    Tenant,
    WorkerState,
)
from services.paging import decode_time_cursor

DAY_S = 24 * 3600
Word = Annotated[str | None, QueryParameter(max_length=100)]
Words = Annotated[
    str | None, QueryParameter(min_length=1, max_length=200, description="Words that the error contains.")
]
StatusParameter = Annotated[JobStatus | None, QueryParameter()]
SystemParameter = Annotated[
    bool | None, QueryParameter(description="True: only the system's own jobs; false: only those of owners.")
]
Span = Annotated[int, QueryParameter(description="Seconds that the series looks back: 3600, 86400 or 604800.")]
Before = Annotated[int | None, QueryParameter(ge=1, description="Entries before this id.")]


def operator_of(principal: Principal) -> Operator:
    """Return the operator's name for the audit log."""
    if principal.account is None:
        return Operator(name="operator token")
    return Operator(name=principal.account.email, user_id=principal.account.id)


@get("/queues", sync_to_thread=True)
def list_queues(deps: NamedDependency[Deps], back_s: Span = DAY_S) -> Answer[QueuesView]:
    """Show every queue with its depth and age, and how jobs ended, waited and ran over the last hour, day or week."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(
            data=QueuesView(
                items=operations.list_queues(tx),
                series=operations.list_series(tx, back_s=back_s),
                times=operations.list_times(tx, back_s=back_s),
            )
        )


@post("/queues/{queue:str}/pause", sync_to_thread=True, status_code=200)
def pause_queue(queue: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Pause a queue: no more of its jobs are sent to workers; those they have are finished."""
    return _pause_queue(request, deps, queue, is_paused=True)


@post("/queues/{queue:str}/resume", sync_to_thread=True, status_code=200)
def resume_queue(queue: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Resume a queue."""
    return _pause_queue(request, deps, queue, is_paused=False)


@get("/workers", sync_to_thread=True)
def list_workers(deps: NamedDependency[Deps]) -> Answer[Items[WorkerState]]:
    """Show the worker processes with what each is doing."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=Items(items=operations.list_workers(tx)))


@post("/workers/{worker_id:uuid}/drain", sync_to_thread=True, status_code=200)
def drain_worker(worker_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Drain a worker: it finishes its jobs and takes no more, until it is stopped."""
    with deps.database.transaction(SERVICE) as tx:
        operations.drain_worker(tx, operator_of(request.user), worker_id=worker_id)
    return Answer(data=Done(status="draining"))


@post("/workers/{worker_id:uuid}/undrain", sync_to_thread=True, status_code=200)
def undrain_worker(worker_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Let a drained worker take jobs again, within five seconds."""
    with deps.database.transaction(SERVICE) as tx:
        operations.undrain_worker(tx, operator_of(request.user), worker_id=worker_id)
    return Answer(data=Done(status="active"))


@get("/jobs", sync_to_thread=True)
def search_jobs(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    id: Annotated[UUID | None, QueryParameter()] = None,  # noqa: A002 - the parameter's name
    status: StatusParameter = None,
    q: Words = None,
    kind: Word = None,
    owner: OwnerParameter = None,
    is_system: SystemParameter = None,
    queue: Word = None,
    error_code: Word = None,
    recording_id: Annotated[UUID | None, QueryParameter()] = None,
    clip_id: Annotated[UUID | None, QueryParameter()] = None,
    created_after: TimeParameter = None,
    created_before: TimeParameter = None,
) -> Answer[Items[OperatorJobView]]:
    """Search the jobs of all owners, newest first."""
    conditions = SelectionView(
        status=status,
        q=q,
        kind=kind,
        owner=owner,
        is_system=is_system,
        queue=queue,
        error_code=error_code,
        recording_id=recording_id,
        clip_id=clip_id,
        created_after=created_after,
        created_before=created_before,
    )
    wanted = conditions.as_filter(None if id is None else [id])
    with deps.database.transaction(SERVICE) as tx:
        page = operations.search_jobs(tx, wanted, limit=limit, cursor=decode_time_cursor(cursor))
        emails = operations.emails_of(tx, page.items)
    items = [operator_job_view(job, emails) for job in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@get("/jobs/counts", sync_to_thread=True)
def count_jobs(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    deps: NamedDependency[Deps],
    q: Words = None,
    kind: Word = None,
    owner: OwnerParameter = None,
    is_system: SystemParameter = None,
    queue: Word = None,
    error_code: Word = None,
    recording_id: Annotated[UUID | None, QueryParameter()] = None,
    clip_id: Annotated[UUID | None, QueryParameter()] = None,
    created_after: TimeParameter = None,
    created_before: TimeParameter = None,
) -> Answer[JobCountsView]:
    """Count the matching jobs of all owners by status."""
    wanted = SelectionView(
        q=q,
        kind=kind,
        owner=owner,
        is_system=is_system,
        queue=queue,
        error_code=error_code,
        recording_id=recording_id,
        clip_id=clip_id,
        created_after=created_after,
        created_before=created_before,
    )
    with deps.database.transaction(SERVICE) as tx:
        counts = operations.count_by_state(tx, wanted.as_filter())
    return Answer(data=JobCountsView(**counts, most=operations.SHOWN_COUNT))


@get("/errors", sync_to_thread=True)
def list_errors(deps: NamedDependency[Deps], back_s: Span = DAY_S) -> Answer[Items[ErrorGroup]]:
    """Group failed jobs by error code over the last hour, day or week, the largest group first."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=Items(items=operations.list_errors(tx, back_s=back_s)))


@get("/jobs/{job_id:uuid}", sync_to_thread=True)
def get_job(job_id: FromPath[UUID], deps: NamedDependency[Deps]) -> Answer[OperatorJobDetailView]:
    """Show a job of any owner with everything that happened to it."""
    with deps.database.transaction(SERVICE) as tx:
        job, events = operations.get_job(tx, job_id=job_id)
        return Answer(data=operator_job_detail_view(job, events, operations.emails_of(tx, [job])))


@post("/jobs/retry", sync_to_thread=True, status_code=200)
def retry_jobs(data: JSONBody[BulkRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[BulkResult]:
    """Queue failed jobs again, with a full number of attempts."""
    return _act(request, deps, "retry", data)


@post("/jobs/discard", sync_to_thread=True, status_code=200)
def discard_jobs(data: JSONBody[BulkRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[BulkResult]:
    """Delete failed jobs with their history."""
    return _act(request, deps, "discard", data)


@post("/jobs/cancel", sync_to_thread=True, status_code=200)
def cancel_jobs(data: JSONBody[BulkRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[BulkResult]:
    """Cancel what is queued at once, and what is running within two seconds."""
    return _act(request, deps, "cancel", data)


@post("/jobs/run-next", sync_to_thread=True, status_code=200)
def run_jobs_next(data: JSONBody[BulkRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[BulkResult]:
    """Move queued jobs to the front of the queue."""
    return _act(request, deps, "run_next", data)


@get("/tenants", sync_to_thread=True)
def list_tenants(deps: NamedDependency[Deps]) -> Answer[Items[Tenant]]:
    """Show the owners of the waiting jobs."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=Items(items=operations.list_tenants(tx)))


@get("/schedules", sync_to_thread=True)
def list_schedules(deps: NamedDependency[Deps]) -> Answer[Items[ScheduleView]]:
    """Show the schedules, with the last run of each."""
    with deps.database.transaction(SERVICE) as tx:
        found = schedules.list_schedules(tx)
    return Answer(data=Items(items=[schedule_view(state) for state in found]))


@post("/schedules/{name:str}/run", sync_to_thread=True, status_code=202)
def run_schedule(name: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[JobView]:
    """Run a schedule's job now, in addition to its usual runs."""
    with deps.database.transaction(SERVICE) as tx:
        job = schedules.run_now(tx, name=name)
        operations.record(tx, operator_of(request.user), action="schedule.run", subject=("schedule", name))
    return Answer(data=job_view(job))


@post("/schedules/{name:str}/pause", sync_to_thread=True, status_code=200)
def pause_schedule(name: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Pause a schedule."""
    return _pause_schedule(request, deps, name, is_paused=True)


@post("/schedules/{name:str}/resume", sync_to_thread=True, status_code=200)
def resume_schedule(name: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Resume a schedule."""
    return _pause_schedule(request, deps, name, is_paused=False)


@get("/deliveries", sync_to_thread=True)
def list_deliveries(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    status: Annotated[DeliveryStatus | None, QueryParameter()] = None,
    owner: OwnerParameter = None,
    webhook_id: Annotated[UUID | None, QueryParameter()] = None,
    event: Word = None,
) -> Answer[Items[OperatorDeliveryView]]:
    """Show the deliveries to all webhooks, newest first."""
    user_id, email = owner_of(owner)
    wanted = DeliveryFilter(status=status, user_id=user_id, email=email, webhook_id=webhook_id, event=event)
    with deps.database.transaction(SERVICE) as tx:
        page = operations.list_deliveries(tx, wanted, limit=limit, cursor=decode_time_cursor(cursor))
        receivers = operations.receivers_of(tx, page.items)
    items = [operator_delivery_view(row, receivers) for row in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@post("/deliveries/{delivery_id:uuid}/replay", sync_to_thread=True, status_code=202)
def replay_delivery(
    delivery_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[OperatorDeliveryView]:
    """Send an ended delivery's event again, as a new delivery."""
    with deps.database.transaction(SERVICE) as tx:
        made = operations.replay_delivery(tx, operator_of(request.user), delivery_id=delivery_id)
        return Answer(data=operator_delivery_view(made, operations.receivers_of(tx, [made])))


@get("/audit", sync_to_thread=True)
def list_audit(
    deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, before: Before = None
) -> Answer[Items[AuditEntry]]:
    """Show the actions of operators, newest first."""
    with deps.database.transaction(SERVICE) as tx:
        found = operations.list_audit(tx, limit=limit, before=before)
    following = str(found[-1].id) if len(found) == limit else None
    return Answer(data=Items(items=found, next_cursor=following))


def _act(request: ApiRequest, deps: Deps, action: Action, data: BulkRequest) -> Answer[BulkResult]:
    with deps.database.transaction(SERVICE) as tx:
        result = operations.act(
            tx, operator_of(request.user), action=action, wanted=data.wanted(), is_preview=data.preview
        )
    return Answer(data=result)


def _pause_queue(request: ApiRequest, deps: Deps, queue: str, *, is_paused: bool) -> Answer[Done]:
    with deps.database.transaction(SERVICE) as tx:
        operations.pause_queue(tx, operator_of(request.user), queue=queue, is_paused=is_paused)
    return Answer(data=Done(status="paused" if is_paused else "running"))


def _pause_schedule(request: ApiRequest, deps: Deps, name: str, *, is_paused: bool) -> Answer[Done]:
    action = "schedule.pause" if is_paused else "schedule.resume"
    with deps.database.transaction(SERVICE) as tx:
        schedules.pause(tx, name=name, is_paused=is_paused)
        operations.record(tx, operator_of(request.user), action=action, subject=("schedule", name))
    return Answer(data=Done(status="paused" if is_paused else "running"))


ops_router = Router(
    "/api/ops",
    route_handlers=[
        list_queues,
        pause_queue,
        resume_queue,
        list_workers,
        drain_worker,
        undrain_worker,
        search_jobs,
        count_jobs,
        list_errors,
        get_job,
        retry_jobs,
        discard_jobs,
        cancel_jobs,
        run_jobs_next,
        list_tenants,
        list_schedules,
        run_schedule,
        pause_schedule,
        resume_schedule,
        list_deliveries,
        replay_delivery,
        list_audit,
    ],
    guards=[operators_only],
    opt={UNMETERED: True},
    tags=["Operators"],
)
