"""Logging: events with fields, without secrets, signed URLs and credentials in addresses."""

import logging
import re
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from services.process.settings import Settings

REDACTED = "[redacted]"
TELLTALE_WORDS = "password|passwd|secret|token|authorization|cookie|signature|api_key|jwt|credential"
SECRET_NAMES = re.compile(rf"(?:^|[_-])(?:{TELLTALE_WORDS})s?(?:$|[_-])", re.IGNORECASE)
# Fields that readers of the log need in full: without a mail server, the link of a mail.
DELIBERATE = {"link"}
# Our own events replace the routine messages of these loggers.
TALKATIVE = ("dramatiq", "uvicorn", "urllib3", "httpx")
# A query string may be a signature (presigned URLs), and the user part of a URL may contain a password.
QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]+")
USER_INFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/@]*@")
# Control characters move the cursor of a terminal or forge lines; bidirectional ones disguise text.
UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
MULTILINE = {"exception", "stack"}
# Keys and webhook secrets of Stripe, and API keys of ours, carry their kind at the front.
KEYS = re.compile(r"\b((?:sk|rk|whsec|snk)_)[A-Za-z0-9_-]{4,}")
BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)


def configure(settings: Settings, *, part: str, stream: TextIO | None = None) -> None:
    """Send all logs of this process to standard error, as JSON lines in production and readable text in development.

    `part` names the process in production, such as `api` or `worker`.
    """
    output = sys.stderr if stream is None else stream
    production = settings.app_env == "production"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso" if production else "%H:%M:%S", utc=production),
        structlog.processors.StackInfoRenderer(),
    ]
    if production:
        shared.insert(0, _naming(part))
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if production
        else structlog.dev.ConsoleRenderer(
            colors=output.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        # First, so that no work goes into events below the level.
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            # Exceptions become text only here, so that other handlers of the record get the exception itself.
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.NOTSET if settings.log_level == "debug" else logging.WARNING)
    logging.captureWarnings(capture=True)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Remove secrets from an event."""
    return {name: value if name in DELIBERATE else _redacted(name, value) for name, value in event.items()}


def redact_text(text: str) -> str:
    """Remove credentials, and query strings and user parts of URLs, from a text."""
    text = KEYS.sub(rf"\1{REDACTED}", BEARER.sub(rf"\1 {REDACTED}", text))
    text = QUERY.sub(rf"\1?{REDACTED}", text)
    return USER_INFO.sub(rf"\1{REDACTED}@", text)


def _visible(text: str) -> str:
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _naming(part: str) -> Processor:
    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["part"] = part
        return event

    return name


def _redacted(name: str, value: object) -> object:
    if value is not None and SECRET_NAMES.search(name):
        return REDACTED
    if isinstance(value, str):
        lines = redact_text(value).split("\n") if name in MULTILINE else [redact_text(value)]
        return "\n".join(_visible(line) for line in lines)
    if isinstance(value, dict):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted("", item) for item in value]
    return value
