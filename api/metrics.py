"""Counts and times of requests, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.errors import DomainError, QuotaExceededError, TierRequiredError

# A request is either a query or two (milliseconds), a completed upload (seconds), or something is wrong.
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

    def refuse(self, error: DomainError) -> None:
        """Count a request that the tier does not allow; other errors are not counted."""
        if isinstance(error, QuotaExceededError | TierRequiredError):
            details = error.details
            self._refusals.labels(str(details.get("feature", "")), str(details.get("tier", ""))).inc()

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
