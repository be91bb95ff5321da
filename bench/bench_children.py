"""Small tasks in forked media children, each beside the same task in an executed one (ADR 12).

    python bench/bench_children.py [--tasks 20]

Both ways alternate. Seconds by the clock are medians, from the request for a child to its end; those of the processor
are means, of the child, what it has started, and the fork server's own share. Its start stands by itself.
"""

import argparse
import contextlib
import logging
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
import structlog
from bench_orchestration import make_media

from pipeline.types import IngestTask, RenderTask, Source, Task
from workers.children.launcher import Launcher, inherited
from workers.children.process import ChildProcess

WALL_S = 60.0
SETTLE_S = 0.05
"""After its end a child is reaped, and counted, by its server."""


class Spent(NamedTuple):
    """Seconds by the clock and of the processor."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=20)
    count: int = parser.parse_args().tasks
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name, both_ways() as ways:
        source = Source(location=str(make_media(Path(name) / "talk.mp4")))
        tasks: dict[str, Task] = {
            "ingest of 30 s": IngestTask(source=source),
            "fast clip of 2 s": RenderTask(source=source, start_s=2, end_s=4, accuracy="fast"),
            "exact clip of 10 s": RenderTask(source=source, start_s=1.3, end_s=11.3),
        }
        first = [spend(launcher, tasks["fast clip of 2 s"]) for launcher in ways.values()]
        print(f"the first child of all: {describe(first[:1])}, with the start of the fork server")
        for title, task in tasks.items():
            spent = [{way: spend(launcher, task) for way, launcher in ways.items()} for _ in range(count)]
            forked, executed = ([turn[way] for turn in spent] for way in ways)
            print(f"{title}: forked {describe(forked)}, executed {describe(executed)}; {compare(forked, executed)}")


@contextlib.contextmanager
def both_ways() -> Iterator[Mapping[str, Launcher]]:
    """Offer a launcher that forks and one that executes."""
    ways = {"forked": Launcher(can_fork=True), "executed": Launcher(can_fork=False)}
    try:
        yield ways
    finally:
        for launcher in ways.values():
            launcher.close()


def spend(launcher: Launcher, task: Task) -> Spent:
    """Run a task in a child."""
    environment = {**inherited(), "SNUGGLES_CHILD_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        began_s, used_s = time.perf_counter(), processor_s()
        child = ChildProcess(launcher.start(Path(folder), {**environment, "TMPDIR": folder}), wall_s=WALL_S)
        lines = list(child.lines(msgspec.json.encode(task)))
        status = child.end()
        wall_s = time.perf_counter() - began_s
    if status != 0 or b'"done"' not in lines[-1]:
        raise SystemExit(f"a child failed: {lines[-1:]} {child.stderr}")
    time.sleep(SETTLE_S)
    return Spent(wall_s, processor_s() - used_s)


def processor_s() -> float:
    """Return what all children of this process have used: those that have ended, and the fork server with its own."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    running = sum(sum(child.cpu_times()[:4]) for child in psutil.Process().children())
    return ended.ru_utime + ended.ru_stime + running


def describe(spent: list[Spent]) -> str:
    """Return the typical one."""
    wall_s, cpu_s = (statistics.median(each.wall_s for each in spent), statistics.mean(each.cpu_s for each in spent))
    return f"{wall_s:.2f} s by the clock, {cpu_s:.2f} s of processor"


def compare(forked: list[Spent], executed: list[Spent]) -> str:
    """Return how much of the one is left in the other."""
    wall = statistics.median(one.wall_s / other.wall_s for one, other in zip(forked, executed, strict=True))
    cpu = sum(each.cpu_s for each in forked) / sum(each.cpu_s for each in executed)
    return f"{wall:.2f} and {cpu:.2f} of it"


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores")
    main()
