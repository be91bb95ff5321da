"""Counts and times of requests and sockets, for Prometheus."""

import threading
import time
from collections.abc import Callable, Iterable

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from services.errors import DomainError, QuotaExceededError, TierRequiredError

# A request is either a query or two (milliseconds), a completed upload (seconds), or something is wrong.
PAGE_CACHE_S = 1.0
"""Rendering the page costs CPU time, and scrapers come every few seconds."""
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


DELAY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""A room feels live below 150 ms."""


class SocketLoad(Struct, frozen=True, kw_only=True):
    """Gauges of a Socket.IO process, and counts since its start."""

    connections: int = 0
    rooms: int = 0
    delivered: int = 0
    shed: int = 0


class RequestMetrics:
    """Counts of requests. Labels are route templates, never addresses, so they stay few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "snuggles_http_requests_total",
            "Requests by route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "snuggles_http_request_seconds",
            "Time from request to the end of its answer",
            ["method", "route"],
            buckets=BUCKETS_S,
            registry=registry,
        )

        self._refusals = Counter(
            "snuggles_quota_refusals_total",
            "Requests refused because the tier's allowance is used up or does not include the feature",
            ["feature", "tier"],
            registry=registry,
        )

        self._bad_webhooks = Counter(
            "snuggles_stripe_invalid_signatures_total",
            "Webhook requests without a valid signature of Stripe",
            registry=registry,
        )

        self._events = Counter(
            "snuggles_stripe_events_total",
            "Signed events of Stripe by what became of them",
            ["type", "outcome"],
            registry=registry,
        )

    def receive_event(self, kind: str, outcome: str) -> None:
        """Count a signed event of Stripe."""
        self._events.labels(kind, outcome).inc()

    def refuse(self, error: DomainError) -> None:
        """Count a request that the tier does not allow; other errors are not counted."""
        if isinstance(error, QuotaExceededError | TierRequiredError):
            details = error.details
            self._refusals.labels(str(details.get("feature", "")), str(details.get("tier", ""))).inc()

    def refuse_webhook(self) -> None:
        """Count an event that Stripe did not sign."""
        self._bad_webhooks.inc()

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class SocketMetrics(Collector):
    """Counts of a Socket.IO process; all zero in other processes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._load: Callable[[], SocketLoad] = SocketLoad
        self._connections = Counter(
            "snuggles_socket_connections_total",
            "Socket.IO connections by what became of them",
            ["outcome"],
            registry=registry,
        )
        self._events = Counter(
            "snuggles_socket_events_total", "Events of clients by outcome", ["event", "outcome"], registry=registry
        )
        self._resumes = Counter(
            "snuggles_room_resumes_total", "Joins that resume from an earlier event", registry=registry
        )
        self._delays = Histogram(
            "snuggles_room_event_delay_seconds",
            "From the start of the transaction that wrote an event to its delivery",
            buckets=DELAY_BUCKETS_S,
            registry=registry,
        )
        registry.register(self)

    def watch(self, load: Callable[[], SocketLoad]) -> None:
        """Show what `load` returns."""
        self._load = load

    def connect(self, outcome: str) -> None:
        """Count a connection: `connected`, or the code of its refusal."""
        self._connections.labels(outcome).inc()

    def answer(self, event: str, *, is_success: bool) -> None:
        """Count an event of a client; `event` is one of those that exist, or `other`."""
        self._events.labels(event, "ok" if is_success else "refused").inc()

    def resume(self) -> None:
        """Count a join that names the last event it has seen."""
        self._resumes.inc()

    def deliver(self, delay_s: float) -> None:
        """Count an event that was queued for every member of its room in this process."""
        self._delays.observe(max(0.0, delay_s))

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the load is not known before a process serves."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the load of this process."""
        load = self._load()
        return [
            GaugeMetricFamily("snuggles_sockets", "Open Socket.IO connections", value=load.connections),
            GaugeMetricFamily("snuggles_rooms_served", "Rooms with a connection here", value=load.rooms),
            CounterMetricFamily("snuggles_socket_deliveries", "Packets put on clients' queues", value=load.delivered),
            CounterMetricFamily("snuggles_socket_slow_readers", "Clients cut off for not reading", value=load.shed),
        ]


class MetricsPage:
    """The text for Prometheus, written at most once a second; scrapes in between get the last one."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._page = b""
        self._until_s = float("-inf")

    def read(self) -> bytes:
        """Return the page; only the first callers wait for it to be written."""
        if not self._lock.acquire(blocking=not self._page):
            return self._page
        try:
            if self._clock() >= self._until_s:
                self._page = generate_latest(self._registry)
                self._until_s = self._clock() + PAGE_CACHE_S
            return self._page
        finally:
            self._lock.release()
