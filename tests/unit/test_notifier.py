import threading

from workers.queue.notifier import Notifier

LONG_S = 60.0
SHORT_S = 0.01
"""Long enough for hundreds of notifications."""


def test_notification_ends_the_wait_of_its_queue() -> None:
    notifier = Notifier()
    ended = threading.Event()
    seen = notifier.count("render")

    def wait() -> None:
        if notifier.wait("render", seen, LONG_S):
            ended.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    notifier.notify(["render"])
    assert ended.wait(LONG_S)


def test_notifications_of_another_queue_do_not_end_a_wait() -> None:
    notifier = Notifier()
    seen = notifier.count("render")
    is_over = threading.Event()

    def notify() -> None:
        while not is_over.is_set():
            notifier.notify(["ingest"])

    sender = threading.Thread(target=notify, daemon=True)
    sender.start()
    try:
        assert notifier.wait("ingest", 0, LONG_S)
        assert not notifier.wait("render", seen, SHORT_S)
    finally:
        is_over.set()
        sender.join()


def test_notification_between_fetch_and_wait_is_not_missed() -> None:
    notifier = Notifier()
    seen = notifier.count("render")
    notifier.notify(["render"])
    assert notifier.wait("render", seen, LONG_S)


def test_wait_without_notification_ends_in_time() -> None:
    notifier = Notifier()
    notifier.notify(["render"])
    assert not notifier.wait("render", notifier.count("render"), 0.001)
