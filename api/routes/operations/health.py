"""Is the process serving, is everything behind it there, and how busy is it."""

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from litestar import Response, Router, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST

from api.auth import PUBLIC
from api.deps import Deps
from api.http.request import ApiRequest
from api.schemas.answers import Answer, Done
from db.connection import SERVICE
from services.accounts.token import is_same_secret
from services.errors import UnauthenticatedError, UnavailableError

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
"""What proxies add: a request with one of these comes from elsewhere."""


@get("/health", sync_to_thread=False)
def health() -> Answer[Done]:
    """Say that the process serves."""
    return Answer(data=Done(status="ok"))


@get("/ready")
async def ready(deps: NamedDependency[Deps]) -> Answer[dict[str, str]]:
    """Say whether database, Redis and storage answer; 503 names the part that does not."""
    checks = {"database": _ask_database(deps), "redis": deps.redis.ping, "storage": deps.buckets.recordings.ping}
    asked = [deps.readiness.ask(name, check) for name, check in checks.items()]
    states = dict(zip(checks, await asyncio.gather(*asked), strict=True))
    down = [name for name, state in states.items() if state != "ok"]
    if down:
        raise UnavailableError(f"Not ready: {', '.join(down)} does not answer.", **states)
    return Answer(data={"status": "ready", **states})


@get("/metrics", sync_to_thread=True, include_in_schema=False)
def metrics(request: ApiRequest, deps: NamedDependency[Deps]) -> Response[bytes]:
    """Return the metrics for Prometheus, to operators and to clients on this machine."""
    if not _may_read_metrics(deps, request):
        raise UnauthenticatedError(
            "Send the operator's token as `Authorization: Bearer …`, or ask the API itself from the machine it runs on."
        )
    return Response(deps.metrics_page.read(), media_type=CONTENT_TYPE_LATEST)


def _may_read_metrics(deps: Deps, request: ApiRequest) -> bool:
    """Say whether a request carries the operator's token, or comes from this machine and through no proxy.

    The address's own spelling (`/metrics/`, `//metrics`) slips past a proxy's rule, so no rule there is relied upon.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if deps.settings.admin_token and scheme.lower() == "bearer":
        return is_same_secret(token.strip(), deps.settings.admin_token)
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        return False


def _ask_database(deps: Deps) -> Callable[[], object]:
    def ask() -> None:
        with deps.database.transaction(SERVICE) as tx:
            tx.execute("SELECT 1")

    return ask


health_router = Router("/", route_handlers=[health, ready, metrics], opt={PUBLIC: True}, tags=["Operation"])
