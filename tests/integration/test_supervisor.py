"""The supervisor, with parts that do as they are told."""

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec
import psutil
import pytest
from support.servers.processes import runs

from cli.embedded.program import Program
from cli.errors import BrokenEnvironmentError
from cli.stack.log import LogFile, PartLog, Terminal
from cli.stack.part import Part, always
from cli.stack.supervisor import Supervisor

WAIT_S = 30
STEADY = "print('up', flush=True); import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def test_processes_that_cannot_be_written_down_end_nothing_and_are_written_later(tmp_path: Path) -> None:
    written: list[dict[str, int]] = []
    is_full = True

    def write(pids: dict[str, int]) -> None:
        if is_full:
            raise OSError(28, "No space left on device")
        written.append(pids)

    supervisor = Supervisor(logs=tmp_path, terminal=Terminal(io.StringIO()), on_change=write)
    try:
        supervisor.start([part("steady", STEADY)], ready_s=WAIT_S)
        supervisor.tick()
        is_full = False
        deadline = time.monotonic() + WAIT_S
        while not written and time.monotonic() < deadline:
            supervisor.tick()
        assert list(written[0]) == ["steady"]
    finally:
        supervisor.stop()


def test_part_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    steady = part("steady", STEADY)
    attempts: list[int] = []

    def program() -> AbstractContextManager[Program]:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError(12, "Cannot allocate memory")
        return steady.program()

    screen = io.StringIO()
    supervisor = Supervisor(logs=tmp_path, terminal=Terminal(screen), on_change=lambda _: None)
    try:
        supervisor.start([msgspec.structs.replace(steady, program=program)], ready_s=WAIT_S)
        assert len(attempts) == 3
        assert "cannot be started (Cannot allocate memory)" in screen.getvalue()
    finally:
        supervisor.stop()


class Watched:
    """A supervisor whose doings can be looked at."""

    def __init__(self, logs: Path) -> None:
        self.screen = io.StringIO()
        self.terminal = Terminal(self.screen)
        self.pids: dict[str, int] = {}
        self.history: list[dict[str, int]] = []
        self.supervisor = Supervisor(logs=logs, terminal=self.terminal, on_change=self._changed)

    def _changed(self, pids: dict[str, int]) -> None:
        self.pids = pids
        self.history.append(pids)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, self.screen.getvalue()
            self.supervisor.tick()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path)
    yield made
    made.supervisor.stop()
    for pid in {pid for pids in made.history for pid in pids.values()}:
        assert not psutil.pid_exists(pid)


def part(name: str, code: str, *, ready: Callable[[], bool] = lambda: True, stop_s: float = 10) -> Part:
    program = Program(argv=(sys.executable, "-I", "-c", code))
    return Part(name=name, program=lambda: always(program), is_ready=ready, stop_s=stop_s)


def test_killed_part_starts_again_and_the_others_stay(watched: Watched, tmp_path: Path) -> None:
    watched.supervisor.start([part("one", STEADY), part("two", STEADY)], ready_s=WAIT_S)
    watched.until(lambda: "up\n" in (tmp_path / "one.log").read_text())
    before = dict(watched.pids)
    os.kill(before["one"], signal.SIGKILL)
    watched.until(lambda: watched.pids.get("one", before["one"]) != before["one"])
    assert watched.pids["two"] == before["two"]
    assert "one was ended by SIGKILL; starting again in 0.2 s" in watched.screen.getvalue()
    watched.until(lambda: (tmp_path / "one.log").read_text().count("up\n") == 2)


def test_part_that_keeps_dying_waits_longer_each_time(watched: Watched) -> None:
    watched.supervisor.start([part("one", STEADY)], ready_s=WAIT_S)
    for _ in range(3):
        watched.until(lambda: "one" in watched.pids)
        pid = watched.pids["one"]
        os.kill(pid, signal.SIGKILL)
        watched.until(lambda pid=pid: watched.pids.get("one") != pid)
    watched.until(lambda: "one" in watched.pids)
    said = watched.screen.getvalue()
    assert said.index("again in 0.2 s") < said.index("again in 0.4 s") < said.index("again in 0.8 s")


def test_part_that_does_not_come_up_is_named_with_its_last_words(watched: Watched) -> None:
    broken = part("one", "print('no such thing as a port', flush=True); raise SystemExit(3)", ready=lambda: False)
    with pytest.raises(BrokenEnvironmentError, match="one does not start: no such thing as a port"):
        watched.supervisor.start([broken], ready_s=WAIT_S)


def test_part_that_does_not_get_ready_in_time_is_named(watched: Watched) -> None:
    with pytest.raises(BrokenEnvironmentError, match="slow does not start"):
        watched.supervisor.start([part("slow", STEADY, ready=lambda: False)], ready_s=0.3)


def test_stubborn_part_is_killed_in_the_end(watched: Watched) -> None:
    watched.supervisor.start([part("one", STUBBORN, stop_s=0.5)], ready_s=WAIT_S)
    watched.until(lambda: "up" in watched.screen.getvalue())
    pid = watched.pids["one"]
    watched.supervisor.stop()
    assert not psutil.pid_exists(pid)
    assert watched.pids == {}


def test_parts_stop_in_the_order_asked_for(watched: Watched) -> None:
    watched.supervisor.start([part("server", STEADY), part("client", STEADY)], ready_s=WAIT_S)
    watched.supervisor.stop(["client"])
    assert set(watched.pids) == {"server"}
    watched.supervisor.stop(["server"])
    assert watched.pids == {}


def test_what_a_part_leaves_in_its_group_dies_with_it(watched: Watched, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    watched.supervisor.start([part("one", code)], ready_s=WAIT_S)
    watched.until(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    first = watched.pids["one"]
    os.kill(first, signal.SIGKILL)
    watched.until(lambda: watched.pids.get("one") not in {first, None})
    with suppress(psutil.NoSuchProcess):
        left = psutil.Process(child)
        watched.until(lambda: not runs(left))  # what was killed may be on its way out still


def test_log_keeps_within_its_limit(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "part.log", limit_bytes=1000)
    for number in range(100):
        log.write(f"line {number:03d}\n".encode() * 5)
    log.close()
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"part.log", "part.log.1"}
    assert max(sizes.values()) <= 1100
    newest = (tmp_path / "part.log.1").read_text() + (tmp_path / "part.log").read_text()
    assert newest.endswith("line 099\n")


def test_lines_are_told_whole_with_the_name_of_the_part(tmp_path: Path) -> None:
    screen = io.StringIO()
    log = PartLog("api", tmp_path, Terminal(screen))
    for piece in (b"one\ntw", b"o\r\n", b"\xff\nrest"):
        log.feed(piece)
    log.close()
    assert screen.getvalue().splitlines() == [f"{'api':<10} {line}" for line in ("one", "two", "\ufffd", "rest")]
    assert (tmp_path / "api.log").read_text() == "one\ntwo\n\ufffd\nrest\n"
