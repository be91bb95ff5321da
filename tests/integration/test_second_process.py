"""Analysis in a second process: the same timeline to the bit, and nothing left of it however listening ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from support.media.audio import speech, write_audio
from support.servers.fleet import wait_for
from support.servers.processes import all_gone, require_fork, runs

from pipeline.errors import MediaError
from pipeline.limits import THREADS, Limits
from pipeline.listening.listen import Timeline, TimelineBuilder, build_timeline
from pipeline.listening.second_process import LEAST_S, RemoteBuilder, is_worth_it
from pipeline.types import Done, IngestResult, IngestTask, Source, event_decoder
from workers.children.child import Policy, environment
from workers.children.launcher import Launcher
from workers.children.process import ChildProcess

ROOT = Path(__file__).parents[2]
RATE = 16_000
SECONDS = int(LEAST_S) + 7
SCRIPT = """
import sys, threading
sys.path.insert(0, sys.argv[1])
threading.Thread(target=threading.Event().wait, daemon=True).start()
from pipeline.timeline import build_timeline
def report(share):
    print(share, flush=True)
    if len(sys.argv) > 3:
        threading.Event().wait()
print(build_timeline(sys.argv[2], on_progress=report).rows)
"""
"""What a user may write: a thread, and no guard."""


@pytest.fixture(scope="module")
def long_sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_long(tmp_path_factory.mktemp("long") / "a.wav", "pcm_s16le", "mono")


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(THREADS, "2")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = belongings()
    yield
    # Only what is new: threads of a test before this one may still be ending.
    assert belongings() - before == set()


def belongings() -> set[object]:
    """Return this process's children, threads, and open pipes."""
    pipes = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the listing itself
            pipes.add(fd.readlink())
    return {*psutil.Process().children(), *threading.enumerate(), *(p for p in pipes if str(p).startswith("pipe:"))}


def write_long(path: Path, codec: str, layout: str) -> Path:
    sound = np.tile(speech(10.0, rate=RATE, seed=3), SECONDS // 10 + 1)[: SECONDS * RATE]
    return write_audio(path, sound, rate=RATE, codec=codec, layout=layout)


def analysts(process: psutil.Process | None = None) -> list[psutil.Process]:
    return [each for each in (process or psutil.Process()).children() if "analyst.py" in " ".join(each.cmdline())]


def assert_same(one: Timeline, other: Timeline) -> None:
    assert np.array_equal(one.features, other.features)
    assert np.array_equal(one.peaks, other.peaks)
    assert (one.duration_s, one.start_s, one.problems) == (other.duration_s, other.start_s, other.problems)


@pytest.mark.parametrize(("name", "codec", "layout"), [("a.flac", "flac", "stereo"), ("a.wav", "pcm_u8", "mono")])
def test_second_process_changes_no_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str, layout: str
) -> None:
    path = write_long(tmp_path / name, codec, layout)
    seen: list[psutil.Process] = []
    shared = build_timeline(path, on_progress=lambda _: seen.extend(analysts()))
    assert len(set(seen)) == 1
    monkeypatch.setenv(THREADS, "1")
    seen.clear()
    alone = build_timeline(path, on_progress=lambda _: seen.extend(analysts()))
    assert not seen
    assert_same(shared, alone)
    assert shared.features.flags.writeable


def test_every_push_arrives_as_at_a_builder_of_this_process() -> None:
    rng = np.random.default_rng(5)
    here = TimelineBuilder(start_s=3.5)
    with RemoteBuilder(start_s=3.5) as there:
        time_s = 0.0
        for number in range(60):
            channels, rate = (2, 48_000) if number < 40 else (1, 44_100)
            samples = rng.normal(0, 0.1, (channels, int(rng.integers(0, 3 * rate)))).astype(np.float32)
            for builder in (here, there):
                builder.push(samples[::-1], rate=rate, time_s=time_s)
            time_s += samples.shape[1] / rate + (2.5 if number % 7 == 3 else 0.0)
        assert_same(there.finish(), here.finish())


def test_nothing_pushed_is_an_empty_timeline() -> None:
    with RemoteBuilder() as there:
        assert_same(there.finish(), TimelineBuilder().finish())


@pytest.mark.parametrize(
    ("length_s", "cores", "expected"),
    [(LEAST_S, "2", True), (LEAST_S - 1, "2", False), (None, "2", False), (10 * LEAST_S, "1", False)],
)
def test_second_process_is_for_long_recordings_on_two_cores(
    monkeypatch: pytest.MonkeyPatch, length_s: float | None, cores: str, *, expected: bool
) -> None:
    monkeypatch.setenv(THREADS, cores)
    assert is_worth_it(length_s) is expected


def test_its_environment_has_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", "secret")
    with RemoteBuilder() as builder:
        builder.push(np.zeros((1, RATE), dtype=np.float32), rate=RATE, time_s=0.0)
        [analyst] = analysts()
        assert not {"JWT_SECRET", "HOME", THREADS} & set(analyst.environ())


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_sound_is_analysed_here_where_no_process_comes_to_life(
    long_sound: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    expected = build_timeline(long_sound)
    monkeypatch.setattr(sys, "executable", program)
    assert_same(build_timeline(long_sound), expected)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("is_frozen", [False, True])
def test_cancelled_listening_leaves_nothing(long_sound: Path, fault: type[BaseException], *, is_frozen: bool) -> None:
    seen: list[psutil.Process] = []

    def cancel(share: float) -> None:
        seen[:] = seen or analysts()
        if is_frozen:
            seen[0].suspend()
        if share > 0.1:
            raise fault

    with pytest.raises(fault):
        build_timeline(long_sound, on_progress=cancel)
    assert all_gone(seen)


def push_until_it_fails(builder: RemoteBuilder) -> str:
    """Push more than any pipe holds, and return the code of the failure."""
    second = np.ones((2, 48_000), dtype=np.float32)
    with pytest.raises(MediaError) as failure:  # noqa: PT012 - any of them may
        for number in range(100):
            builder.push(second, rate=48_000, time_s=float(number))
    return failure.value.code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, "crashed"), (signal.SIGXCPU, "timed_out")])
