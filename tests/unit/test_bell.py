import threading

from workers.bell import Bell

LONG_S = 60.0


def test_ring_ends_the_wait_of_its_queue_alone() -> None:
    bell = Bell()
    ended = threading.Event()
    heard = bell.count("render")

    def wait() -> None:
        if bell.wait("render", heard, LONG_S):
            ended.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    bell.ring(["ingest"])
    assert not ended.wait(0.05)
    bell.ring(["render"])
    assert ended.wait(LONG_S)


def test_ring_between_the_look_and_the_wait_is_not_missed() -> None:
    bell = Bell()
    heard = bell.count("render")
    bell.ring(["render"])
    assert bell.wait("render", heard, LONG_S)


def test_wait_without_a_ring_ends_in_time() -> None:
    bell = Bell()
    bell.ring(["render"])
    assert not bell.wait("render", bell.count("render"), 0.001)
