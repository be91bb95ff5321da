"""Spans of requests and their jobs for an OpenTelemetry collector, if one is configured.

Set OTEL_EXPORTER_OTLP_ENDPOINT and install the extra `tracing`. The id of a span is computed from its subject, so that
the span of a job can name that of its request as parent without communication between the processes.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

from services.process.settings import SettingsError
from services.process.tracing import TRACE_ID

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from opentelemetry.util.types import AttributeValue


class Span(Protocol):
    """The part of OpenTelemetry's span that other modules use."""

    def update_name(self, name: str) -> None:
        """Change the name."""

    def set_attribute(self, key: str, value: "AttributeValue") -> None:
        """Add a field."""


ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
REQUEST = "request"
"""The subject of the first span of a trace."""

# Set once, before any thread starts; a tracer is global to a process, like its log.
_tracers: "list[Tracer]" = []
_next_ids: "ContextVar[tuple[int, int] | None]" = ContextVar("next_span_ids", default=None)


def configure(*, part: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send the spans of this process to the collector that the environment names, if any.

    SettingsError when the extra is not installed.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    except ImportError as error:
        raise SettingsError(
            f"{ENDPOINTS[0]} is set; install the sender of spans: pip install 'big-snuggles[tracing]'"
        ) from error

    class PlannedIds(RandomIdGenerator):
        """Returns the ids that `span` has computed, and random ids to other callers."""

        def generate_span_id(self) -> int:
            planned = _next_ids.get()
            return planned[1] if planned else super().generate_span_id()

        def generate_trace_id(self) -> int:
            planned = _next_ids.get()
            return planned[0] if planned else super().generate_trace_id()

    resource = Resource.create({"service.name": f"snuggles-{part}"})
    provider = TracerProvider(resource=resource, id_generator=PlannedIds())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracers[:] = [provider.get_tracer("big-snuggles")]


@contextmanager
def span(
    name: str,
    *,
    trace_id: str | None,
    about: str,
    parent_id: str | None = None,
    since: datetime | None = None,
    **fields: "AttributeValue | None",
) -> Iterator[Span | None]:
    """Time the block as part of a trace; yields the span, or None without a collector or a trace.

    `about` names the subject, once in a trace. `parent_id` is the parent's id (16 hexadecimal digits); without one the
    parent is the span around this block, or none. `since` is when it began, if not now.
    """
    if not _tracers or not TRACE_ID.fullmatch(trace_id or ""):
        yield None
        return
    trace_id = str(trace_id)
    token = _next_ids.set((int(trace_id, 16), int(span_id(trace_id, about), 16)))
    try:
        context, start = _context(trace_id, parent_id), None if since is None else _nanoseconds(since)
        started = _tracers[0].start_span(name, context, attributes=_present(fields), start_time=start)
    finally:
        _next_ids.reset(token)
    from opentelemetry.trace import use_span

    # An exception's text may contain secrets; the log has the error under the same trace.
    with use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield started


def record(name: str, *, start: datetime, end: datetime) -> None:
    """Add a past interval to the current span, if any."""
    if _tracers and _current_is_recording() and end >= start:
        past = _tracers[0].start_span(name, start_time=_nanoseconds(start))
        past.end(_nanoseconds(end))


def span_id(trace_id: str, about: str) -> str:
    """Return the id of a span from its subject: 16 hexadecimal digits."""
    return sha256(f"{trace_id}/{about}".encode()).hexdigest()[:16]


def _context(trace_id: str, parent_id: str | None) -> Any:
    """Return the context whose span is the parent; None means the context of the caller."""
    if parent_id is None:
        return None
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    parent = SpanContext(int(trace_id, 16), int(parent_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    return set_span_in_context(NonRecordingSpan(parent))


def _current_is_recording() -> bool:
    from opentelemetry.trace import get_current_span

    return get_current_span().is_recording()


def _present(fields: "Mapping[str, AttributeValue | None]") -> "dict[str, AttributeValue]":
    return {f"snuggles.{name}": value for name, value in fields.items() if value is not None}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