@pytest.mark.parametrize("pushes", [True, False])
def test_death_has_a_cause(number: signal.Signals, code: str, *, pushes: bool) -> None:
    with RemoteBuilder() as builder:
        builder.push(np.zeros((1, RATE), dtype=np.float32), rate=RATE, time_s=0.0)
        [analyst] = analysts()
        analyst.send_signal(number)
        if pushes:
            assert push_until_it_fails(builder) == code
            return
        with pytest.raises(MediaError) as failure:
            builder.finish()
        assert failure.value.code == code


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process")
def test_too_little_memory_is_a_cause_and_not_a_crash() -> None:
    with RemoteBuilder() as builder:
        builder.push(np.zeros((1, RATE), dtype=np.float32), rate=RATE, time_s=0.0)
        analysts()[0].rlimit(psutil.RLIMIT_DATA, (2**20, 2**20))
        with pytest.raises(MediaError) as failure:
            builder.push(np.zeros((2, 8_000_000), dtype=np.float32), rate=48_000, time_s=1.0)
        assert failure.value.code == "out_of_memory"


def test_stop_ends_a_push_that_waits() -> None:
    failures: list[str] = []
    with RemoteBuilder() as builder:
        builder.push(np.zeros((1, RATE), dtype=np.float32), rate=RATE, time_s=0.0)
        analysts()[0].suspend()
        pushing = threading.Thread(target=lambda: failures.append(push_until_it_fails(builder)))
        pushing.start()
        pushing.join(0.5)
        assert pushing.is_alive()
        builder.stop()
        pushing.join(10)
    assert failures == ["crashed"]


def script(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start what a user wrote, in another folder, isolated, as the leader of a group."""
    (tmp_path / "mine.py").write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, "-I", "mine.py", str(ROOT), *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_script_without_a_guard_runs_once(long_sound: Path, tmp_path: Path) -> None:
    with script(tmp_path, str(long_sound)) as running:
        said, errors = running.communicate(timeout=60)
    assert said.split()[-1] == str(10 * SECONDS)
    assert said.split().count("0.0") == 1
    assert errors == ""


@pytest.mark.parametrize("end", ["interrupt", "kill", "kill while it is frozen"])
def test_script_that_is_ended_takes_its_second_process_along(long_sound: Path, tmp_path: Path, end: str) -> None:
    with script(tmp_path, str(long_sound), "wait") as running:
        assert running.stdout is not None
        running.stdout.readline()
        [analyst] = analysts(psutil.Process(running.pid))
        assert os.getpgid(analyst.pid) == os.getpgid(running.pid) == running.pid
        wait_for(lambda: analyst.status() == psutil.STATUS_SLEEPING and analyst.num_threads() == 1, timeout_s=10)
        if "frozen" in end:
            analyst.suspend()
        if end == "interrupt":
            os.killpg(running.pid, signal.SIGINT)
        else:
            running.kill()
        _, errors = running.communicate(timeout=30)
    wait_for(lambda: not runs(analyst), timeout_s=5)
    assert errors.count("Traceback") == (1 if end == "interrupt" else 0)


def frozen_analyst(pid: int) -> psutil.Process | None:
    """Find the second process of a media child and stop it, so that the child waits."""
    for analyst in analysts(psutil.Process(pid)):
        analyst.suspend()
        return analyst
    return None


@pytest.mark.parametrize("is_forked", [True, False])
@pytest.mark.parametrize("is_killed", [True, False])
def test_media_child_works_with_its_second_process_and_dies_with_it(
    long_sound: Path, tmp_path: Path, *, is_forked: bool, is_killed: bool
) -> None:
    if is_forked:
        require_fork()
    policy = Policy(wall_s=60, limits=Limits(memory_bytes=2**31, cpu_s=60, file_bytes=2**30, files=64), threads=2)
    task = msgspec.json.encode(IngestTask(source=Source(location=str(long_sound))))
    launcher = Launcher(can_fork=is_forked)
    started = launcher.start(tmp_path, environment(tmp_path, policy))
    child = ChildProcess(started, wall_s=policy.wall_s)
    said: list[bytes] = []
    listening = threading.Thread(target=lambda: said.extend(child.lines(task)))
    listening.start()
    analyst = wait_for(lambda: frozen_analyst(started.pid))
    assert os.getpgid(analyst.pid) == os.getsid(analyst.pid) == started.pid
    if is_killed:
        child.kill()
    else:
        analyst.resume()
    listening.join(60)
    assert child.end() == (-signal.SIGKILL if is_killed else 0)
    launcher.close()
    wait_for(lambda: not runs(analyst))
    if not is_killed:
        last = event_decoder.decode(said[-1])
        assert isinstance(last, Done)
        assert isinstance(last.result, IngestResult)
        assert_same(Timeline.load(tmp_path / last.result.timeline), build_timeline(long_sound))
