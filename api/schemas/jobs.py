"""Jobs, as clients see them."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.schemas.fields import ErrorDetails, Id, JobStatus, Time, error_details
from services.jobs.estimate import Estimate
from services.jobs.service import Job, JobEvent, JobState

Percent = Annotated[float, Meta(ge=0, le=100, description="Percent.", examples=[42.0])]
Stage = Annotated[str | None, Meta(description="The current step.", examples=["encoding"])]
Eta = Annotated[float | None, Meta(description="Seconds until it ends, as far as can be said.", examples=[3.5])]

STOPPING = "The current attempt stops within two seconds, and no other follows, even if it fails first."
CANCELLATION: Mapping[JobState, str] = {
    "queued": STOPPING,
    "running": STOPPING,
    "cancelled": "The job was cancelled. No further attempt follows.",
    "succeeded": "The job had finished before the cancellation reached it; its result stays.",
    "failed": "The job had failed before the cancellation reached it. No further attempt follows.",
}
"""State of a job → effect of a requested cancellation."""


class JobView(Struct, kw_only=True):
    """Accepted work: it always reaches an end."""

    id: Id
    kind: Annotated[str, Meta(description="import, ingest, detect or render.", examples=["render"])]
    status: JobStatus
    state: Annotated[JobStatus, Meta(description="The same as status.")]
    created_at: Time
    recording_id: UUID | None
    clip_id: UUID | None
    progress: Percent
    stage: Stage
    eta_s: Eta
    attempt: Annotated[int, Meta(description="Number of attempts begun.", examples=[1])]
    max_attempts: Annotated[int, Meta(examples=[3])]
    cancel_requested: Annotated[bool, Meta(examples=[False])]
    cancellation: Annotated[
        str | None,
        Meta(description="The effect of a requested cancellation; null without one.", examples=[None]),
    ]
    result: Annotated[dict[str, Any] | None, Meta(examples=[None])]
    error: ErrorDetails | None
    trace_id: Annotated[
        str | None, Meta(description="X-Request-Id of the request that asked for it.", examples=["6f1d…"])
    ]
    started_at: Time | None
    finished_at: Time | None
    estimated_start_at: Annotated[
        Time | None, Meta(description="When it begins, as far as can be said; null in lists and once it has ended.")
    ] = None
    estimated_finish_at: Annotated[Time | None, Meta(description="When it ends, as far as can be said.")] = None


class JobEventView(Struct, kw_only=True):
    """An event in the life of a job."""

    at: Time
    status: JobStatus
    event: Annotated[str, Meta(examples=["claimed"])]
    attempt: Annotated[int, Meta(examples=[1])]
    details: Annotated[dict[str, Any], Meta(examples=[{}])]


class JobDetailView(JobView, kw_only=True):
    """A job with its events, oldest first."""

    timeline: list[JobEventView]


def job_view(job: Job, estimate: Estimate | None = None) -> JobView:
    """Show a job, without fields for workers."""
    return JobView(
        id=job.id,
        kind=job.kind,
        status=job.state,
        state=job.state,
        created_at=job.created_at,
        recording_id=job.recording_id,
        clip_id=job.clip_id,
        progress=100.0 if job.state == "succeeded" else job.progress,
        stage=job.stage if job.state == "running" else None,
        eta_s=job.eta_s if job.state == "running" else None,
        attempt=job.attempt,
        max_attempts=job.max_attempts,
        cancel_requested=job.cancel_requested_at is not None,
        cancellation=None if job.cancel_requested_at is None else CANCELLATION[job.state],
        result=job.result,
        error=error_details(job.error),
        trace_id=job.trace_id,
        started_at=job.started_at,
        finished_at=job.finished_at,
        estimated_start_at=estimate.start_at if estimate else None,
        estimated_finish_at=estimate.finish_at if estimate else None,
    )


def job_detail_view(job: Job, events: list[JobEvent], estimate: Estimate | None = None) -> JobDetailView:
    """Show a job with its timeline."""
    timeline = [
        JobEventView(at=event.at, status=event.state, event=event.event, attempt=event.attempt, details=event.details)
        for event in events
    ]
    return JobDetailView(**msgspec.structs.asdict(job_view(job, estimate)), timeline=timeline)
