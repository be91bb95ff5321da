"""What reaches Sentry: a real client in a process of its own, a real HTTP server in Sentry's place."""

import gzip
import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
from support.api.receiver import Receiver, receiver

from services.process.settings import Settings

PROGRAM = """
import sys, threading
import structlog
from services.process import telemetry
from services.process.settings import load

telemetry.start(load(), part="worker")
log = structlog.get_logger("workers.execution")
password = "hunter2"
with structlog.contextvars.bound_contextvars(job_id="17", clip_id="9", owner="ada", attempt=2, trace_id="4f"):
    try:
        raise ValueError("GET https://s3.example/a.mp4?X-Amz-Signature=abcdef failed: Bearer abc.def.ghi")
    except ValueError as error:
        log.error("job_crashed", exc_info=error, access_token="abc.def.ghi", url="https://u:hunter2@db.example/x")
    log.warning("job_failed", code="unreadable")
"""


def events_of(told: Receiver) -> list[dict[str, Any]]:
    """Unpack envelopes: a header line, then a header and a payload for each item."""
    events = []
    for request in told.received:
        raw = gzip.decompress(request.raw) if request.headers.get("content-encoding") == "gzip" else request.raw
        lines = [json.loads(line) for line in raw.splitlines() if line]
        events += [payload for header, payload in itertools.pairwise(lines) if header.get("type") == "event"]
    return events


def run(program: str, settings: Settings, told: Receiver) -> subprocess.CompletedProcess[str]:
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "STORAGE_DIR": str(settings.storage_dir),
        "JWT_SECRET": settings.jwt_secret,
        "SENTRY_DSN": f"http://public@{told.authority}/1",
    }
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def told() -> Any:
    with receiver() as listening:
        yield listening


def test_logged_error_arrives_with_its_fields_and_without_secrets(settings: Settings, told: Receiver) -> None:
    ended = run(PROGRAM, settings, told)
    assert ended.returncode == 0, ended.stderr
    (event,) = events_of(told)
    assert event["logentry"]["message"] == "job_crashed"
    assert event["level"] == "error"
    assert event["user"] == {"id": "ada"}
    assert {"job_id": "17", "clip_id": "9", "attempt": "2", "trace_id": "4f", "part": "worker"}.items() <= event[
        "tags"
    ].items()
    (exception,) = event["exception"]["values"]
    assert exception["type"] == "ValueError"
    text = json.dumps(event)
    for secret in ("hunter2", "abcdef", "abc.def.ghi"):
        assert secret not in text
    assert "job_crashed" in ended.stderr
    assert "ValueError" in ended.stderr


def test_exception_that_nobody_caught_arrives_too(settings: Settings, told: Receiver) -> None:
    program = PROGRAM.partition("log = ")[0] + 'raise RuntimeError("Bearer abc.def.ghi")'
    assert run(program, settings, told).returncode == 1
    (event,) = events_of(told)
    assert event["exception"]["values"][0]["value"] == "Bearer [redacted]"


def test_without_a_dsn_nothing_is_sent(settings: Settings, told: Receiver) -> None:
    ended = run(PROGRAM.replace("load()", "load(__import__('os').environ | {'SENTRY_DSN': ''})"), settings, told)
    assert ended.returncode == 0, ended.stderr
    assert told.received == []
