"""Media children of a worker: limits, causes of death, and no trace afterwards."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil
import pytest
from support.jobs import job
from support.servers.fleet import children, family, fork_servers, make_media, media_children, wait_for
from support.servers.processes import all_gone, require_fork

from pipeline.errors import MediaError
from pipeline.limits import Limits
from pipeline.types import IngestResult, IngestTask, RenderTask, Source
from workers.attempt import Attempt, Stop, StoppedError
from workers.children.child import ChildFailedError, Policy, environment, run_child
from workers.children.launcher import Launcher
from workers.children.process import ChildProcess

ROOMY = Policy(wall_s=60, limits=Limits(memory_bytes=2**31, cpu_s=60, file_bytes=2**30, files=256))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKER = """
import os, sys
from pathlib import Path
from workers.children.launcher import Launcher, inherited
from workers.children.process import ChildProcess
child = ChildProcess(Launcher(can_fork=sys.argv[1] == "forked").start(Path.cwd(), inherited()))
for line in child.lines(sys.stdin.buffer.read()):
    pass
"""
STOP_S = 10.0
"""Far less than the render would take; a moment, on a machine that has one to spare."""


@pytest.fixture(params=["forked", "executed"])
def launcher(request: pytest.FixtureRequest) -> Iterator[Launcher]:
    """Both ways of starting children have to stand all of this."""
    if request.param == "forked":
        require_fork()
    made = Launcher(can_fork=request.param == "forked")
    yield made
    made.close()


@pytest.fixture
def attempt() -> Attempt:
    return Attempt(job())


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return make_media(tmp_path / "talk.mp4", duration_s=20)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def long_render(media: Path) -> RenderTask:
    source = Source(location=str(media))
    return RenderTask(source=source, start_s=0, end_s=19, preset="vertical", accuracy="encode", formats=["webm"])


def test_result_and_progress_come_back(launcher: Launcher, attempt: Attempt, media: Path, scratch: Path) -> None:
    task = IngestTask(source=Source(location=str(media)))
    result = run_child(task, launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    assert isinstance(result, IngestResult)
    assert result.probe.duration_s == pytest.approx(20, abs=0.2)
    assert (scratch / result.timeline).stat().st_size > 0
    assert attempt.renewal().progress > 90


def test_failure_keeps_the_childs_own_words(
    launcher: Launcher, attempt: Attempt, tmp_path: Path, scratch: Path
) -> None:
    (tmp_path / "text.mp4").write_text("no media at all")
    task = IngestTask(source=Source(location=str(tmp_path / "text.mp4")))
    with pytest.raises(ChildFailedError) as caught:
        run_child(task, launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    assert caught.value.failed.code == "not_media"
    assert not caught.value.failed.retryable


def own_children() -> list[psutil.Process]:
    """Find the media children of this process, which may have servers of other tests as children too."""
    return media_children(psutil.Process())


def child_with_encoder() -> list[psutil.Process]:
    """Find the media child and what it has started, once it has started something."""
    for child in own_children():
        with suppress(psutil.NoSuchProcess):
            if started := child.children(recursive=True):
                return [child, *started]
    return []


@pytest.mark.parametrize("reason", [Stop.CANCELLED, Stop.LEASE_LOST, Stop.DRAINED])
def test_stop_kills_child_and_encoder_at_once(
    launcher: Launcher, attempt: Attempt, media: Path, scratch: Path, reason: Stop
) -> None:
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
        except StoppedError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    family: list[psutil.Process] = wait_for(child_with_encoder, what="the encoder")
    attempt.stop(reason)
    thread.join(STOP_S)
    assert [error.reason for error in outcome if isinstance(error, StoppedError)] == [reason]
    wait_for(lambda: all_gone(family), what="the family to be gone")


def test_attempt_that_was_stopped_before_kills_its_child_at_birth(
    launcher: Launcher, attempt: Attempt, media: Path, scratch: Path
) -> None:
    attempt.stop(Stop.CANCELLED)
    with pytest.raises(StoppedError):
        run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)


def test_wall_time_ends_in_timed_out(launcher: Launcher, attempt: Attempt, media: Path, scratch: Path) -> None:
    policy = Policy(wall_s=0.5, limits=ROOMY.limits)
    with pytest.raises(MediaError) as caught:
        run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=policy)
    assert caught.value.code == "timed_out"


def test_processor_time_ends_in_timed_out(launcher: Launcher, attempt: Attempt, media: Path, scratch: Path) -> None:
    policy = Policy(wall_s=60, limits=Limits(cpu_s=1))
    with pytest.raises((MediaError, ChildFailedError)) as caught:
        run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=policy)
    error = caught.value
    assert (error.failed.code if isinstance(error, ChildFailedError) else error.code) == "timed_out"


def test_killed_child_is_a_crash_that_may_be_tried_again(
    launcher: Launcher, attempt: Attempt, media: Path, scratch: Path
) -> None:
    def kill() -> None:
        child = wait_for(own_children, what="the child")[0]
        os.kill(child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(MediaError) as caught:
        run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    killer.join()
    assert (caught.value.code, caught.value.retryable) == ("crashed", True)


def test_too_little_memory_is_a_cause_and_not_a_crash(
    launcher: Launcher, attempt: Attempt, tmp_path: Path, scratch: Path
) -> None:
    big = make_media(tmp_path / "big.mp4", duration_s=1, size="3840x2160")
    task = RenderTask(source=Source(location=str(big)), start_s=0, end_s=1, accuracy="encode")
    policy = Policy(wall_s=60, limits=Limits(memory_bytes=150 * 2**20))
    with pytest.raises(ChildFailedError) as caught:
        run_child(task, launcher=launcher, attempt=attempt, scratch=scratch, policy=policy)
    assert caught.value.failed.code == "out_of_memory"


def test_killed_fork_server_costs_an_attempt_and_the_next_works(attempt: Attempt, media: Path, scratch: Path) -> None:
    require_fork()
    launcher = Launcher(can_fork=True)
    family: list[psutil.Process] = []

    def kill() -> None:
        family.extend(wait_for(child_with_encoder, what="the encoder"))
        [server] = fork_servers(psutil.Process())
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(MediaError) as caught:
        run_child(long_render(media), launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    killer.join()
    assert (caught.value.code, caught.value.retryable) == ("crashed", True)
    wait_for(lambda: all_gone(family), what="the family to be gone")
    task = IngestTask(source=Source(location=str(media)))
    assert run_child(task, launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    assert len(fork_servers(psutil.Process())) == 1
    launcher.close()
    assert fork_servers(psutil.Process()) == []


@pytest.mark.parametrize("way", ["forked", "executed"])
def test_killed_worker_takes_its_child_and_the_encoder_along(media: Path, scratch: Path, way: str) -> None:
    command = [sys.executable, "-c", WORKER, way]
    with subprocess.Popen(command, cwd=scratch, stdin=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        worker.stdin.write(msgspec.json.encode(long_render(media)))
        worker.stdin.close()

        def with_encoder() -> list[psutil.Process]:
            # Looked at in one go, because a child also starts programs that end at once.
            found = family(worker)
            return found if len(found) > 1 and len(children(worker)) > 1 else []

        relatives = wait_for(with_encoder, what="the child and its encoder")
        worker.kill()
    assert len(relatives) > 1
    wait_for(lambda: all_gone(relatives), what="the family to be gone")


def test_system_without_a_working_fork_server_executes_children(attempt: Attempt, media: Path, scratch: Path) -> None:
    launcher = Launcher(can_fork=True, server=[sys.executable, "-c", ""])
    task = IngestTask(source=Source(location=str(media)))
    assert run_child(task, launcher=launcher, attempt=attempt, scratch=scratch, policy=ROOMY)
    launcher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="children are confined on Linux alone")
def test_child_is_confined_before_it_is_told_its_task(launcher: Launcher, scratch: Path) -> None:
    started = launcher.start(scratch, environment(scratch, ROOMY))
    child = ChildProcess(started)

    def is_confined() -> bool:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{started.pid}/status").read_text().splitlines())
        return (status["Seccomp"], status["NoNewPrivs"], status["CapEff"]) == ("2", "1", "0" * 16)

    try:
        wait_for(is_confined, what="the child to give up what it does not need")
    finally:
        child.kill()
        child.end()


def test_environment_of_a_child_has_no_secrets(scratch: Path) -> None:
    source = {"PATH": "/bin", "JWT_SECRET": "x", "DATABASE_URL": "y", "AWS_SECRET_ACCESS_KEY": "z", "LANG": "C"}
    given = environment(scratch, ROOMY, source)
    assert given["PATH"] == "/bin"
    assert given["TMPDIR"] == str(scratch)
    assert not {"JWT_SECRET", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY"} & given.keys()
