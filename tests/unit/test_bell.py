import threading

from workers.queue.notifier import Bell

LONG_S = 60.0
SHORT_S = 0.01
"""It rings hundreds of times meanwhile."""


def test_ring_ends_the_wait_of_its_queue() -> None:
    bell = Bell()
    ended = threading.Event()
    heard = bell.count("render")

    def wait() -> None:
        if bell.wait("render", heard, LONG_S):
            ended.set()

    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    bell.ring(["render"])
    assert ended.wait(LONG_S)


def test_rings_of_another_queue_do_not_end_a_wait() -> None:
    bell = Bell()
    heard = bell.count("render")
    is_over = threading.Event()

    def ring() -> None:
        while not is_over.is_set():
            bell.ring(["ingest"])

    ringer = threading.Thread(target=ring, daemon=True)
    ringer.start()
    try:
        assert bell.wait("ingest", 0, LONG_S)
        assert not bell.wait("render", heard, SHORT_S)
    finally:
        is_over.set()
        ringer.join()


def test_ring_between_the_look_and_the_wait_is_not_missed() -> None:
    bell = Bell()
    heard = bell.count("render")
    bell.ring(["render"])
    assert bell.wait("render", heard, LONG_S)


def test_wait_without_a_ring_ends_in_time() -> None:
    bell = Bell()
    bell.ring(["render"])
    assert not bell.wait("render", bell.count("render"), 0.001)
