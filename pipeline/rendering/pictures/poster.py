"""The poster of a recording: the best of a few keyframes, found by seeking instead of reading everything."""

from fractions import Fraction
from pathlib import Path

import av
import av.error

from pipeline.errors import MediaError
from pipeline.reading.media import open_container
from pipeline.reading.streams import zero_s
from pipeline.rendering.material import fetch
from pipeline.rendering.pictures.thumbnail import small_luma, telling_score, write_thumbnail
from pipeline.types import Probe, Source

PLACES = (0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92)
"""Sampled places as shares of the length, without title cards and black ends."""
LENGTH_S = 0.5
SEGMENT = "poster-segment"


def write_poster(source: Source, found: Probe, out: Path) -> bool:
    """Write a JPEG (long side at most 1280) of the recording; False if no picture of it can be decoded."""
    if found.video is None:
        return False
    for time_s in _times_by_score(source, found):
        try:
            end_s = min(time_s + LENGTH_S, max(found.duration_s, time_s + 0.01))
            segment = fetch(source, out=out.parent / SEGMENT, start_s=time_s, end_s=end_s)
        except MediaError:
            continue  # damaged here; try another place
        try:
            if segment.material.video is not None:
                write_thumbnail(out.parent, segment.material, segment.material.shown_from, out.name)
                return True
        except MediaError:
            continue
        finally:
            segment.path.unlink(missing_ok=True)
    return False


def _times_by_score(source: Source, found: Probe) -> list[float]:
    """Return times in the recording, the one with the best keyframe first."""
    scored: list[tuple[float, float]] = []
    with open_container(source) as container:
        stream = next(s for s in container.streams.video if s.index == found.video)
        zero = zero_s(container)
        for share in PLACES:
            wanted = zero + Fraction(found.duration_s * share).limit_denominator(1000)
            try:
                container.seek(int(wanted / Fraction(stream.time_base or 1)), stream=stream)
                frame = next(iter(container.decode(stream)), None)
            except (av.error.FFmpegError, ValueError, OverflowError):
                continue
            if frame is not None and frame.pts is not None and frame.time_base is not None:
                time_s = max(0.0, float(frame.pts * Fraction(frame.time_base) - zero))
                scored.append((telling_score(small_luma(frame)), time_s))
    return [time_s for _, time_s in sorted(scored, key=lambda pair: (-pair[0], pair[1]))] or [0.0]
