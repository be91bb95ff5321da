"""One id for what a request sets off: it goes with the request, its jobs, their children and its events.

The id has the form of a W3C trace id (32 hexadecimal digits), so that a caller's own trace goes on here.
"""

import re
import secrets

import structlog

TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
# https://www.w3.org/TR/trace-context/#traceparent-header: version, trace id, parent id, flags.
TRACEPARENT = re.compile(rf"(?!ff)[0-9a-f]{{2}}-({TRACE_ID.pattern})-((?!0{{16}})[0-9a-f]{{16}})-[0-9a-f]{{2}}(?:-.*)?")


def new_trace_id() -> str:
    """Return an id that nobody has used."""
    return secrets.token_hex(16)


def trace_id_of(traceparent: str | None) -> str:
    """Return the id that a caller's `traceparent` header names, or a new one when there is none that can be read."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match.group(1) if match else new_trace_id()


def parent_id_of(traceparent: str | None) -> str | None:
    """Return the id of the caller's own span, for ours to hang on."""
    match = TRACEPARENT.fullmatch(traceparent or "")
    return match.group(2) if match else None


def current_trace_id() -> str | None:
    """Return the id of what this thread is at work for, if it is bound to the log's context."""
    value = structlog.contextvars.get_contextvars().get("trace_id")
    return value if isinstance(value, str) and value else None
