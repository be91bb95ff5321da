"""Threads that ask at the same time are answered together, and only with their own answer."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from workers.group import Group, GroupError

WAIT_S = 20.0


class Slow:
    """Doubles numbers; the first time only when told to, so that others come meanwhile."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(sorted(numbers))
        if not self.began.is_set():
            self.began.set()
            assert self.go_on.wait(WAIT_S)
        if 13 in numbers:
            raise ValueError("unlucky")
        return [number * 2 for number in numbers]


def ask_while_busy(group: Group[int, int], slow: Slow, numbers: Sequence[int]) -> list[Future[int]]:
    """Ask number 1 first and the others while it is being answered; return what they got."""
    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        asked = [pool.submit(group.ask, 1)]
        assert slow.began.wait(WAIT_S)
        asked += [pool.submit(group.ask, number) for number in numbers]
        while len(group._waiting) < len(numbers):  # noqa: SLF001 - nothing else says that they have come
            assert not slow.go_on.wait(0.001)
        slow.go_on.set()
    return asked


def test_those_who_come_meanwhile_are_asked_for_together() -> None:
    slow = Slow()
    asked = ask_while_busy(Group(slow), slow, [2, 3, 4])
    assert [answer.result() for answer in asked] == [2, 4, 6, 8]
    assert slow.asked == [[1], [2, 3, 4]]


def test_failure_is_raised_by_all_of_the_group_and_by_nobody_else() -> None:
    slow = Slow()
    group = Group(slow)
    first, *others = ask_while_busy(group, slow, [2, 13])
    assert first.result() == 2
    for other in others:
        with pytest.raises(GroupError, match="unlucky"):
            other.result()
    assert group.ask(5) == 10


def test_too_few_answers_are_a_failure_for_all() -> None:
    group: Group[int, int] = Group(lambda _numbers: [])
    with pytest.raises(GroupError):
        group.ask(1)


def test_many_threads_each_get_their_own_answer() -> None:
    group: Group[int, int] = Group(lambda numbers: [number * 2 for number in numbers])
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(group.ask, range(2000))) == [number * 2 for number in range(2000)]
