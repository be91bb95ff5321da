"""Thumbnail and preview of a clip from the pictures that its check decodes, so that nothing is decoded twice."""

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from pipeline.errors import ENCODE_FAILED
from pipeline.reading.media import AV_ERRORS, as_media_error
from pipeline.rendering.material import HD_LINES
from pipeline.rendering.pictures.thumbnail import (
    EDGE_FACTOR,
    EDGE_S,
    JPEG_QUALITY,
    MAX_CANDIDATES,
    PREVIEW_BEFORE_S,
    PREVIEW_EFFORT,
    PREVIEW_LONG_SIDE,
    PREVIEW_QUALITY,
    PREVIEW_RATE,
    PREVIEW_S,
    THUMBNAIL_LONG_SIDE,
    small_luma,
    telling_score,
)
from pipeline.rendering.presets import even
from pipeline.types import StreamInfo

SLOT_S = Fraction(1, PREVIEW_RATE)
_MARKED = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 7: Colorspace.SMPTE240M}
"""FFmpeg's numbers of the matrices of 8-bit recordings; others count as unmarked."""
_JPEG_RANGE = 2


def is_plain(video: StreamInfo) -> bool:
    """Return whether decoded pictures look as in a player: upright, square pixels, SDR, progressive."""
    is_square = video.sample_aspect in {"1/1", "1:1", "0/1", "0:1"}
    return not video.rotation and is_square and video.hdr is None and not video.is_interlaced


class _Small(NamedTuple):
    slot: int
    picture: VideoFrame


class Watcher:
    """Gets every picture of a clip in order, and keeps the best one and three seconds around it.

    Keeps one picture in full size and at most six seconds of small ones, however long the clip is.
    """

    def __init__(self, duration_s: float) -> None:
        self._duration = Fraction(duration_s)
        self._first: Fraction | None = None
        self._slot = -1
        self._candidate_due = Fraction(0)
        self._recent: deque[_Small] = deque(maxlen=int(PREVIEW_S * PREVIEW_RATE))
        self._window: list[_Small] = []
        self._best: tuple[float, Fraction, VideoFrame] | None = None
        self._shrink, self._glance = VideoReformatter(), VideoReformatter()

    @property
    def has_seen(self) -> bool:
        """Whether there was any picture."""
        return self._best is not None

    def take(self, frame: VideoFrame) -> None:
        """Add a picture; most are skipped at no cost."""
        if frame.pts is None or frame.time_base is None:
            return
        at = frame.pts * Fraction(frame.time_base)
        self._first = at if self._first is None else self._first
        time = at - self._first
        slot = int(time / SLOT_S)
        if slot <= self._slot:
            return
        self._slot = slot
        small = _Small(slot, self._scaled(self._shrink, frame, PREVIEW_LONG_SIDE))
        self._recent.append(small)
        if not self._is_better(time, frame, small) and self._best is not None and time < self._best[1] + PREVIEW_S:
            self._window.append(small)

    def write_thumbnail(self, out: Path) -> tuple[int, int]:
        """Write the best picture as JPEG, long side at most 1280; return its width and height."""
        assert self._best is not None  # noqa: S101 - callers ask `has_seen`
        full = self._scaled(VideoReformatter(), self._best[2], THUMBNAIL_LONG_SIDE, is_jpeg=True)
        context = av.VideoCodecContext.create("mjpeg", "w")
        context.width, context.height, context.pix_fmt = full.width, full.height, full.format.name
        context.time_base = Fraction(1, PREVIEW_RATE)
        context.qmin = context.qmax = JPEG_QUALITY
        full.pts = 0
        try:
            out.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(full), *context.encode(None)]))
        except AV_ERRORS as exc:
            raise as_media_error(exc, ENCODE_FAILED) from exc
        return full.width, full.height

    def write_preview(self, out: Path) -> tuple[int, int, float]:
        """Write up to three seconds around that picture as an animated WebP; return width, height and seconds."""
        assert self._best is not None  # noqa: S101 - callers ask `has_seen`
        length, whole = Fraction(PREVIEW_S), self._duration
        start = max(Fraction(0), min(self._best[1] - Fraction(PREVIEW_BEFORE_S), whole - length))
        end = min(whole, start + length)
        first = int(start / SLOT_S)
        count = max(1, round((end - start) / SLOT_S))
        chosen = [small for small in self._window if first <= small.slot < first + count] or self._window[-1:]
        width, height = chosen[0].picture.width, chosen[0].picture.height
        with av.open(str(out), "w", format="webp") as container:
            stream = container.add_stream("libwebp_anim", rate=PREVIEW_RATE)
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - it was asked for
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.options = {
                "quality": str(PREVIEW_QUALITY),
                "compression_level": str(PREVIEW_EFFORT),
                "loop": "0",
            }
            for small in chosen:
                small.picture.pts, small.picture.time_base = small.slot - chosen[0].slot, SLOT_S
                container.mux(stream.encode(small.picture))
            container.mux(stream.encode(None))
        return width, height, float(end - start)

    def _is_better(self, time: Fraction, frame: VideoFrame, small: _Small) -> bool:
        """Rate a candidate; keep it, with the seconds before it, if it is the best so far."""
        if time < self._candidate_due:
            return False
        self._candidate_due = time + self._duration / MAX_CANDIDATES
        luma = small_luma(small.picture, self._glance)
        is_inside = EDGE_S <= time <= self._duration - Fraction(EDGE_S)
        score = telling_score(luma) * (1.0 if is_inside else EDGE_FACTOR)
        if self._best is not None and score <= self._best[0]:
            return False
        self._best = score, time, frame
        self._window = list(self._recent)
        return True

    @staticmethod
    def _scaled(
        reformatter: VideoReformatter, frame: VideoFrame, long_side: int, *, is_jpeg: bool = False
    ) -> VideoFrame:
        """Return a copy within a size, in BT.601, the only matrix of JPEG and WebP, and for JPEG in full range."""
        scale = min(1.0, long_side / max(frame.width, frame.height))
        unmarked = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
        return reformatter.reformat(
            frame,
            width=even(frame.width * scale),
            height=even(frame.height * scale),
            format="yuvj420p" if is_jpeg else "yuv420p",
            src_colorspace=_MARKED.get(frame.colorspace, unmarked),
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if frame.color_range == _JPEG_RANGE else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if is_jpeg else ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC if is_jpeg else Interpolation.BILINEAR,
            threads=1,
        )
