"""The second process of listening: builds a timeline from the sound at its standard input.

Started by its path as `python -I -S analyst.py PARENT_PID PATH...`; the paths are where the parent finds modules. A
script that imports nothing of ours before it has them, and a new process rather than a fork: whoever listens may have
threads, and need no `if __name__` guard.

It writes one byte when it is ready, reads portions of sound (HEADER, then float32 [channels, n]) up to one without
channels, and answers with RESULT, features and peaks. The end of its input before that is the end of whoever wanted it.
"""

import ctypes
import errno
import os
import signal
import struct
import sys
from io import BufferedReader, BufferedWriter
from typing import Any, Final

HEADER: Final = struct.Struct("=IIQd")
"""Channels, sample rate, samples of each channel, and the time of the first."""
RESULT: Final = struct.Struct("=Qd")
"""Rows and duration in seconds."""
READY: Final = b"\1"
NO_MEMORY: Final = errno.ENOMEM
"""The exit status that says so."""
PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def main(parent: int, paths: list[str]) -> int:
    """Tie this process to its parent, import what analysis needs, and do it; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both, and the parent knows what to do
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            return 1  # it died before the wish was made
    sys.path[:] = paths
    try:
        with open(0, "rb") as sound, open(1, "wb") as answer:
            _build(sound, answer)
    except BrokenPipeError:
        return 1  # nobody to tell
    except MemoryError:
        return NO_MEMORY
    return 0


def _build(sound: BufferedReader, answer: BufferedWriter) -> None:
    import numpy as np

    from pipeline.listening.timeline_builder import TimelineBuilder

    answer.write(READY)
    answer.flush()
    builder = TimelineBuilder()
    while len(header := sound.read(HEADER.size)) == HEADER.size:
        channels, rate, count, time_s = HEADER.unpack(header)
        if not channels:
            timeline = builder.finish()
            answer.write(RESULT.pack(timeline.rows, timeline.duration_s))
            answer.writelines(np.ascontiguousarray(array).data for array in (timeline.features, timeline.peaks))
            answer.flush()
            return
        samples = np.empty((channels, count), dtype=np.float32)
        if not read_into(sound, samples):
            return
        builder.push(samples, rate=rate, time_s=time_s)


def read_into(source: BufferedReader, array: Any) -> bool:
    """Fill a contiguous array from a pipe; return whether there was enough."""
    if not array.nbytes:
        return True
    view = memoryview(array).cast("B")
    return source.readinto(view) == len(view)


if __name__ == "__main__":
    os._exit(main(int(sys.argv[1]), sys.argv[2:]))  # at once: the parent waits, and nothing is left to tidy up
