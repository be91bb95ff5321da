"""Sends events of level error to Sentry if SENTRY_DSN is set, without secrets.

Nothing else is collected: no integrations that read requests, no local variables, no breadcrumbs.
"""

import logging
import sys
from importlib.metadata import version
from typing import Any, cast

import sentry_sdk
import structlog
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from services.process.logging import redact
from services.process.settings import Settings

TAGS = ("part", "kind", "job_id", "clip_id", "recording_id", "webhook_id", "attempt", "trace_id", "route", "code")
"""Fields that become searchable tags; the other fields of a log event are shown with it."""
OWN = frozenset({"event", "level", "logger", "timestamp", "exc_info", "stack", "owner", *TAGS})


def configure(settings: Settings, *, part: str) -> None:
    """Send the errors of this process to SENTRY_DSN, if set."""
    if not settings.sentry_dsn:
        return
    sentry_sdk.init(
        dsn=settings.sentry_dsn,
        environment=settings.app_env,
        release=f"big-snuggles@{version('big-snuggles')}",
        default_integrations=False,
        auto_enabling_integrations=False,
        # Uncaught exceptions, and no duplicates of an exception that two handlers see.
        integrations=[ExcepthookIntegration(), ThreadingIntegration(), DedupeIntegration(), AtexitIntegration(_quiet)],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=scrub,
    )
    sentry_sdk.set_tag("part", part)
    logging.getLogger().addHandler(SentryHandler(level=logging.ERROR))


class SentryHandler(logging.Handler):
    """Turns a log record of ours or of a library into an event."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the event to the client, which sends it in its own thread."""
        if record.name.startswith("sentry_sdk"):
            return
        fields = record.msg if isinstance(record.msg, dict) else structlog.contextvars.get_contextvars()
        message = str(fields["event"]) if isinstance(record.msg, dict) else record.getMessage()
        sentry_sdk.capture_event(_event(record, fields, message))


def scrub(event: Event, _hint: Hint) -> Event:
    """Remove secrets from an event, as the last step before it is sent."""
    redacted = redact(None, "", dict(event))
    redacted.pop("request", None)
    return cast("Event", redacted)


def _event(record: logging.LogRecord, fields: dict[str, Any], message: str) -> Event:
    event: Event = {}
    exception = _exception(fields.get("exc_info") or record.exc_info)
    if exception is not None:
        event, _ = event_from_exception(exception, client_options=sentry_sdk.get_client().options)
    event["level"] = "fatal" if record.levelno >= logging.CRITICAL else "error"
    event["logger"] = record.name
    event["logentry"] = {"message": message}
    event["tags"] = {name: str(fields[name]) for name in TAGS if fields.get(name) is not None}
    event["extra"] = {name: value for name, value in fields.items() if name not in OWN}
    if fields.get("owner"):
        event["user"] = {"id": str(fields["owner"])}
    return event


def _exception(found: Any) -> BaseException | None:
    """Return the exception of a record, in any of the forms in which it can be given."""
    if isinstance(found, BaseException):
        return found
    if isinstance(found, tuple):
        return found[1] if isinstance(found[1], BaseException) else None
    return sys.exc_info()[1] if found else None


def _quiet(_pending: int, _timeout: float) -> None:
    """Print nothing while the last events are sent at the end of the process."""
