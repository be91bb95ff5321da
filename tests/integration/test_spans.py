"""Spans of one trace from several processes: a real exporter, a real HTTP server in the collector's place."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.api.receiver import Receiver, receiver

from services.process import spans, tracing
from services.process.settings import Settings, SettingsError

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
START = """
from datetime import UTC, datetime, timedelta
from services.process import spans, telemetry
from services.process.settings import load

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
telemetry.start(load(), part="{part}")
"""
API = (
    START.format(part="api")
    + """
with spans.span("request", trace_id=TRACE_ID, about=spans.REQUEST, parent_id="00f067aa0ba902b7") as span:
    span.update_name("POST /api/clips")
"""
)
WORKER = (
    START.format(part="worker")
    + """
due_at = datetime.now(UTC) - timedelta(seconds=5)
request = spans.span_id(TRACE_ID, spans.REQUEST)
with spans.span("render", trace_id=TRACE_ID, about="17/1", parent_id=request, since=due_at, job_id="17"):
    spans.record("wait", start=due_at, end=due_at + timedelta(seconds=2))
    try:
        with spans.span("child", trace_id=TRACE_ID, about="17/1/child"):
            raise ValueError("https://s3.example/a.mp4?X-Amz-Signature=abcdef")
    except ValueError:
        pass
with spans.span("stray", trace_id="not a trace id", about="18/1"):
    spans.record("stray", start=due_at, end=datetime.now(UTC))
"""
)


@pytest.fixture
def told() -> Iterator[Receiver]:
    with receiver() as listening:
        listening.statuses = [200] * 100
        yield listening


def run(program: str, settings: Settings, told: Receiver | None) -> None:
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "STORAGE_DIR": str(settings.storage_dir),
        "JWT_SECRET": settings.jwt_secret,
        **({} if told is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{told.authority}"}),
    }
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)


def spans_of(told: Receiver) -> dict[str, Span]:
    requests = [ExportTraceServiceRequest.FromString(request.raw) for request in told.received]
    return {
        span.name: span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def test_processes_add_to_one_trace_without_telling_each_other(settings: Settings, told: Receiver) -> None:
    run(WORKER, settings, told)
    run(API, settings, told)
    found = spans_of(told)
    assert found.keys() == {"POST /api/clips", "render", "wait", "child"}
    assert {span.trace_id.hex() for span in found.values()} == {TRACE_ID}
    assert found["POST /api/clips"].parent_span_id.hex() == CALLER
    assert found["render"].parent_span_id == found["POST /api/clips"].span_id
    assert found["wait"].parent_span_id == found["render"].span_id
    assert found["child"].parent_span_id == found["render"].span_id
    render, wait = found["render"], found["wait"]
    assert wait.start_time_unix_nano == render.start_time_unix_nano
    assert wait.end_time_unix_nano - wait.start_time_unix_nano == 2_000_000_000
    assert render.end_time_unix_nano - render.start_time_unix_nano >= 5_000_000_000
    assert {field.key: field.value.string_value for field in render.attributes} == {"snuggles.job_id": "17"}
    assert b"abcdef" not in b"".join(request.raw for request in told.received)


def test_without_a_collector_nothing_is_made(settings: Settings, told: Receiver) -> None:
    run(API.replace("    span.update_name", "    assert span is None #"), settings, None)
    assert told.received == []


def test_collector_without_the_extra_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"big-snuggles\[tracing\]"):
        spans.configure(part="api", environment={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example"})


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{CALLER}-01",
        f"00-{TRACE_ID.upper()}-{CALLER}-01",
    ],
)
def test_unreadable_traceparent_begins_a_new_trace(header: str | None) -> None:
    assert tracing.trace_id_of(header) != TRACE_ID
    assert tracing.TRACE_ID.fullmatch(tracing.trace_id_of(header))
    assert tracing.parent_id_of(header) is None


def test_callers_trace_goes_on() -> None:
    header = f"00-{TRACE_ID}-{CALLER}-01"
    assert tracing.trace_id_of(header) == TRACE_ID
    assert tracing.parent_id_of(header) == CALLER
