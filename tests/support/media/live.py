"""What browsers' recorders send: parts of which only the first has a header, without durations or an index."""

import itertools
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000


def webm(path: Path, sound: NDArray[np.float32], *, offset_s: float = 0.0) -> Path:
    """Write sound as Chromium and Firefox do: WebM with Opus, live (no cues, no duration), clusters of a second."""
    options = {"live": "1", "cluster_time_limit": "1000"}
    return _write(path, sound, "webm", "libopus", options, offset_s)


def fragmented_mp4(path: Path, sound: NDArray[np.float32]) -> Path:
    """Write sound as Safari does: fragmented MP4 with AAC, duration 0, a fragment a second."""
    options = {"movflags": "frag_custom+empty_moov+default_base_moof", "frag_duration": "1000000"}
    options["movflags"] = "empty_moov+default_base_moof"
    return _write(path, sound, "mp4", "aac", options, 0.0)


def split(data: bytes, marker: bytes, *, back: int, every: int) -> list[bytes]:
    """Cut a recording at every so many clusters or fragments; the first part has the header."""
    places, at = [], data.find(marker)
    while at >= 0:
        places.append(at - back)
        at = data.find(marker, at + 1)
    cuts = [0, *places[every::every], len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]


def _write(  # noqa: PLR0913, PLR0917 - what a recorder chooses
    path: Path, sound: NDArray[np.float32], container: str, codec: str, options: dict[str, str], offset_s: float
) -> Path:
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=RATE, layout="mono")
        size = 960
        for begin in range(0, len(sound) - size + 1, size):
            frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + size], format="flt", layout="mono")
            frame.sample_rate, frame.pts = RATE, begin + round(offset_s * RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path
