"""The dependencies of every serving process, made once by its composition root."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec import Struct, field
from prometheus_client import CollectorRegistry
from redis import Redis

from api.changes import Changes
from api.limits.rate_limit import RateLimits
from api.metrics import MetricsPage, RequestMetrics, SocketMetrics
from api.readiness import Readiness
from db.connection import SERVICE, Database
from services.accounts.token import Tokens
from services.process.settings import Settings


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class BaseDeps(Struct, frozen=True, kw_only=True):
    """The dependencies of the Socket.IO process. It needs no storage, mail, Stripe or fetcher, so it loads none."""

    settings: Settings
    database: Database
    redis: Redis
    tokens: Tokens
    limits: RateLimits
    changes: Changes
    registry: CollectorRegistry
    metrics: RequestMetrics
    socket_metrics: SocketMetrics
    metrics_page: MetricsPage
    readiness: Readiness = field(default_factory=Readiness)
    clock: Callable[[], datetime] = utc_now

    def checks(self) -> Mapping[str, Callable[[], object]]:
        """Return a check for each service this process depends on, by name. It raises if there is no answer."""
        return {"database": self._ask_database, "redis": self.redis.ping}

    def close(self) -> None:
        """Close what was opened."""
        self.database.close()
        self.redis.connection_pool.disconnect()  # Redis.close() does not close a pool that was passed in

    def _ask_database(self) -> None:
        with self.database.transaction(SERVICE) as tx:
            tx.execute("SELECT 1")
