"""Analyses decoded sound in a thread of its own: moves it from a queue into a timeline."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import av
import numpy as np
from av.audio.frame import AudioFrame

from pipeline.listening.timeline_builder import ChannelSamples, TimelineBuilder
from pipeline.listening.timeline_file import Timeline
from pipeline.types import Problem

MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
"""Sound decoded ahead of analysis: two minutes of stereo at 48 kHz."""
PLANES_UNSAFE_FROM: Final = 8
"""PyAV 18 expects a null pointer after the planes; after eight, FFmpeg has none, and PyAV reads beyond the memory."""
_SCALES: Final = {"u1": 128.0, "i2": 32768.0, "i4": 2147483648.0}
"""Full scale of the integer sample formats, by numpy's name."""


class Analysis:
    """The queue of sound from the decoder to the timeline."""

    def __init__(self, builder: TimelineBuilder, thread: ThreadPoolExecutor) -> None:
        self._builder = builder
        self._thread = thread
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._waiting_bytes = 0

    def add(self, frame: AudioFrame, time_s: float) -> None:
        """Queue sound that begins at `time_s`; waits if analysis is behind, and raises its errors."""
        size = frame.samples * frame.layout.nb_channels * frame.format.bytes
        self._waiting.append((self._thread.submit(self._push, frame, time_s), size))
        self._waiting_bytes += size
        while self._waiting and (self._waiting[0][0].done() or self._waiting_bytes > MAX_WAITING_BYTES):
            self._settle_one()

    def finish(self, problems: Iterable[Problem]) -> Timeline:
        """Return the timeline of all added sound, with these problems."""
        while self._waiting:
            self._settle_one()
        for problem in problems:
            self._builder.report(problem)
        return self._builder.finish()

    def _settle_one(self) -> None:
        done, size = self._waiting.popleft()
        self._waiting_bytes -= size
        done.result()

    def _push(self, frame: AudioFrame, time_s: float) -> None:
        self._builder.push(_channels(frame), rate=frame.sample_rate, time_s=time_s)


@contextmanager
def analysing(builder: TimelineBuilder) -> Iterator[Analysis]:
    """Yield a queue that analyses sound into a builder; leaving the block early drops waiting sound."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="listen")
    try:
        yield Analysis(builder, thread)
    finally:
        thread.shutdown(cancel_futures=True)


def _channels(frame: AudioFrame) -> ChannelSamples:
    """Return a frame's samples as float32, n for each channel, with full scale at 1; without a copy if possible."""
    if frame.format.is_planar and frame.layout.nb_channels >= PLANES_UNSAFE_FROM:
        frame = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate).resample(frame)[0]
    if frame.format.name == "fltp":
        return [np.frombuffer(memoryview(plane), dtype=np.float32, count=frame.samples) for plane in frame.planes]
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    scale = _SCALES.get(raw.dtype.str[1:])
    if scale is None:
        return np.asarray(raw, dtype=np.float32)
    centred = raw.astype(np.float32) - np.float32(scale if raw.dtype.kind == "u" else 0.0)
    return np.asarray(centred / np.float32(scale))
