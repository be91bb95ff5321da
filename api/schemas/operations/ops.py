"""The queue, its workers and its owners, as operators see them."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.schemas.fields import JobStatus, Time, TimeText, owner_of, time_of
from api.schemas.jobs import JobEventView, JobView, job_view
from api.schemas.webhooks import DeliveryView, delivery_view
from services.jobs.schedule import ScheduleState
from services.jobs.service import Job, JobEvent
from services.operations.service import JobFilter, QueueState, QueueTimes, Receiver, SeriesPoint
from services.webhooks.service import Delivery

MAX_IDS = 1000


class SelectionView(Struct, kw_only=True, forbid_unknown_fields=True):
    """Jobs that match all given conditions. The list of jobs takes the same parameters."""

    status: JobStatus | None = None
    q: Annotated[str, Meta(max_length=200, description="Words that the error contains.", examples=["moov"])] | None = (
        None
    )
    kind: Annotated[str, Meta(max_length=50, examples=["render"])] | None = None
    owner: (
        Annotated[str, Meta(max_length=254, description="Id or email address.", examples=["ada@example.com"])] | None
    ) = None
    is_system: Annotated[bool, Meta(description="True: the system's own jobs; false: those of owners.")] | None = None
    queue: Annotated[str, Meta(max_length=50, examples=["render"])] | None = None
    error_code: Annotated[str, Meta(max_length=100, examples=["decode_failed"])] | None = None
    recording_id: UUID | None = None
    clip_id: UUID | None = None
    created_after: TimeText | None = None
    created_before: TimeText | None = None

    def as_filter(self, ids: list[UUID] | None = None) -> JobFilter:
        """Return the conditions; InvalidFieldError for an invalid time."""
        user_id, email = owner_of(self.owner)
        return JobFilter(
            ids=ids,
            user_id=user_id,
            email=email,
            is_system=self.is_system,
            queue=self.queue,
            kind=self.kind,
            state=self.status,
            error_code=self.error_code,
            recording_id=self.recording_id,
            clip_id=self.clip_id,
            created_after=time_of("created_after", self.created_after),
            created_before=time_of("created_before", self.created_before),
            text=self.q,
        )


class BulkRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The jobs of an action: by ids, by filter, or those of the ids that match the filter."""

    ids: Annotated[list[UUID], Meta(min_length=1, max_length=MAX_IDS)] | None = None
    filter: SelectionView | None = None
    preview: Annotated[bool, Meta(description="Only count what would be changed.", examples=[True])] = False

    def wanted(self) -> JobFilter:
        """Return both as one filter."""
        return (self.filter or SelectionView()).as_filter(self.ids)


class OperatorJobView(JobView, kw_only=True):
    """A job of any owner, with data of workers and dispatcher."""

    user_id: UUID | None
    email: Annotated[str | None, Meta(description="The owner's; null for the system's own jobs.")]
    queue: Annotated[str, Meta(examples=["render"])]
    priority: int
    charged: Annotated[int, Meta(description="Attempts that count against max_attempts.")]
    setbacks: Annotated[int, Meta(description="Attempts that ended because storage or the network was down.")]
    worker_id: UUID | None
    run_at: Time
    dispatched_at: Time | None
    lease_expires_at: Time | None
    payload: dict[str, Any]


class OperatorJobDetailView(OperatorJobView, kw_only=True):
    """A job of any owner with its events, oldest first."""

    timeline: list[JobEventView]


class OperatorDeliveryView(DeliveryView, kw_only=True):
    """A delivery of any owner's webhook."""

    user_id: UUID
    email: Annotated[str | None, Meta(description="The owner's.", examples=["ada@example.com"])]
    url: Annotated[str | None, Meta(description="Where it is sent.", examples=["https://app.example.com/hooks"])]


class QueuesView(Struct, kw_only=True):
    """The current state of all queues, and the results of jobs."""

    items: list[QueueState]
    series: list[SeriesPoint]
    times: list[QueueTimes]


class JobCountsView(Struct, kw_only=True):
    """Number of jobs in each state."""

    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    most: Annotated[
        int, Meta(description="Counts stop here: a greater one means at least this many.", examples=[10000])
    ]


class ScheduleView(Struct, kw_only=True):
    """A periodic task, with its last run."""

    name: Annotated[str, Meta(examples=["expire-clips"])]
    kind: str
    every_s: int
    is_paused: bool
    last_at: Time | None
    last_job_id: UUID | None
    last_state: JobStatus | None
    last_result: dict[str, Any] | None
    last_error: dict[str, Any] | None
    last_finished_at: Time | None
    next_at: Time


def operator_delivery_view(delivery: Delivery, receivers: Mapping[UUID, Receiver]) -> OperatorDeliveryView:
    """Show a delivery to an operator; `receivers` are webhooks by id."""
    receiver = receivers.get(delivery.webhook_id)
    return OperatorDeliveryView(
        **msgspec.structs.asdict(delivery_view(delivery)),
        user_id=delivery.user_id,
        email=receiver.email if receiver else None,
        url=receiver.url if receiver else None,
    )


def schedule_view(state: ScheduleState) -> ScheduleView:
    """Show a schedule."""
    return ScheduleView(
        name=state.name,
        kind=state.kind,
        every_s=state.every_s,
        is_paused=state.is_paused,
        last_at=state.last_slot,
        last_job_id=state.last_job_id,
        last_state=state.last_state,
        last_result=state.last_result,
        last_error=state.last_error,
        last_finished_at=state.last_finished_at,
        next_at=state.next_slot,
    )


def operator_job_view(job: Job, emails: Mapping[UUID, str]) -> OperatorJobView:
    """Show a job to an operator, with its owner's address from `emails` and without the lease's token."""
    return OperatorJobView(
        **msgspec.structs.asdict(job_view(job)),
        user_id=job.user_id,
        email=emails.get(job.user_id) if job.user_id else None,
        queue=job.queue,
        priority=job.priority,
        charged=job.charged,
        setbacks=job.setbacks,
        worker_id=job.worker_id,
        run_at=job.run_at,
        dispatched_at=job.dispatched_at,
        lease_expires_at=job.lease_expires_at,
        payload=job.payload,
    )


def operator_job_detail_view(job: Job, events: list[JobEvent], emails: Mapping[UUID, str]) -> OperatorJobDetailView:
    """Show a job with its timeline."""
    timeline = [
        JobEventView(at=event.at, status=event.state, event=event.event, attempt=event.attempt, details=event.details)
        for event in events
    ]
    return OperatorJobDetailView(**msgspec.structs.asdict(operator_job_view(job, emails)), timeline=timeline)
