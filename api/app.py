"""The composition root of the API: makes and connects everything that handlers use."""

from collections.abc import Sequence

import structlog
from litestar import Litestar, Router
from litestar.types import (
    ControllerRouterHandler,
)
from msgspec import structs

from api.assembly import Background, assemble, open_base_deps
from api.auth import PUBLIC
from api.deps import Deps
from api.openapi import config
from api.pages import documents
from api.routes.accounts.account import account_router
from api.routes.accounts.auth import auth_router
from api.routes.accounts.sign_in import passkey_router, second_factor_router
from api.routes.analytics import analytics_router
from api.routes.billing import billing_router
from api.routes.clips import clips_router
from api.routes.events import events_router
from api.routes.jobs import jobs_router
from api.routes.live_recordings import live_recordings_router
from api.routes.operations.admin import admin_router
from api.routes.operations.business import business_router
from api.routes.operations.health import health_router
from api.routes.operations.ops import ops_router
from api.routes.operations.rooms import operator_rooms_router
from api.routes.pages.public import public_router
from api.routes.pages.web import web_router
from api.routes.polls import polls_router
from api.routes.recordings import recordings_router
from api.routes.rooms import rooms_router
from api.routes.storage import storage_router
from api.routes.webhooks import webhooks_router
from services.billing.sync import open_billing
from services.mail.transport import open_mailer
from services.operations.metrics import SystemMetrics
from services.outbound.fetch import SafeFetcher
from services.process import resources as buckets
from services.process.settings import Settings

logger = structlog.get_logger(__name__)


def create_app(
    deps: Deps, *, route_handlers: Sequence[ControllerRouterHandler] = (), background: Sequence[Background] = ()
) -> Litestar:
    """Return the application; `route_handlers` are added to its own."""
    handlers: list[ControllerRouterHandler] = [
        auth_router,
        account_router,
        second_factor_router,
        passkey_router,
        recordings_router,
        clips_router,
        billing_router,
        business_router,
        jobs_router,
        events_router,
        webhooks_router,
        ops_router,
        operator_rooms_router,
        admin_router,
        health_router,
        rooms_router,
        polls_router,
        analytics_router,
        live_recordings_router,
        public_router,
        web_router(sources=_storage_origins(deps)),
        *route_handlers,
    ]
    if deps.buckets.local:
        handlers.append(Router("/", route_handlers=[storage_router(deps.buckets.local)], opt={PUBLIC: True}))
    return assemble(deps, handlers, background=background, description=config.openapi_config())


def open_deps(settings: Settings) -> Deps:
    """Return clients for everything outside the process, as the settings say; none is connected yet."""
    base = open_base_deps(settings)
    base.registry.register(SystemMetrics(base.database))
    return Deps(
        **structs.asdict(base),
        buckets=buckets.open_from(settings),
        mailer=open_mailer(settings.smtp_url, settings.mail_from),
        fetcher=SafeFetcher(allowed=settings.import_allow_hosts),
        billing=open_billing(settings, base.database),
    )


def _storage_origins(deps: Deps) -> list[str]:
    """Return the addresses at which browsers reach storage; signing one makes no call."""
    addresses = (store.presign_get("-", expires_s=1) for store in (deps.buckets.recordings, deps.buckets.clips))
    return sorted({documents.origin_of(address) for address in addresses})
