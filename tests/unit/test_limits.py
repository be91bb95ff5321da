"""Limits travel in the environment."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.limits import Limits, from_environment

ROOT = Path(__file__).parents[2]


def test_limits_survive_the_environment() -> None:
    limits = Limits(memory_bytes=10**9, cpu_s=60, file_bytes=10**8, files=64)
    assert from_environment(limits.environment()) == limits
    assert from_environment({}) == Limits()


@pytest.mark.parametrize("text", ["-1", "0", "many", "1.5"])
def test_a_limit_that_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="SNUGGLES_CHILD_CPU_S"):
        from_environment({"SNUGGLES_CHILD_CPU_S": text})


IN_A_PROCESS = """
import errno, os, resource, signal
from pipeline import limits, task
from pipeline.rendering.encoding.ffmpeg import _failure
os.environ[limits.FILE] = "1000000"
limits.apply(limits.from_environment())
def codes():
    return [task.failure(OSError(errno.EFBIG, "")).code, _failure(-signal.SIGXFSZ, []).code,
            _failure(1, ["[error] File too large"]).code, task.failure(OSError(errno.EDQUOT, "")).code]
print(*codes())
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
print(*codes())
"""


def test_file_limit_of_the_machine_is_a_full_disk_and_ours_is_a_large_output() -> None:
    command = [sys.executable, "-c", IN_A_PROCESS]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0].split() == ["output_too_large"] * 3 + ["no_space"]
    assert said[1].split() == ["no_space"] * 4


PINNED = """
import os
from pipeline.limits import THREADS, thread_count
from workers.actors.media import policy
os.environ.pop(THREADS, None)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(thread_count(), policy("ingest", 1).threads, policy("ingest", 1).limits.cpu_s == policy("ingest", 2).limits.cpu_s)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process is not kept to some cores")
def test_cores_that_a_process_may_not_run_on_do_not_count() -> None:
    done = subprocess.run([sys.executable, "-c", PINNED], capture_output=True, text=True, check=True)
    assert done.stdout == "1 1 True\n"
