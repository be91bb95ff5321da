"""Calls that cannot be interrupted: their attempt can be stopped all the same."""

import threading
import time

import pytest
from support.jobs import job

from workers.attempt import Attempt, Stop, StoppedError


def test_result_and_error_of_a_call_come_through() -> None:
    attempt = Attempt(job())

    def fail() -> None:
        raise OSError("full")

    assert attempt.wait_for(lambda: 7) == 7
    with pytest.raises(OSError, match="full"):
        attempt.wait_for(fail)


def test_stopped_attempt_leaves_a_call_that_hangs_within_a_second() -> None:
    attempt, released = Attempt(job()), threading.Event()
    threading.Timer(0.1, attempt.stop, [Stop.CANCELLED]).start()
    began_s = time.monotonic()
    with pytest.raises(StoppedError):
        attempt.wait_for(released.wait)
    assert time.monotonic() - began_s < 1
    released.set()


def test_attempt_that_was_stopped_before_begins_no_call() -> None:
    attempt = Attempt(job())
    attempt.stop(Stop.DRAINED)
    with pytest.raises(StoppedError):
        attempt.wait_for(lambda: pytest.fail("began"))
