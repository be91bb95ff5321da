"""Logs one line when the broker stops answering and one when it is back, however many threads see it."""

import threading
import time

import structlog

log = structlog.get_logger(__name__)


class Outage:
    """Shared by all threads that use one broker. A call counts as answered only if it began after the last failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_s: float | None = None
        self._failed_s = 0.0

    def failed(self, error: Exception) -> None:
        """Record that a call failed."""
        with self._lock:
            self._failed_s = time.monotonic()
            is_first = self._began_s is None
            if is_first:
                self._began_s = self._failed_s
        if is_first:
            log.warning("broker_away", error=str(error))

    def answered(self, asked_s: float) -> None:
        """Record that a call was answered; `asked_s` is the monotonic time at which it began."""
        if self._began_s is None:  # nearly always
            return
        with self._lock:
            if self._began_s is None or asked_s <= self._failed_s:
                return
            away_s, self._began_s = time.monotonic() - self._began_s, None
        log.info("broker_back", away_s=round(away_s, 1))
