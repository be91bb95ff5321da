"""Builds an application from handlers: the parts that every serving process has in common."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, cast

import structlog
from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.openapi import OpenAPIConfig
from litestar.types import (
    ControllerRouterHandler,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)
from prometheus_client import CollectorRegistry, ProcessCollector
from redis import BlockingConnectionPool, Redis

from api.auth import PUBLIC, Authentication
from api.base_deps import BaseDeps
from api.changes import Changes
from api.http import parameters
from api.http.errors import CLIENT_LEFT, exception_handlers
from api.http.head import as_get
from api.http.request import ApiRequest
from api.jwks import open_keys
from api.limits import body
from api.limits.metering import METERED, METERED_HEADERS
from api.limits.rate_limit import RateLimits
from api.metrics import MetricsPage, RequestMetrics, SocketMetrics
from db.connection import Database
from services.accounts.token import Tokens
from services.process import spans, tracing
from services.process.settings import Settings

logger = structlog.get_logger(__name__)

DATABASE_CONNECTIONS = 16
REDIS_CONNECTIONS = 32
REDIS_TIMEOUT_S = 2.0
DOCS_PATH = "/api/docs"
REQUEST_ID = "X-Request-Id"
QUIET_ROUTES = frozenset({"/health", "/ready", "/metrics"})
"""Machines ask these every few seconds; only failures are logged."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
HSTS = "max-age=31536000"


class Api(Litestar):
    """A Litestar application that gives each request an id, and each answer its headers, a count and a log event."""

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.HTTP:
            request, answer = as_get(cast("HTTPScope", scope), cast("Send", send))
            await self._serve(request, cast("Receive", receive), answer)
        else:
            await super().__call__(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        traceparent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        trace_id = tracing.trace_id_of(traceparent)
        scope.setdefault("state", {})["trace_id"] = trace_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(trace_id=trace_id)
        status = CLIENT_LEFT

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(self.state.deps, scope, message, trace_id)
            await send(message)

        parent_id = tracing.parent_id_of(traceparent)
        with spans.span("request", trace_id=trace_id, about=spans.REQUEST, parent_id=parent_id) as span:
            try:
                await super().__call__(scope, receive, send_on)
            finally:
                _observe(self.state.deps, scope, status, time.perf_counter() - started)
                if span is not None:
                    span.update_name(f"{scope['method']} {scope.get('path_template', 'unknown')}")
                    span.set_attribute("http.response.status_code", status)


Background = Callable[[], AbstractAsyncContextManager[None]]
"""Runs for as long as the process serves: entered before the first request, left after the last."""


def assemble(
    deps: BaseDeps,
    handlers: Sequence[ControllerRouterHandler],
    *,
    background: Sequence[Background] = (),
    description: OpenAPIConfig | None = None,
) -> Litestar:
    """Return an application of these handlers; `background` runs for as long as it serves.

    With a `description`, it serves its OpenAPI document below `/api/docs`.
    """

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        deps.database.open()
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(deps.changes.listening())
                for each in background:
                    await stack.enter_async_context(each())
                yield
        finally:
            deps.close()

    app = Api(
        handlers,
        before_request=parameters.refuse_unknown,
        dependencies={"deps": Provide(lambda: deps, sync_to_thread=False)},
        middleware=[_authentication],
        exception_handlers=exception_handlers(),
        request_class=ApiRequest,
        request_max_body_size=body.DEFAULT_BYTES,
        openapi_config=description,
        cors_config=_cors(deps.settings),
        lifespan=[lifespan],
        state=State({"deps": deps}),
        logging_config=None,
    )
    app.state.query_parameters = parameters.known_of(app)
    return app


def open_base_deps(settings: Settings) -> BaseDeps:
    """Return the dependencies of every serving process, made from the settings. Nothing is connected yet."""
    redis = Redis(
        connection_pool=BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=REDIS_CONNECTIONS,
            timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )
    )
    database = Database(settings.database_url, max_size=DATABASE_CONNECTIONS, name="snuggles-api")
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return BaseDeps(
        settings=settings,
        database=database,
        redis=redis,
        tokens=Tokens(settings.jwt_secret, find_key=open_keys(settings.supabase_jwks_url)),
        limits=RateLimits(redis),
        changes=Changes(settings.database_url),
        registry=registry,
        metrics=RequestMetrics(registry),
        socket_metrics=SocketMetrics(registry),
        metrics_page=MetricsPage(registry),
    )


def _authentication(app: Any) -> Authentication:
    return Authentication(app, exclude=[f"^{DOCS_PATH}"], exclude_from_auth_key=PUBLIC)


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"],
        allow_headers=[
            "Authorization",
            "Content-Type",
            "Idempotency-Key",
            "X-CSRF-Token",
            "Last-Event-ID",
            "traceparent",
            "Range",
        ],
        expose_headers=[
            REQUEST_ID,
            "Retry-After",
            "Idempotent-Replayed",
            # An uploader hands the ETag of each part back; a player needs to know which bytes it got.
            "ETag",
            "Content-Range",
            "Accept-Ranges",
            *METERED_HEADERS,
        ],
        # A browser sends cookies to another origin only where that origin is named, never for "*".
        allow_credentials="*" not in settings.cors_origins,
        max_age=600,
    )


def _add_headers(deps: BaseDeps, scope: Scope, message: Message, trace_id: str) -> None:
    headers = MutableScopeHeaders.from_message(message)
    headers[REQUEST_ID] = trace_id
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if metered := scope["state"].get(METERED):
        for name, value in metered.items():
            headers.setdefault(name, value)
    path = scope["path"]
    headers.setdefault("Content-Security-Policy", API_POLICY)
    if path.startswith("/api/") and not path.startswith(DOCS_PATH):
        headers.setdefault("Cache-Control", "no-store")
    if deps.settings.public_url.startswith("https://"):
        headers.setdefault("Strict-Transport-Security", HSTS)


def _observe(deps: BaseDeps, scope: Scope, status: int, seconds: float) -> None:
    route = str(scope.get("path_template") or "unknown")
    method = str(scope.get("method", ""))
    deps.metrics.observe(method=method, route=route, status=status, seconds=seconds)
    if route in QUIET_ROUTES and status < 500:  # noqa: PLR2004 - the first of the server's statuses
        return
    ids = {name: str(value) for name, value in scope.get("path_params", {}).items() if name.endswith("_id")}
    logger.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1), **ids)
