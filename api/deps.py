"""The dependencies of handlers, made once by the composition root."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from msgspec import Struct, field
from prometheus_client import CollectorRegistry
from redis import Redis

from api.changes import Changes
from api.limits.rate_limit import RateLimits
from api.metrics import MetricsPage, RequestMetrics, SocketMetrics
from api.readiness import Readiness
from api.threads import open_threads
from db.connection import Database
from services.accounts.token import Tokens
from services.billing.sync import Billing
from services.mail.transport import Mailer
from services.outbound.fetch import SafeFetcher
from services.process.settings import Settings
from storage.factory import Buckets


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class Deps(Struct, frozen=True, kw_only=True):
    """Clients foreverything outside the process, and state shared within it."""

    settings: Settings
    database: Database
    buckets: Buckets
    redis: Redis
    tokens: Tokens
    mailer: Mailer
    fetcher: SafeFetcher
    limits: RateLimits
    changes: Changes
    billing: Billing | None
    """None where the service takes no payments."""
    registry: CollectorRegistry
    metrics: RequestMetrics
    socket_metrics: SocketMetrics
    metrics_page: MetricsPage
    readiness: Readiness = field(default_factory=Readiness)
    outside_threads: ThreadPoolExecutor = field(default_factory=open_threads)
    """For handlers that call storage or the network (`api.threads`)."""
    clock: Callable[[], datetime] = utc_now
