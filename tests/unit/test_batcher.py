"""Items that threads submit at the same time are handled together, and each thread gets its own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from workers.completer import Batcher, BatchError

WAIT_S = 20.0


class Slow:
    """Doubles numbers; blocks the first call until released, so that more items arrive meanwhile."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(sorted(numbers))
        if not self.began.is_set():
            self.began.set()
            assert self.go_on.wait(WAIT_S)
        if 13 in numbers:
            raise ValueError("unlucky")
        return [number * 2 for number in numbers]


def submit_while_busy(batcher: Batcher[int, int], slow: Slow, numbers: Sequence[int]) -> list[Future[int]]:
    """Submit 1 first and the others while it is being handled; return all answers."""
    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        submitted = [pool.submit(batcher.submit, 1)]
        assert slow.began.wait(WAIT_S)
        submitted += [pool.submit(batcher.submit, number) for number in numbers]
        while len(batcher._queue) < len(numbers):  # noqa: SLF001 - nothing else shows that they arrived
            assert not slow.go_on.wait(0.001)
        slow.go_on.set()
    return submitted


def test_items_that_arrive_meanwhile_are_handled_together() -> None:
    slow = Slow()
    submitted = submit_while_busy(Batcher(slow), slow, [2, 3, 4])
    assert [answer.result() for answer in submitted] == [2, 4, 6, 8]
    assert slow.batches == [[1], [2, 3, 4]]


def test_failure_reaches_every_thread_of_the_batch_and_no_other() -> None:
    slow = Slow()
    batcher = Batcher(slow)
    first, *others = submit_while_busy(batcher, slow, [2, 13])
    assert first.result() == 2
    for other in others:
        with pytest.raises(BatchError, match="unlucky"):
            other.result()
    assert batcher.submit(5) == 10


def test_too_few_answers_fail_the_batch() -> None:
    batcher: Batcher[int, int] = Batcher(lambda _numbers: [])
    with pytest.raises(BatchError):
        batcher.submit(1)


def test_each_of_many_threads_gets_its_own_answer() -> None:
    batcher: Batcher[int, int] = Batcher(lambda numbers: [number * 2 for number in numbers])
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(batcher.submit, range(2000))) == [number * 2 for number in range(2000)]
