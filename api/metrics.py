"""Counts and times of requests, for Prometheus."""

import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from services.errors import DomainError, QuotaExceededError, TierRequiredError

# A request is either a query or two (milliseconds), a completed upload (seconds), or something is wrong.
PAGE_CACHE_S = 1.0
"""Writing the page takes a processor for a while; scrapers come every few seconds."""
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class RequestMetrics:
    """What is counted of each request; labels are route templates, never addresses, so they stay few."""

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
