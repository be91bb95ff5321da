"""A `TimelineBuilder` in a process of its own, so that analysis does not wait for the decoder's hold on Python."""

import fcntl
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np

from pipeline.errors import CRASHED, OUT_OF_MEMORY, TIMED_OUT, MediaError
from pipeline.limits import thread_count
from pipeline.listening import analyst
from pipeline.listening.features import FEATURES
from pipeline.listening.timeline_builder import ChannelSamples, TimelineBuilder
from pipeline.listening.timeline_file import MAX_PROBLEMS, Timeline
from pipeline.types import Problem

LEAST_S: Final = 600.0
"""A recording shorter than this is listened to in half a second: to start a process would cost more."""
PIPE_BYTES: Final = 1 << 20
"""What Linux lets anybody's pipe hold by default: fewer turns between the two processes."""
INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""What an interpreter may need to start; the rest of our environment is none of its business."""
TUNING: Final = {
    "OMP_NUM_THREADS": "1",  # the other core is the decoder's
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),  # glibc gave each portion back to the system and fetched the next
    "MALLOC_TRIM_THRESHOLD_": str(64 * 1024 * 1024),  # one page by page, a quarter of all processor time
}


def is_worth_it(length_s: float | None) -> bool:
    """Say whether a second process shortens listening to a recording of this length (None: unknown) here."""
    if length_s is None or length_s < LEAST_S or thread_count() < 2:  # noqa: PLR2004 - one core gains nothing
        return False
    return bool(sys.executable) and not getattr(sys, "frozen", False)  # a frozen program would start itself


class RemoteBuilder:
    """Take what a `TimelineBuilder` takes, give what it gives, to the bit, from another process; a context manager.

    One thread may push while another calls `stop`, which ends a push that waits. Where the process does not come to
    life, sound is analysed here. MediaError says why it died later: CRASHED, OUT_OF_MEMORY or TIMED_OUT. OSError when
    none can be started.
    """

    def __init__(self, *, start_s: float = 0.0) -> None:
        self._start_s = start_s
        self._here: TimelineBuilder | None = None
        self._is_alive = False
        self._problems: list[Problem] = []
        self._process = subprocess.Popen(  # noqa: S603 - our own program, no shell
            [sys.executable, "-I", "-S", analyst.__file__, str(os.getpid()), *_module_paths()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=_environment(),
        )
        assert self._process.stdin is not None  # noqa: S101 - PIPE was asked for
        assert self._process.stdout is not None  # noqa: S101 - PIPE was asked for
        self._sound = self._process.stdin.fileno()
        _widen(self._sound)
        self._answer = open(self._process.stdout.fileno(), "rb", closefd=False)  # noqa: SIM115 - closed with the process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process, whatever it does, and leave nothing of it."""
        self.stop()
        with self._process:
            self._answer.close()

    def stop(self) -> None:
        """Have the process end now: its answer is not wanted any more."""
        self._process.kill()

    def report(self, problem: Problem) -> None:
        """Note something about the source, as `TimelineBuilder.report`."""
        self._problems.append(problem)

    def push(self, samples: ChannelSamples, *, rate: int, time_s: float) -> None:
        """Add sound of `rate` Hz and its time, as `TimelineBuilder.push`."""
        here = self._find_builder_here()
        if here is not None:
            here.push(samples, rate=rate, time_s=time_s)
            return
        channels = [np.ascontiguousarray(channel, dtype=np.float32) for channel in samples]
        self._send(analyst.HEADER.pack(len(channels), rate, len(channels[0]), time_s))
        for channel in channels:
            self._send(channel.data)

    def finish(self) -> Timeline:
        """Return the timeline of all that was pushed."""
        here = self._find_builder_here()
        found = self._receive() if here is None else here.finish()
        return replace(found, start_s=self._start_s, problems=tuple(self._problems[:MAX_PROBLEMS]))

    def _find_builder_here(self) -> TimelineBuilder | None:
        """Return who analyses in this process when the other one has not come to life; waits for that, once."""
        if self._here is None and not self._is_alive:
            self._is_alive = self._answer.read(1) == analyst.READY
            if not self._is_alive:
                self._here = TimelineBuilder()
        return self._here

    def _send(self, content: bytes | memoryview) -> None:
        rest = memoryview(content).cast("B") if len(content) else b""
        try:
            while rest:
                rest = rest[os.write(self._sound, rest) :]
        except OSError as error:
            raise self._death() from error

    def _receive(self) -> Timeline:
        self._send(analyst.HEADER.pack(0, 0, 0, 0.0))
        header = self._answer.read(analyst.RESULT.size)
        if len(header) < analyst.RESULT.size:
            raise self._death()
        rows, duration_s = analyst.RESULT.unpack(header)
        features = np.empty((rows, len(FEATURES)), dtype=np.float32)
        peaks = np.empty(rows, dtype=np.float32)
        if not (analyst.read_into(self._answer, features) and analyst.read_into(self._answer, peaks)):
            raise self._death()
        self._process.wait()
        return Timeline(features=features, peaks=peaks, duration_s=duration_s)

    def _death(self) -> MediaError:
        """Return what the status of the process says, which has closed its pipes, and so ends."""
        status = self._process.wait()
        if status == analyst.NO_MEMORY:
            return MediaError(OUT_OF_MEMORY, "while the sound was analysed")
        if status == -getattr(signal, "SIGXCPU", 0):
            return MediaError(TIMED_OUT, "the limit of processor time was reached")
        end = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return MediaError(CRASHED, f"the process that analyses sound {end}")


def _widen(pipe: int) -> None:
    """Let a pipe hold more where the system allows it; not by Popen, which fails where it does not."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def _module_paths() -> list[str]:
    """Return where this process finds modules, and where it found this package, which a hook may have found."""
    return [*filter(None, map(str, sys.path)), str(Path(__file__).resolve().parents[2])]


def _environment() -> dict[str, str]:
    """Return the small environment of the process: what it must have, and what it does better with."""
    return {**{name: os.environ[name] for name in INHERITED if name in os.environ}, **TUNING}
