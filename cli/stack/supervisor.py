"""Starts parts, keeps them running, and stops them in order, in one thread."""

import select
import signal
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from cli.errors import BrokenEnvironmentError
from cli.stack.log import PartLog, Terminal
from cli.stack.part import Child, Part, describe_death

TICK_S = 0.1
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
# After running for this long, the next failure of a part counts as its first.
WELL_AFTER_S = 30.0
# A part that dies this often while the stack starts is given up.
HOPELESS_AFTER = 4
SIGNALS_TO_KILL = 3
REPORT_AGAIN_S = 1.0


class Supervisor:
    """Keeps parts running until it is stopped. Use it in the main thread: a child dies with its starter."""

    def __init__(self, *, logs: Path, terminal: Terminal, on_change: Callable[[dict[str, int]], None]) -> None:
        self._logs = logs
        self._terminal = terminal
        self._on_change = on_change
        self._children: list[Child] = []
        self._signals = 0
        self._report_again_at: float | None = None

    def listen_to_signals(self) -> None:
        """Stop cleanly at Ctrl-C, SIGTERM or a closed terminal, and quickly at the second one."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves it
                signal.signal(number, self._on_signal)

    @property
    def asked_to_stop(self) -> bool:
        """Whether a signal has asked to stop."""
        return self._signals > 0

    def start(self, parts: Sequence[Part], *, ready_s: float) -> None:
        """Start the parts together and wait until they are ready, or until a signal asks to stop.

        BrokenEnvironmentError when one does not start in time.
        """
        children = [Child(part, PartLog(part.name, self._logs, self._terminal)) for part in parts]
        self._children += children
        for child in children:
            self._spawn(child)
        deadline = time.monotonic() + ready_s
        waiting = children
        while waiting and not self.asked_to_stop:
            self.tick()
            waiting = [child for child in waiting if not (child.is_alive and child.part.is_ready())]
            for child in waiting:
                if child.failures >= HOPELESS_AFTER or time.monotonic() > deadline:
                    raise BrokenEnvironmentError(self._explain(child))

    def tick(self) -> None:
        """Forward output, reap dead parts, and restart those that are due. Takes `TICK_S` when nothing happens."""
        self._listen()
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and not child.is_alive:
                self._plan_restart(child, now)
            if child.start_again_at is not None and now >= child.start_again_at:
                self._spawn(child)
        if self._report_again_at is not None and now >= self._report_again_at:
            self._changed()

    def stop(self, names: Collection[str] | None = None) -> None:
        """Stop these parts (or all) together; kill those that take too long.

        A second Ctrl-C is forwarded, which ends a worker's grace period; a third one kills.
        """
        children = [child for child in self._children if names is None or child.part.name in names]
        began_at, signals = time.monotonic(), 0
        for child in children:
            child.start_again_at = None
        while alive := [child for child in children if child.is_alive]:
            for child in alive:
                if self._signals >= SIGNALS_TO_KILL or time.monotonic() - began_at > child.part.stop_s:
                    child.signal(signal.SIGKILL)
                elif signals < max(1, self._signals):
                    child.signal(child.part.stop_signal)
            signals = max(1, self._signals)
            self._listen()
        for child in children:
            child.bury()
            child.log.close()
        self._children = [child for child in self._children if child not in children]
        self._changed()

    def _listen(self) -> None:
        speakers = {child.output: child for child in self._children if child.output is not None}
        if not speakers:
            time.sleep(TICK_S)
            return
        for output in select.select(list(speakers), [], [], TICK_S)[0]:
            speakers[output].read()

    def _spawn(self, child: Child) -> None:
        now = time.monotonic()
        try:
            child.spawn(now)
        except (
            OSError
        ) as error:  # no memory, descriptors or disk: the other parts continue, and this one is tried again
            child.started_at = now
            self._plan_again(child, now, f"cannot be started ({error.strerror})")
            return
        self._changed()

    def _plan_restart(self, child: Child, now: float) -> None:
        self._plan_again(child, now, describe_death(child.bury()))

    def _plan_again(self, child: Child, now: float, what: str) -> None:
        child.failures = 1 if now - child.started_at > WELL_AFTER_S else child.failures + 1
        pause_s = min(FIRST_PAUSE_S * 2 ** min(child.failures - 1, 30), LONGEST_PAUSE_S)
        child.start_again_at = now + pause_s
        if not self.asked_to_stop:
            child.log.say(f"[supervisor] {child.part.name} {what}; starting again in {pause_s:.1f} s")

    def _changed(self) -> None:
        """Report the processes; if that fails, as on a full disk, try again with the next ticks."""
        try:
            self._on_change({one.part.name: one.process.pid for one in self._children if one.process is not None})
        except OSError:
            self._report_again_at = time.monotonic() + REPORT_AGAIN_S
        else:
            self._report_again_at = None

    def _explain(self, child: Child) -> str:
        name = child.part.name
        said = [line for line in child.log.last_lines if not line.startswith("[supervisor]")]
        last = f": {said[-1].strip()}" if said else ""
        return f"The part {name} does not start{last} (see {self._logs / name}.log)"

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signals += 1
