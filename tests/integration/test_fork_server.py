"""The fork server: what its children inherit, and that neither they nor it outlive their worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.servers import program_server
from support.servers.fleet import descendants, make_media, wait_for
from support.servers.processes import all_gone, runs

from workers.children.fork_client import ForkServer, ForkServerError
from workers.children.launcher import can_fork_children, inherited
from workers.children.process import ChildProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere children are executed")

ENVIRONMENT = {"PATH": os.environ["PATH"]}
SLEEP = "import time; time.sleep(60)"
UP_AND_SLEEP = "print('up', flush=True); " + SLEEP
WORKER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from support.servers import program_server
from workers.children.fork_client import ForkServer
server = ForkServer({}, command=program_server.COMMAND)
program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
child = program_server.start(server, program, pathlib.Path("/"), {})
input()
"""
FIRST_PROCESS = """
import ctypes, os, pathlib, sys, time
sys.path.insert(0, sys.argv[1])
from support.servers import program_server
import psutil
from workers.children.fork_client import ForkServer
from workers.children.process import ChildProcess
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what nobody else takes comes to us, as to number 1
server = ForkServer({}, command=program_server.COMMAND)
sleeper = "import time; print(1, flush=True); time.sleep(60)"
program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}])"
for _ in range(3):
    child = ChildProcess(program_server.start(server, program, pathlib.Path("/"), {}))
    for line in child.lines(b""):
        child.kill()
    child.end()
own = psutil.Process()
deadline = time.monotonic() + 20
while len(own.children(recursive=True)) > 1 and time.monotonic() < deadline:
    time.sleep(0.05)
print([(each.pid == server.pid, each.status()) for each in own.children(recursive=True)])
server.close()
"""
TASKS = """
import sys
from pathlib import Path
from pipeline.task import run_task
from pipeline.types import DetectTask, IngestTask, RenderTask, Source
from workers.children import fork_server
fork_server.prepare(fork_server.NEEDED)
prepared = set(sys.modules)
source = Source(location=sys.argv[1])
timeline = run_task(IngestTask(source=source), Path.cwd(), lambda event: None).timeline
run_task(DetectTask(timeline=timeline), Path.cwd(), lambda event: None)
for accuracy in ("fast", "exact", "encode"):
    run_task(RenderTask(source=source, start_s=1.3, end_s=3.3, accuracy=accuracy), Path.cwd(), lambda event: None)
print(sorted(set(sys.modules) - prepared))
"""


@pytest.fixture
def server() -> Iterator[ForkServer]:
    made = ForkServer(ENVIRONMENT, command=program_server.COMMAND)
    yield made
    made.close()


def start(server: ForkServer, program: str, folder: Path) -> ChildProcess:
    return ChildProcess(program_server.start(server, program, folder, ENVIRONMENT))


def said(child: ChildProcess) -> list[str]:
    lines = [line.decode() for line in child.lines(b"")]
    assert child.end() == 0, child.stderr
    return lines


def test_this_system_can_fork() -> None:
    assert can_fork_children()


def test_no_secret_is_in_the_environment_of_server_or_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "a secret of the worker")
    server = ForkServer(inherited(), command=program_server.COMMAND)
    child = program_server.start(server, SLEEP, tmp_path, ENVIRONMENT)
    for pid in (server.pid, child.pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"secret" not in environment.lower()
    ended = ChildProcess(child)
    ended.end()
    server.close()


def test_child_knows_its_own_three_descriptors_and_no_other(server: ForkServer, tmp_path: Path) -> None:
    siblings = [start(server, SLEEP, tmp_path) for _ in range(3)]
    program = "import os; print([name for name in os.listdir('/proc/self/fd') if os.path.exists(f'/dev/fd/{name}')])"
    assert said(start(server, program, tmp_path)) == ["['0', '1', '2']"]
    for sibling in siblings:
        sibling.end()


def test_child_leads_its_own_session_in_its_folder_with_the_signals_of_a_fresh_interpreter(
    server: ForkServer, tmp_path: Path
) -> None:
    signals = "[number for number in signal.valid_signals() if signal.getsignal(number) not in (None, signal.SIG_DFL)]"
    blocked = "signal.pthread_sigmask(signal.SIG_BLOCK, [])"
    program = f"import os, signal; print(os.getsid(0) == os.getpid(), os.getcwd(), {signals}, {blocked})"
    fresh = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path,
        env=ENVIRONMENT,
        start_new_session=True,
        capture_output=True,
        check=True,
    )
    assert said(start(server, program, tmp_path)) == fresh.stdout.decode().splitlines()


