"""Counts and times of requests, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Histogram

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

    def observe(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
