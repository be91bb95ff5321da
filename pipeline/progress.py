"""Progress of a task: combines the shares of its parts to one fraction that never falls, sent four times a second."""

import time
from collections.abc import Callable

from pipeline.types import Event, Progress

INTERVAL_S = 0.25
"""Seconds between two Progress events: as often as people can follow, and rarely enough to cost nothing."""
ETA_FROM = 0.02
"""Below this share an estimate of the time left is noise."""

Emit = Callable[[Event], None]


class Meter:
    """Sends Progress events for one task. `stage` returns a function with which a part of it reports its own share.

    A change of stage is sent at once, so that people see the current work even without a count.
    """

    def __init__(self, emit: Emit, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit = emit
        self._clock = clock
        self._started_s = clock()
        self._sent_s = float("-inf")
        self._sent_stage = ""
        self._fraction = 0.0

    def stage(self, name: str, start: float, end: float) -> Callable[[float], None]:
        """Begin a part that covers `start` to `end` of the whole (0 to 1) and return its reporter."""

        def report(share: float) -> None:
            self._report(name, start + (end - start) * min(1.0, max(0.0, share)))

        report(0.0)
        return report

    def _report(self, name: str, fraction: float) -> None:
        self._fraction = max(self._fraction, fraction)
        now = self._clock()
        if name == self._sent_stage and now - self._sent_s < INTERVAL_S:
            return
        self._sent_s, self._sent_stage = now, name
        self._emit(Progress(stage=name, fraction=round(self._fraction, 4), eta_s=self._eta_s(now)))

    def _eta_s(self, now: float) -> float | None:
        if self._fraction < ETA_FROM:
            return None
        return round((now - self._started_s) * (1.0 - self._fraction) / self._fraction, 1)


def split(report: Callable[[float], None], weights: list[float]) -> list[Callable[[float], None]]:
    """Return a reporter for each of several parts of one stage, each taking its weight of the stage's share."""
    total = sum(weights) or 1.0
    reporters = []
    before = 0.0
    for weight in weights:
        reporters.append(_part(report, before / total, weight / total))
        before += weight
    return reporters


def _part(report: Callable[[float], None], start: float, width: float) -> Callable[[float], None]:
    return lambda share: report(start + width * min(1.0, max(0.0, share)))
