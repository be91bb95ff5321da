"""Starts the telemetry of a process: logs, and errors and spans where configured."""

from services.process import logging, sentry, spans
from services.process.settings import Settings


def start(settings: Settings, *, part: str) -> None:
    """Configure logs, Sentry and spans; `part` names the process. Call it once, before anything else."""
    logging.configure(settings, part=part)
    sentry.configure(settings, part=part)
    spans.configure(part=part)
