"""Trace ids: one id for a request, its jobs, their children and its events.

The id is a W3C trace id (32 hexadecimal digits), so that the trace of a caller continues here.
"""

import re
import secrets

import structlog

TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags.
TRACEPARENT = re.compile(rf"(?!ff)[0-9a-f]{{2}}-({TRACE_ID.pattern})-((?!0{{16}})[0-9a-f]{{16}})-[0-9a-f]{{2}}(?:-.*)?")


def new_trace_id() -> str:
    """Return a new random id."""
    return secrets.token_hex(16)


def trace_id_of(traceparent: str | None) -> str:
    """Return the trace id of a `traceparent` header, or a new one if the header is missing or invalid."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match.group(1) if match else new_trace_id()


def parent_id_of(traceparent: str | None) -> str | None:
    """Return the id of the caller's span, which is the parent of ours."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match.group(2) if match else None


def current_trace_id() -> str | None:
    """Return the trace id in the log context of this thread, if any."""
    value = structlog.contextvars.get_contextvars().get("trace_id")
    return value if isinstance(value, str) and value else None
