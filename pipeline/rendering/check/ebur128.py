"""The loudness meter of EBU R128 (ITU-R BS.1770-4), fed with frames that are decoded anyway."""

import math
from collections.abc import Mapping

from av.audio.frame import AudioFrame
from av.error import BlockingIOError as AgainError
from av.error import EOFError as EndError
from av.filter import Graph
from msgspec import Struct

SILENCE_LUFS = -65.0
"""Below this there is only noise (the meter itself ends at -70)."""
_INTEGRATED, _TRUE_PEAK = "lavfi.r128.I", "lavfi.r128.true_peak"


class Loudness(Struct, frozen=True, kw_only=True):
    """Integrated loudness in LUFS (-70 or less is silence) and true peak in dBTP."""

    lufs: float
    true_peak_db: float

    @property
    def is_silent(self) -> bool:
        """Whether there is only silence or noise."""
        return not self.lufs > SILENCE_LUFS


class LoudnessMeter:
    """Measures the loudness of one stream, whose sound is added in order."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._lufs = self._peak = float("-inf")

    def take(self, frame: AudioFrame) -> None:
        """Add sound; all of it must have the format of the first, else PyAV raises."""
        if self._graph is None:
            self._graph = _graph_for(frame)
        self._graph.push(frame)
        self._read(self._graph)

    def end(self) -> Loudness:
        """Return the loudness of all added sound; minus infinity for less than 0.4 s."""
        if self._graph is not None:
            self._graph.push(None)
            self._read(self._graph)
        peak_db = 20 * math.log10(self._peak) if self._peak > 0 else float("-inf")
        return Loudness(lufs=self._lufs, true_peak_db=peak_db)

    def _read(self, graph: Graph) -> None:
        while True:
            try:
                heard = graph.pull()
            except (AgainError, EndError):
                return
            told: Mapping[str, str] = heard.metadata or {}
            self._lufs = float(told.get(_INTEGRATED, self._lufs))
            self._peak = max(self._peak, float(told.get(_TRUE_PEAK, 0.0)))


def _graph_for(frame: AudioFrame) -> Graph:
    graph = Graph()
    entry = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format.name,
        layout=frame.layout.name,
        time_base=frame.time_base,
    )
    meter, end = graph.add("ebur128", "peak=true:metadata=1:framelog=quiet"), graph.add("abuffersink")
    entry.link_to(meter)
    meter.link_to(end)
    graph.configure()
    return graph
