import time

from structlog.testing import capture_logs

from workers.queue.outage import Outage


def test_outage_is_one_line_at_its_beginning_and_one_at_its_end() -> None:
    outage = Outage()
    with capture_logs() as lines:
        outage.answered(time.monotonic())
        for _ in range(5):
            outage.failed(ConnectionError("refused"))
        outage.answered(time.monotonic())
        outage.answered(time.monotonic())
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("broker_away", "warning"),
        ("broker_back", "info"),
    ]
    assert lines[0]["error"] == "refused"


def test_answer_to_what_was_asked_before_the_failure_ends_no_outage() -> None:
    outage = Outage()
    asked_s = time.monotonic()
    with capture_logs() as lines:
        outage.failed(ConnectionError("refused"))
        outage.answered(asked_s)
    assert [line["event"] for line in lines] == ["broker_away"]


def test_second_outage_is_told_too() -> None:
    outage = Outage()
    with capture_logs() as lines:
        for _ in range(2):
            outage.failed(ConnectionError("refused"))
            outage.answered(time.monotonic())
    assert [line["event"] for line in lines] == ["broker_away", "broker_back"] * 2