def test_folder_and_environment_need_not_be_text(server: ForkServer, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()
    child = program_server.start(
        server, "import os; print(os.getcwdb(), os.environb[b'NAME'])", folder, {"NAME": "\udcff"}
    )
    assert said(ChildProcess(child)) == [f"{os.fsencode(folder)!r} {bytes([255])!r}"]


def test_children_do_not_share_random_numbers(server: ForkServer, tmp_path: Path) -> None:
    program = "import random, tempfile, uuid; print(random.random(), tempfile.mktemp(), uuid.uuid4())"
    numbers = [said(start(server, program, tmp_path))[0].split() for _ in range(2)]
    assert not set(numbers[0]) & set(numbers[1])


def test_descriptors_and_zombies_stay_level_over_fifty_children(server: ForkServer, tmp_path: Path) -> None:
    own, served = psutil.Process(), psutil.Process(server.pid)
    counts, own_fds = [], []
    for number in range(50):
        assert said(start(server, f"print({number})", tmp_path)) == [str(number)]
        if number in {1, 49}:
            wait_for(lambda: not served.children(), what="the last child to be reaped")
            counts.append((served.num_fds(), served.num_threads()))
            own_fds.append(own.num_fds())
    assert counts[0] == counts[1]
    assert own_fds[1] <= own_fds[0]  # those of a test before this one may still be closing


def test_number_of_an_ended_child_is_kept_until_it_is_let_go(server: ForkServer, tmp_path: Path) -> None:
    child = program_server.start(server, "", tmp_path, ENVIRONMENT)
    wait_for(child.has_ended, what="its end")
    process = psutil.Process(child.pid)
    assert process.status() == psutil.STATUS_ZOMBIE
    assert ChildProcess(child).end() == 0
    wait_for(lambda: not psutil.pid_exists(child.pid), what="its burial")


def test_child_that_the_worker_forgets_is_killed(server: ForkServer, tmp_path: Path) -> None:
    child = program_server.start(server, SLEEP, tmp_path, ENVIRONMENT)
    process = psutil.Process(child.pid)
    assert runs(process)
    child._words.close()  # noqa: SLF001 - as a worker that has forgotten it
    wait_for(lambda: not psutil.pid_exists(child.pid), what="its death")
    for each in (child.stdin, child.stdout, child.stderr):
        each.close()
    os.close(child._pidfd)  # noqa: SLF001 - the same


def test_killed_worker_takes_server_child_and_grandchild_along() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(Path(program_server.__file__).parents[2])], stdin=subprocess.PIPE
    )
    process = psutil.Process(worker.pid)
    family: list[psutil.Process] = wait_for(
        lambda: found if len(found := descendants(process)) == 3 else None, what="server, child and grandchild"
    )
    worker.kill()
    with worker:
        pass
    wait_for(lambda: all_gone(family), what="the death of the family")


def test_nothing_of_a_killed_child_stays_a_zombie_where_the_worker_is_the_first_process() -> None:
    command = [sys.executable, "-c", FIRST_PROCESS, str(Path(program_server.__file__).parents[2])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"[(True, '{psutil.STATUS_SLEEPING}')]"


def test_close_ends_server_and_children(server: ForkServer, tmp_path: Path) -> None:
    child = start(server, UP_AND_SLEEP, tmp_path)
    family = [psutil.Process(server.pid), *descendants(psutil.Process(server.pid))]
    server.close()
    wait_for(lambda: all_gone(family), what="the death of the family")
    assert child.end() == -signal.SIGKILL


def test_crash_of_a_child_retires_the_server_when_the_others_have_ended(server: ForkServer, tmp_path: Path) -> None:
    sibling = start(server, "print(input())", tmp_path)
    crashed = start(server, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)
    list(crashed.lines(b""))
    assert crashed.end() == -signal.SIGSEGV
    with pytest.raises(ForkServerError):
        start(server, "", tmp_path)
    assert list(sibling.lines(b"still there\n")) == [b"still there"]
    assert not server.is_gone
    assert sibling.end() == 0
    assert server.is_gone


def test_killed_server_leaves_nothing_of_a_childs_group(server: ForkServer, tmp_path: Path) -> None:
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
    child = start(server, program, tmp_path)
    served = psutil.Process(server.pid)
    relatives = wait_for(
        lambda: found if len(found := descendants(served)) == 2 else None, what="the child and its own"
    )
    server.kill()
    wait_for(lambda: not runs(relatives[0]), what="the child's death")
    list(child.lines(b""))
    assert child.end() == -signal.SIGKILL
    wait_for(lambda: all_gone(relatives), what="the death of what it had started")


def test_killed_child_does_not_retire_the_server(server: ForkServer, tmp_path: Path) -> None:
    assert start(server, SLEEP, tmp_path).end() == -signal.SIGKILL
    assert said(start(server, "print(1)", tmp_path)) == ["1"]


def test_frozen_server_holds_nobody(server: ForkServer, tmp_path: Path) -> None:
    child = start(server, SLEEP, tmp_path)
    os.kill(server.pid, signal.SIGSTOP)
    server.patience_s = 0.5
    with pytest.raises(ForkServerError):
        start(server, "", tmp_path)
    assert child.end() == -signal.SIGKILL


def test_server_with_a_thread_does_not_fork(tmp_path: Path) -> None:
    threaded = (
        "import socket, threading, time; from workers.children import fork_server; "
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start(); "
        "fork_server.serve(socket.socket(fileno=0), None)"
    )
    server = ForkServer(ENVIRONMENT, command=[sys.executable, "-I", "-c", threaded])
    with pytest.raises(ForkServerError):
        start(server, "", tmp_path)
    server.close()


def test_prepared_server_has_one_thread_and_tasks_import_nothing_more(tmp_path: Path) -> None:
    media = make_media(tmp_path / "talk.mp4", duration_s=5)
    server = ForkServer(inherited())
    child = server.start(tmp_path, ENVIRONMENT)
    assert psutil.Process(server.pid).num_threads() == 1
    ChildProcess(child).end()
    server.close()
    command = [sys.executable, "-I", "-c", TASKS, str(media)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().splitlines()[-1] == "[]"
