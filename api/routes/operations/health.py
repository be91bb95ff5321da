"""Health, readiness and metrics of the process."""

import asyncio

from litestar import Response, Router, get
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import PUBLIC, scrapers_only
from api.base_deps import BaseDeps
from api.http.request import ApiRequest
from api.schemas.answers import Answer, Done
from services.errors import UnavailableError


@get("/health", sync_to_thread=False)
def health() -> Answer[Done]:
    """Answer that the process serves."""
    return Answer(data=Done(status="ok"))


@get("/ready")
async def ready(request: ApiRequest) -> Answer[dict[str, str]]:
    """Answer whether database, Redis and storage are up; 503 names the part that is not."""
    deps: BaseDeps = request.app.state.deps
    checks = deps.checks()
    asked = [deps.readiness.ask(name, check) for name, check in checks.items()]
    states = dict(zip(checks, await asyncio.gather(*asked), strict=True))
    down = [name for name, state in states.items() if state != "ok"]
    if down:
        raise UnavailableError(f"Not ready: {', '.join(down)} does not answer.", **states)
    return Answer(data={"status": "ready", **states})


@get("/metrics", sync_to_thread=True, include_in_schema=False, guards=[scrapers_only])
def metrics(request: ApiRequest) -> Response[bytes]:
    """Return the metrics for Prometheus, to operators and to clients on this machine."""
    deps: BaseDeps = request.app.state.deps
    return Response(deps.metrics_page.read(), media_type=CONTENT_TYPE_LATEST)


health_router = Router("/", route_handlers=[health, ready, metrics], opt={PUBLIC: True}, tags=["Operation"])
