"""`/api/admin`: runs maintenance now. The schedules run the same functions, and repeating them is harmless."""

from collections.abc import Callable
from typing import Any

from litestar import Router, post
from litestar.di import NamedDependency

from api.auth import operators_only
from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.routes.operations.ops import operator_of
from api.schemas.answers import Answer
from db.connection import SERVICE, Transaction
from services.lifecycle import maintenance
from services.operations import service as operations


@post("/cleanup-clips", sync_to_thread=True, status_code=200)
def cleanup_clips(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, int]]:
    """Fail clips whose job has been gone for two hours."""
    return _run(request, deps, "cleanup-clips", lambda tx: {"failed": maintenance.cleanup_clips(tx)})


@post("/cleanup-rooms", sync_to_thread=True, status_code=200)
def cleanup_rooms(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, int]]:
    """End rooms without activity for 24 hours, with their polls."""
    return _run(request, deps, "cleanup-rooms", maintenance.cleanup_rooms)


@post("/archive-polls", sync_to_thread=True, status_code=200)
def archive_polls(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, int]]:
    """Expire polls whose time is over; 90 days after their end, delete the ballots and keep the counts."""
    return _run(request, deps, "archive-polls", maintenance.archive_polls)


@post("/reset-quotas", sync_to_thread=True, status_code=200)
def reset_quotas(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, int]]:
    """Release quota that ended jobs still hold; a new month needs no reset."""
    return _run(request, deps, "reset-quotas", maintenance.reset_quotas)


def _run(
    request: ApiRequest, deps: Deps, name: str, work: Callable[[Transaction], dict[str, int]]
) -> Answer[dict[str, int]]:
    with deps.database.transaction(SERVICE) as tx:
        counts: dict[str, Any] = work(tx)
        operations.record(
            tx, operator_of(request.user), action=f"admin.{name}", subject=("maintenance", name), details=counts
        )
    return Answer(data=counts)


admin_router = Router(
    "/api/admin",
    route_handlers=[cleanup_clips, cleanup_rooms, archive_polls, reset_quotas],
    guards=[operators_only],
    opt={UNMETERED: True},
    tags=["Operators"],
)
