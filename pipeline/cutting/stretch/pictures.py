"""Decodes pictures as they are demuxed and stores them for the encoder: in one size and format, in display order."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Literal, cast

import av.error
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.filter import Graph
from av.filter.context import FilterContext
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.cutting.stretch.reference import Reference, Sample, Shrinker
from pipeline.errors import DECODE_FAILED, MediaError
from pipeline.limits import thread_count
from pipeline.reading.container.cropping import Crop
from pipeline.reading.media import passing_over_damage

ENCODER = "libx264"
LOSSLESS_PIXELS = 1_200_000_000
"""Up to this many pixels in all (a minute of 720x480 at 60 Hz), pictures are stored without loss: some 700 MB."""
LOSSLESS = {"preset": "ultrafast", "qp": "0", "g": "25"}
NEAR_LOSSLESS = {"preset": "ultrafast", "crf": "8", "g": "50"}
"""Longer and larger stretches are stored at a quality far above that of any clip, at a tenth of the size."""
LEAD_S = Fraction(1, 2)
"""Length of the pictures kept before the stretch: one may still be on the screen, and they show the rhythm."""
SAMPLES = 8
USUAL_RATE = Fraction(25)
MAX_RATE = Fraction(240)
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these codecs ignore the alpha channel that Matroska keeps beside each picture."""
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
"""ITU-T H.273 matrix coefficients, by FFmpeg's names."""
_JPEG_RANGE = 2


Clock = Literal["container", "decoding", "counted"]
"""The source of pictures' times: the container, decoding (packed bitstreams), or counting."""


class Shape(Struct, frozen=True, kw_only=True):
    """Properties of the stored pictures, from the first decoded one."""

    rotation: int
    color_trc: int
    matrix: str | None
    """The colour matrix by FFmpeg's name; None if the recording does not state it."""
    is_flattened: bool
    """Whether there was an alpha channel with transparent pixels."""


def has_alpha(stream: VideoStream) -> bool:
    """Return whether the pictures of a stream may be transparent."""
    return stream.metadata.get("alpha_mode") == "1" or is_transparent(stream.codec_context.pix_fmt)


def is_transparent(pixels: str | None) -> bool:
    """Return whether a pixel format has an alpha channel; palettes do not count, as few entries have one."""
    if not pixels or pixels == "pal8":
        return False
    return any(part.is_alpha for part in VideoFormat(pixels, 16, 16).components)


def decoder_for(stream: VideoStream) -> VideoCodecContext:
    """Return a decoder of a stream's pictures, alpha channel included."""
    own = stream.codec_context
    name = ALPHA_DECODERS.get(own.codec.canonical_name) if stream.metadata.get("alpha_mode") == "1" else None
    if name is None:
        if not own.is_open:
            own.thread_type = "AUTO"
        return own
    decoder = cast("VideoCodecContext", CodecContext.create(name, "r"))
    decoder.extradata = own.extradata
    return decoder


