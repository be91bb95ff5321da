"""`/api/jobs`: accepted work, its progress and its result."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from api.auth import Principal, check_again
from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, JobStatus, Limit
from api.schemas.jobs import JobDetailView, JobView, job_detail_view, job_view
from services.errors import InvalidFieldError, UnauthenticatedError
from services.jobs import estimate as estimates
from services.jobs import service as jobs
from services.jobs.service import Job
from services.lifecycle import outcome as lifecycle
from services.paging import decode_time_cursor, page_of

# Proxies close what is silent for 30 to 60 s.
HEARTBEAT_S = 15.0
RECONNECT_MS = 2000
END_ID = "end"
"""Id of the last event of a stream; a browser sends it back when it reconnects."""
END_STATES = ("succeeded", "failed", "cancelled")
KINDS = Annotated[str | None, QueryParameter(max_length=50, description="Only jobs of this kind, such as render.")]


@get("", sync_to_thread=True)
def list_jobs(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    status: Annotated[JobStatus | None, QueryParameter(description="Only those in this state.")] = None,
    kind: KINDS = None,
) -> Answer[Items[JobView]]:
    """List jobs, newest first."""
    position = decode_time_cursor(cursor)
    if kind is not None and kind not in jobs.KINDS:
        raise InvalidFieldError("kind", f"kind must be one of {', '.join(jobs.KINDS)}.", allowed=list(jobs.KINDS))
    with deps.database.transaction(request.user.identity) as tx:
        found = jobs.list_jobs(
            tx, user_id=request.user.user_id, limit=limit + 1, cursor=position, state=status, kind=kind
        )
    page = page_of(found, limit, [(job.created_at, job.id) for job in found])
    return Answer(data=Items(items=[job_view(job) for job in page.items], next_cursor=page.next_cursor))


@get("/{job_id:uuid}", sync_to_thread=True, opt={UNMETERED: True})
def get_job(job_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[JobDetailView]:
    """Show a job with everything that happened to it."""
    with deps.database.transaction(request.user.identity) as tx:
        job = jobs.get(tx, user_id=request.user.user_id, job_id=job_id)
        return Answer(data=job_detail_view(job, jobs.events(tx, job_id=job_id), estimates.of(tx, job=job)))


@post("/{job_id:uuid}/cancel", sync_to_thread=True, status_code=200)
def cancel_job(job_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[JobView]:
    """Stop a job that is waiting (at once) or running (within two seconds)."""
    with deps.database.transaction(request.user.identity) as tx:
        return Answer(data=job_view(lifecycle.cancel(tx, user_id=request.user.user_id, job_id=job_id)))


@get("/{job_id:uuid}/events", media_type="text/event-stream", opt={UNMETERED: True})
async def follow_job(
    job_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> ServerSentEvent | Response[None]:
    """Follow a job by server-sent events: `progress` whenever it changes, `end` once it has ended.

    Each event's data is the job. The first comes at once, so a client that reconnects misses nothing. After `end` the
    answer to a reconnection is 204, which stops a browser from reconnecting.
    """
    principal = request.user
    # Before the stream begins, so that the answer for a missing job is a plain 404.
    await sync_to_thread(_read, deps, principal, job_id)
    if request.headers.get("last-event-id") == END_ID:
        return Response(None, status_code=204)
    return ServerSentEvent(_events(deps, principal, job_id), retry_duration=RECONNECT_MS)


def _read(deps: Deps, principal: Principal, job_id: UUID) -> Job:
    check_again(deps, principal)
    with deps.database.transaction(principal.identity) as tx:
        return jobs.get(tx, user_id=principal.user_id, job_id=job_id)


async def _events(deps: Deps, principal: Principal, job_id: UUID) -> AsyncIterator[ServerSentEventMessage]:
    number = 0
    shown = b""
    with deps.changes.subscription(job_id, principal.user_id) as changed, suppress(UnauthenticatedError):
        while not deps.changes.is_closed:
            changed.clear()
            job = await sync_to_thread(_read, deps, principal, job_id)
            data = msgspec.json.encode(job_view(job))
            if job.state in END_STATES:
                yield ServerSentEventMessage(data=data, event="end", id=END_ID)
                return
            if data != shown:
                shown = data
                yield ServerSentEventMessage(data=data, event="progress", id=number)
                number += 1
            try:
                await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield ServerSentEventMessage(data=None, comment="still here")


jobs_router = Router("/api/jobs", route_handlers=[list_jobs, get_job, cancel_job, follow_job], tags=["Jobs"])
