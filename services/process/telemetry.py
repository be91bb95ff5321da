"""What a process tells about itself: logs always, errors to Sentry and spans to a collector where configured."""

from services.process import logging, sentry, spans
from services.process.settings import Settings


def start(settings: Settings, *, part: str) -> None:
    """Begin to tell; `part` names the process, such as `api` or `worker`. Once, before anything else is done."""
    logging.configure(settings, part=part)
    sentry.configure(settings, part=part)
    spans.configure(part=part)