class PictureKeeper:
    """Decodes packets and writes the pictures of [begin, end) into a container, with half a second before.

    All get the size and format of the first: others are fitted into it. `shape` is known after the first picture.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        container: OutputContainer,
        stream: VideoStream,
        *,
        begin: Fraction,
        end: Fraction,
        shift: Fraction,
        crop: Crop | None,
        clock: Clock,
    ) -> None:
        self._container = container
        self._source = stream
        self._decoder = decoder_for(stream)
        self._begin, self._end, self._shift = begin, end, shift
        self._crop = crop
        is_avi = "avi" in stream.container.format.name.split(",")
        self._has_spare_byte = is_avi and stream.codec_context.codec.canonical_name == "rawvideo"  # BI_RGB of 32 bits
        self._base = stream.time_base or Fraction(1, 90_000)
        rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
        self._earliest = ceil((begin - LEAD_S) / self._base)
        self._step = max(1, round(1 / Fraction(rate) / self._base))
        self._clock = clock
        self._faults = {"pts": 0, "dts": 0}
        self._before: dict[str, int] = {}
        self._number = 0
        self._number_decoded = 0
        self._last: int | None = None
        self._steps: list[int] = []
        self._held: VideoFrame | None = None
        self._is_large = False
        self._fitter: _Fitter | None = None
        self._stream: VideoStream | None = None
        self._shrinker = Shrinker()
        self._sample_step = (end - begin) / SAMPLES
        self.reference = Reference()
        self.shape: Shape | None = None
        self.first_s: Fraction | None = None
        self.failures = 0
        """Number of packets at or after `begin` that could not be decoded."""

    @property
    def is_open(self) -> bool:
        """Whether there was a picture, and with it a stream in the container."""
        return self._stream is not None

    def push(self, packet: "Packet[Stream]", shown_s: Fraction) -> None:
        """Take a packet in decoding order."""
        decoded = self._number_decoded
        frames: list[VideoFrame] = []
        with passing_over_damage():
            frames = self._decoder.decode(cast("Packet[VideoStream]", packet))
            self._number_decoded += 1
        if self._number_decoded == decoded:
            self.failures += shown_s >= self._begin - LEAD_S
        for frame in frames:
            self._take(frame)

    def finish(self) -> None:
        """Write the delayed pictures; MediaError DECODE_FAILED when there was no picture."""
        with passing_over_damage():
            for frame in self._decoder.decode(None):
                self._take(frame)
        if self._fitter is None and self._held is not None:
            self._write(self._held)
        if self._fitter is None or self._stream is None:
            raise MediaError(DECODE_FAILED, "no picture came out of it", stream=self._source.index)
        self._fitter.finish(self._encode)
        self._container.mux(self._stream.encode(None))
        self.reference.most_pictures = None

    def _take(self, frame: VideoFrame) -> None:
        at = self._time_of(frame)
        if self._last is not None and at <= self._last:
            return
        if self._last is not None:
            self._steps.append(at - self._last)
        self._last = at
        if at * self._base >= self._end:
            return
        frame.pts, frame.time_base = max(at, self._earliest), self._base
        if at < self._earliest:
            self._held = frame
            return
        if self._held is not None and at > self._earliest:
            self._write(self._held)
        self._held = None
        self._write(frame)

    def _time_of(self, frame: VideoFrame) -> int:
        """Return the display time of a picture; if the container has no times, pictures are counted.

        If the times of display step back more often than those of decoding, the latter are used, as in FFmpeg
        (libavcodec/decode.c, guess_correct_pts).
        """
        if self._clock == "counted":
            self._number += 1
            return (self._number - 1) * self._step
        for name, at in (("pts", frame.pts), ("dts", frame.dts)):
            if at is not None:
                self._faults[name] += name in self._before and at <= self._before[name]
                self._before[name] = at
        is_late = self._clock == "decoding" or self._faults["pts"] > self._faults["dts"]
        if frame.pts is not None and not (is_late and frame.dts is not None):
            return frame.pts
        if frame.dts is not None:
            return frame.dts
        usual = round(median(self._steps)) if self._steps else self._step
        return 0 if self._last is None else self._last + usual

    def _write(self, frame: VideoFrame) -> None:
        if self._fitter is None:
            self._is_large = self._pixels_of(frame) > LOSSLESS_PIXELS
            self._fitter = _Fitter(frame, self._crop, has_spare_byte=self._has_spare_byte)
            self.shape = _shape_of(frame, self._fitter)
            self.reference.rotation = self.shape.rotation
            self.first_s = Fraction(frame.pts or 0) * self._base
        self._fitter.push(frame, self._encode)

    def _encode(self, frame: VideoFrame) -> None:
        """Encode a picture that has its final shape; its time is still that of the recording."""
        if self._stream is None:
            self._stream = self._add_stream(frame)
        at = (frame.pts or 0) * Fraction(frame.time_base or self._base)
        self._sample(frame, at)
        frame.time_base = self._base
        frame.pts = round((at - self._shift) / self._base)
        frame.pict_type = PictureType.NONE
        self._container.mux(self._stream.encode(frame))

    def _sample(self, frame: VideoFrame, at: Fraction) -> None:
        taken = self.reference.pictures
        if self._begin <= at < self._end and (not taken or at >= taken[-1].time_s + self._sample_step):
            taken.append(Sample(at, self._shrinker.fields(frame)))

    def _add_stream(self, frame: VideoFrame) -> VideoStream:
        stream = cast("VideoStream", self._container.add_stream(ENCODER, rate=self._rate))
        stream.width, stream.height = frame.width, frame.height
        stream.pix_fmt = frame.format.name
        stream.codec_context.time_base = self._base
        stream.codec_context.thread_count = thread_count()
        stream.codec_context.options = NEAR_LOSSLESS if self._is_large else LOSSLESS
        stream.codec_context.open()
        stream.time_base = self._base
        return stream

    @property
    def _rate(self) -> Fraction:
        rate = Fraction(self._source.average_rate or self._source.guessed_rate or USUAL_RATE)
        return min(max(rate, Fraction(1)), MAX_RATE)

    def _pixels_of(self, frame: VideoFrame) -> Fraction:
        return frame.width * frame.height * self._rate * (self._end - self._begin)


class _Fitter:
    """Converts pictures to the size and format of the first: crops, deinterlaces, flattens on black, and fits them."""

    def __init__(self, first: VideoFrame, crop: Crop | None, *, has_spare_byte: bool) -> None:
        self._crop = crop
        self._is_opaque = has_spare_byte and _is_invisible(first)
        self.is_flattened = is_transparent(first.format.name) and not self._is_opaque
        width, height = first.width, first.height
        if crop is not None:
            width, height = crop.size(width, height)
        self.format = _kept_format(first, is_odd=bool(width % 2 or height % 2))
        self._size = width, height
        self._is_interlaced = bool(first.interlaced_frame)
        self._shape: tuple[int, int, str, int, int] | None = None
        self._graph: Graph | None = None

    def push(self, frame: VideoFrame, take: Callable[[VideoFrame], None]) -> None:
        """Pass a picture to `take` in its final shape, perhaps one picture later."""
        shape = (frame.width, frame.height, frame.format.name, int(frame.color_range), int(frame.colorspace))
        if shape != self._shape:
            self.finish(take)
            self._graph, self._shape = self._build(frame), shape
        assert self._graph is not None  # noqa: S101 - just built
        self._graph.vpush(frame)
        for made in self._pull():
            take(made)

    def finish(self, take: Callable[[VideoFrame], None]) -> None:
        """Pass on the pictures that the filters still hold."""
        if self._graph is None:
            return
        self._graph.vpush(None)
        for made in self._pull():
            take(made)
        self._graph = None

    def _pull(self) -> Iterator[VideoFrame]:
        assert self._graph is not None  # noqa: S101 - callers have one
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        chain = [source, *(graph.add(name, arguments) for name, arguments in self._filters(frame))]
        _link([*chain, graph.add("buffersink")])
        graph.configure()
        return graph

    def _filters(self, frame: VideoFrame) -> Iterator[tuple[str, str]]:
        width, height = frame.width, frame.height
        if self._crop is not None:
            width, height = self._crop.size(width, height)
            yield "crop", f"{width}:{height}:{self._crop.left}:{self._crop.top}:exact=1"
        if self._is_interlaced:
            yield "bwdif", "mode=send_frame:deint=interlaced"
        if is_transparent(frame.format.name):
            yield "format", "pix_fmts=gbrap"
            if not self._is_opaque:
                yield "premultiply", "inplace=1"
            yield "format", "pix_fmts=gbrp"
        if (width, height) != self._size:
            yield "scale", f"{self._size[0]}:{self._size[1]}:force_original_aspect_ratio=decrease:out_range=tv"
            yield "pad", f"{self._size[0]}:{self._size[1]}:-1:-1"
        if _is_rgb(frame) or is_transparent(frame.format.name):
            yield "scale", f"out_range=tv:out_color_matrix={RGB_MATRIX}"
        elif _is_full_range(frame):
            yield "scale", "out_range=tv"
        yield "format", f"pix_fmts={self.format}"


def _is_invisible(frame: VideoFrame) -> bool:
    """Return whether every pixel of a picture is wholly transparent."""
    rgba = frame.reformat(format="rgba")
    return is_transparent(frame.format.name) and not rgba.to_ndarray()[..., 3].any()


def _link(chain: list[FilterContext]) -> None:
    for before, after in pairwise(chain):
        before.link_to(after)


def _is_full_range(frame: VideoFrame) -> bool:
    name = frame.format.name
    return name.startswith(("yuvj", "gray")) or (int(frame.color_range) == _JPEG_RANGE and not _is_rgb(frame))


def _is_rgb(frame: VideoFrame) -> bool:
    return bool(frame.format.is_rgb or frame.format.has_palette or frame.format.is_bayer)


def _bits(frame: VideoFrame) -> int:
    return max((part.bits for part in frame.format.components), default=8)


def _kept_format(frame: VideoFrame, *, is_odd: bool) -> str:
    """Return the pixel format for storing such pictures: the same, or the nearest one without alpha."""
    depth = "10le" if _bits(frame) > BYTE else ""
    if is_odd or is_transparent(frame.format.name) or _is_rgb(frame):
        return f"yuv444p{depth}"
    name = frame.format.name.replace("yuvj", "yuv")
    if name.startswith(("gray", "yuv420", "yuv410", "nv12", "nv21", "p010")):
        return f"yuv420p{depth}"
    return f"yuv422p{depth}" if name.startswith(("yuv422", "yuyv", "uyvy", "yvyu", "y210")) else f"yuv444p{depth}"


BYTE = 8
RGB_MATRIX = "bt709"
"""Return the colour matrix for converting RGB pictures to YUV."""


def _shape_of(frame: VideoFrame, fitter: _Fitter) -> Shape:
    matrix = _MATRICES.get(int(frame.colorspace))
    if is_transparent(frame.format.name) or _is_rgb(frame):
        matrix = RGB_MATRIX
    return Shape(
        rotation=round(-frame.rotation / 90) * 90 % 360,
        color_trc=int(frame.color_trc),
        matrix=matrix,
        is_flattened=fitter.is_flattened,
    )
