"""What several threads ask at the same time is asked once, for all of them."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class GroupError(Exception):
    """A question that was asked for several threads, or for this one alone, failed; the cause says how."""


class _Asker(Generic[Question, Answer]):
    def __init__(self, question: Question) -> None:
        self.question = question
        self.woken = threading.Event()
        self.answers: list[Answer] = []
        self.error: Exception | None = None
        self.is_done = False


class Group(Generic[Question, Answer]):
    """Whoever comes while nobody asks does so at once, for himself; those who come meanwhile are the next group.

    So nobody waits for company, and the more there is to do, the less each costs.
    """

    def __init__(self, ask: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        """`ask` takes any number of questions and returns their answers in the same order."""
        self._ask = ask
        self._lock = threading.Lock()
        self._waiting: list[_Asker[Question, Answer]] = []
        self._is_busy = False

    def ask(self, question: Question) -> Answer:
        """Return the answer to one question; GroupError when asking failed, whoever's question was to blame."""
        mine = _Asker[Question, Answer](question)
        with self._lock:
            self._waiting.append(mine)
            leads, self._is_busy = not self._is_busy, True
        if not leads:
            mine.woken.wait()
        if not mine.is_done:
            self._lead()
        if mine.error is not None:
            raise GroupError(str(mine.error)) from mine.error
        return mine.answers[0]

    def _lead(self) -> None:
        """Ask for all who wait, this thread among them, and leave the lead to the first who came meanwhile."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            answers = self._ask([asker.question for asker in group])
            for asker, answer in zip(group, answers, strict=True):
                asker.answers.append(answer)
        except Exception as error:  # noqa: BLE001 - each of the group raises it in its own thread
            for asker in group:
                asker.error = error
        with self._lock:
            following = self._waiting[0] if self._waiting else None
            self._is_busy = following is not None
        for asker in group:
            asker.is_done = True
            asker.woken.set()
        if following is not None:
            following.woken.set()
