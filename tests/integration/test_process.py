"""The child's runner: nothing it starts outlives it, whatever it does and however it was started."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.servers import program_server
from support.servers.fleet import wait_for
from support.servers.processes import require_fork, runs

from workers.children.fork_client import ForkServer
from workers.children.launcher import execute
from workers.children.process import LINE_BYTES, ChildProcess, LineTooLongError

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SLEEPER = "import subprocess, sys, time; "
GRANDCHILD = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
TELL = "print(child.pid, flush=True); "


Run = Callable[..., ChildProcess]


def run_executed(program: str, folder: Path, **options: float) -> ChildProcess:
    return ChildProcess(execute([sys.executable, "-c", program], folder, ENVIRONMENT), **options)


@pytest.fixture(params=["executed", "forked"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    if request.param == "executed":
        yield run_executed
        return
    require_fork()
    server = ForkServer(ENVIRONMENT, command=program_server.COMMAND)

    def run_forked(program: str, folder: Path, **options: float) -> ChildProcess:
        return ChildProcess(program_server.start(server, program, folder, ENVIRONMENT), **options)

    yield run_forked
    server.close()


def lines(child: ChildProcess, request: bytes = b"") -> list[str]:
    return [line.decode() for line in child.lines(request)]


def is_gone(pid: int) -> bool:
    try:
        return not runs(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def test_lines_come_out_and_the_request_goes_in(run: Run, tmp_path: Path) -> None:
    child = run("import sys; print(sys.stdin.read()); print('two'); print('log', file=sys.stderr)", tmp_path)
    assert lines(child, b"one") == ["one", "two"]
    assert child.end() == 0
    assert child.stderr == "log\n"


def test_environment_is_only_what_was_given(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "secret")
    child = run("import os; print(sorted(name for name in os.environ if name != 'LC_CTYPE'))", tmp_path)
    assert lines(child) == ["['PATH']"]
    child.end()


def test_deadline_kills_the_whole_group(run: Run, tmp_path: Path) -> None:
    child = run(SLEEPER + GRANDCHILD + TELL + "time.sleep(60)", tmp_path, wall_s=1.0)
    [pid] = lines(child)
    assert child.timed_out
    assert child.end() == -signal.SIGKILL
    wait_for(lambda: is_gone(int(pid)), timeout_s=5)


def test_kill_from_another_thread_ends_the_reading(run: Run, tmp_path: Path) -> None:
    child = run(SLEEPER + "print('up', flush=True); time.sleep(60)", tmp_path)
    found = []
    for line in child.lines(b""):
        found.append(line)
        threading.Thread(target=child.kill).start()
    assert found == [b"up"]
    assert child.end() == -signal.SIGKILL


def test_grandchild_that_holds_the_pipes_does_not_hold_us(run: Run, tmp_path: Path) -> None:
    child = run(SLEEPER + GRANDCHILD + TELL, tmp_path)
    [pid] = lines(child)
    assert not is_gone(int(pid))
    assert child.end() == 0
    wait_for(lambda: is_gone(int(pid)), timeout_s=5)


def test_line_without_an_end_is_refused(run: Run, tmp_path: Path) -> None:
    child = run(f"import sys; sys.stdout.write('x' * {LINE_BYTES + 10})", tmp_path)
    with pytest.raises(LineTooLongError):
        lines(child)
    child.end()


def test_child_that_reads_nothing_is_no_error(run: Run, tmp_path: Path) -> None:
    child = run("import os; os.close(0); os._exit(7)", tmp_path)
    assert lines(child, b"x" * 1_000_000) == []
    assert child.end() == 7


def test_kill_after_the_end_touches_nobody(run: Run, tmp_path: Path) -> None:
    child = run("pass", tmp_path)
    lines(child)
    child.end()
    child.kill()
