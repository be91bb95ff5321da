"""Encodes long clips in parallel parts: split at keyframes, and joined by copying with all times kept."""

import heapq
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from pipeline.cutting.mux import copy_stream, open_output
from pipeline.errors import CANCELLED, MediaError
from pipeline.reading.media import open_media
from pipeline.reading.streams import select_streams
from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding.graph import Part

PART_UNIT_S = 2
"""Parts begin at multiples of the keyframe interval, so that a split adds no keyframe."""
LEAST_PART_S = 16
"""For shorter parts, the start of another encoder costs more than it saves."""
POLL_S = 0.25


class Job(Struct, frozen=True, kw_only=True):
    """One FFmpeg run. `start` is the start of its pictures in the clip; None for the sound, which has its own times."""

    output: Any
    name: str
    start: Fraction | None
    duration_s: float


def parts(duration_s: float, workers: int) -> list[Part]:
    """Split a clip evenly among workers; no parts if it is too short or there is one worker."""
    count = min(workers, int(duration_s // LEAST_PART_S))
    if count < 2:  # noqa: PLR2004 - one part is no split
        return []
    units = int(duration_s // PART_UNIT_S)
    borders = [Fraction(units * number // count * PART_UNIT_S) for number in range(count)]
    ends = [*borders[1:], Fraction(duration_s).limit_denominator(1_000_000) + 1]
    return [Part(start=start, end=end) for start, end in zip(borders, ends, strict=True)]


def run(jobs: list[Job], out: Path, *, title: str, report: Callable[[float], None]) -> list[str]:
    """Run the jobs in parallel in the folder of `out`, join their outputs, and return their logs.

    Raises the first failure. An exception of `report` stops all jobs. Intermediate files are removed.
    """
    shares = [0.0] * len(jobs)
    stop = threading.Event()

    def work(number: int, job: Job) -> list[str]:
        def note(share: float) -> None:
            shares[number] = share
            if stop.is_set():
                raise MediaError(CANCELLED)

        return runner.run(job.output, folder=out.parent, duration_s=job.duration_s, on_progress=note)

    try:
        with ThreadPoolExecutor(len(jobs)) as pool:
            futures = [pool.submit(work, number, job) for number, job in enumerate(jobs)]
            try:
                _await(futures, lambda: report(sum(shares) / len(shares)))
            finally:
                stop.set()
        _join(jobs, out, title)
        return [line for future in futures for line in future.result()]
    finally:
        for job in jobs:
            (out.parent / job.name).unlink(missing_ok=True)


def _await(futures: list[Future[list[str]]], report: Callable[[], None]) -> None:
    """Wait for all jobs, or for the first failure."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL_S)
        for future in done:
            future.result()
        report()


class _Due(NamedTuple):
    """A packet and its decoding time; sorts by time, then by stream."""

    time: Fraction
    stream: int
    packet: Any


def _join(jobs: list[Job], out: Path, title: str) -> None:
    """Copy the packets of all parts into one file, with sound and pictures interleaved."""
    with ExitStack() as stack:
        opened = [(job, stack.enter_context(open_media(out.parent / job.name)).container) for job in jobs]
        pictures = [(job, container) for job, container in opened if job.start is not None]
        sounds = [(job, container) for job, container in opened if job.start is None]
        output = stack.enter_context(open_output(out))
        if title:
            output.metadata["title"] = title
        targets = [copy_stream(output, select_streams(group[0][1]).main) for group in (pictures, sounds) if group]
        runs = [_packets(group, number) for number, group in enumerate((pictures, sounds)) if group]
        for due in heapq.merge(*runs, key=lambda due: (due.time, due.stream)):
            due.packet.stream = targets[due.stream]
            output.mux_one(due.packet)


def _packets(group: list[tuple[Job, Any]], stream: int) -> Iterator[_Due]:
    """Yield the packets of consecutive parts, at their times in the clip."""
    for job, container in group:
        for packet in container.demux():
            if packet.dts is None or packet.pts is None:
                continue
            ticks = round((job.start or 0) / packet.time_base)
            packet.pts += ticks
            packet.dts += ticks
            yield _Due(packet.dts * packet.time_base, stream, packet)
