"""One fraction that never falls."""

import pytest

from pipeline.progress import Meter, split
from pipeline.types import Event, Progress


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def sent(events: list[Event]) -> list[tuple[str, float, float | None]]:
    return [(e.stage, e.fraction, e.eta_s) for e in events if isinstance(e, Progress)]


def test_stages_share_the_whole_and_a_new_one_is_told_at_once() -> None:
    events: list[Event] = []
    clock = Clock()
    meter = Meter(events.append, clock=clock)
    meter.stage("fetch", 0.0, 0.5)(1.0)
    clock.now_s += 1
    report = meter.stage("encode", 0.5, 1.0)
    clock.now_s += 1
    report(0.5)
    assert sent(events) == [("fetch", 0.0, None), ("encode", 0.5, 1.0), ("encode", 0.75, pytest.approx(0.7))]


def test_reports_are_held_back_to_four_a_second() -> None:
    events: list[Event] = []
    clock = Clock()
    report = Meter(events.append, clock=clock).stage("encode", 0.0, 1.0)
    for step in range(128):
        clock.now_s += 1 / 128
        report(step / 128)
    assert len(events) == 1 + 4


def test_a_share_that_falls_does_not_show() -> None:
    events: list[Event] = []
    clock = Clock()
    report = Meter(events.append, clock=clock).stage("encode", 0.0, 1.0)
    for share in (0.8, 0.2, 2.0):
        clock.now_s += 1
        report(share)
    assert [fraction for _, fraction, _ in sent(events)] == [0.0, 0.8, 0.8, 1.0]


def test_parts_take_their_weight() -> None:
    seen: list[float] = []
    first, second = split(seen.append, [1.0, 3.0])
    first(1.0)
    second(0.5)
    assert seen == [0.25, 0.625]
