"""Encodes a few pictures so that they can stand in one stream with a recording's own packets.

The parameter sets of both encoders are kept side by side under different numbers, in the container's header where the
recording keeps its own, so the result is one ordinary stream and no player needs to expect a change.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from pipeline import nal
from pipeline.errors import ENCODE_FAILED
from pipeline.source import as_media_error

CRF = 17
"""Hardly told from the source, so that the seam does not show."""
MAX_SPS_ID = 31
MAX_RATE = 240
INTRA_CODECS = frozenset(
    {"mjpeg", "prores", "dvvideo", "dnxhd", "ffv1", "rawvideo", "png", "huffyuv", "utvideo", "v210"}
)
"""Every picture stands alone: any cut is a copy."""


@dataclass(frozen=True)
class Coded:
    """An encoded picture, ready to be written beside copied ones; times in ticks of the stream."""

    data: bytes
    pts: int
    is_key: bool


@dataclass(frozen=True)
class Part:
    """Pictures that were encoded, in order of display and of decoding, and the header to use for the whole stream."""

    pictures: tuple[Coded, ...]
    header: bytes | None


class Splicer:
    """Knows how to join encoded pictures to those of one stream."""

    def __init__(self, stream: VideoStream) -> None:
        self.stream = stream
        self.codec = stream.codec_context.codec.canonical_name
        extradata = stream.codec_context.extradata
        self.header: bytes = bytes(extradata) if extradata else b""
        self.avc = nal.AvcConfig.parse(self.header) if self.codec == "h264" else None

    def why_not(self) -> str | None:
        """Return why pictures of this stream cannot be joined to encoded ones, in words, or None."""
        if self.codec in INTRA_CODECS:
            return None
        if self.codec != "h264":
            return f"Pictures of the codec {self.codec} cannot be joined to newly encoded ones."
        if self.stream.codec_context.field_order > 1:
            return "Interlaced pictures cannot be joined to newly encoded ones."
        if self.avc is None and not self.header:
            return "The stream carries no parameter sets that could be kept beside new ones."
        if self.stream.pix_fmt not in _X264_FORMATS:
            return f"The pixel format {self.stream.pix_fmt} cannot be encoded in the same way."
        return None

    def is_seam(self, packet: "Packet[Stream]") -> bool:
        """Whether a copy may begin with this packet after pictures of another encoder."""
        if not packet.is_keyframe:
            return False
        if self.codec == "h264":
            return any(unit and unit[0] & 0x1F == nal.H264_IDR for unit in self._units(bytes(packet)))
        return True

    def encode(self, frames: Iterable[VideoFrame]) -> Part:
        """Encode pictures (their `pts` in ticks of the stream); MediaError ENCODE_FAILED."""
        encoder = self._encoder()
        pictures: list[Coded] = []
        try:
            for frame in frames:
                frame.pict_type = PictureType.NONE
                pictures += [self._coded(p) for p in encoder.encode(frame)]
            pictures += [self._coded(p) for p in encoder.encode(None)]
        except (av.error.FFmpegError, ValueError) as exc:
            raise as_media_error(exc, ENCODE_FAILED, stream=self.stream.index) from exc
        return Part(tuple(pictures), self._merged(bytes(encoder.extradata or b"")))

    def _encoder(self) -> VideoCodecContext:
        source = self.stream.codec_context
        encoder = av.CodecContext.create("libx264", "w")
        _match(encoder, self.stream)
        encoder.max_b_frames = 0  # in order of display: their decoding times then fit before any copy's
        encoder.options = {"preset": "veryfast", "crf": str(CRF), "x264-params": f"sps-id={self._free_id()}"}
        encoder.flags |= Flags.global_header
        if source.profile in _X264_PROFILES:
            encoder.options["profile"] = _X264_PROFILES[source.profile]
        return encoder

    def _free_id(self) -> int:
        taken = {nal.h264_sps_id(unit) for unit in self._sets(nal.H264_SPS)}
        taken |= {nal.h264_pps_id(unit) for unit in self._sets(nal.H264_PPS)}
        return max(set(range(MAX_SPS_ID + 1)) - taken)

    def _sets(self, kind: int) -> list[bytes]:
        if self.avc is not None:
            return list(self.avc.sps if kind == nal.H264_SPS else self.avc.pps)
        return [unit for unit in nal.split_annexb(self.header) if unit and unit[0] & 0x1F == kind]

    def _units(self, data: bytes) -> Iterable[bytes]:
        if self.avc is not None:
            return nal.split_lengths(data, self.avc.length_bytes)
        return nal.split_annexb(data)

    def _coded(self, packet: "Packet[Stream]") -> Coded:
        data = bytes(packet)
        if self.avc is not None:
            data = nal.join_lengths(list(nal.split_annexb(data)), self.avc.length_bytes)
        return Coded(data, packet.pts or 0, packet.is_keyframe)

    def _merged(self, header: bytes) -> bytes:
        if self.avc is None:
            return self.header + header
        units = [unit for unit in nal.split_annexb(header) if unit]
        sps = [unit for unit in units if unit[0] & 0x1F == nal.H264_SPS]
        pps = [unit for unit in units if unit[0] & 0x1F == nal.H264_PPS]
        return self.avc.with_sets(sps, pps)

    def merge(self, parts: Sequence[Part]) -> bytes | None:
        """Return the header for a stream that carries these parts beside the recording's packets."""
        return next((part.header for part in parts if part.header), None)


_X264_FORMATS = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"}
)
_X264_PROFILES = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main", "High": "high"}


def _match(encoder: VideoCodecContext, stream: VideoStream) -> None:
    """Give an encoder the shape and colours of a stream."""
    source = stream.codec_context
    encoder.width, encoder.height = source.width, source.height
    encoder.pix_fmt = source.pix_fmt
    if stream.time_base:
        encoder.time_base = stream.time_base
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    encoder.framerate = min(rate, Fraction(MAX_RATE))
    if stream.sample_aspect_ratio:
        encoder.sample_aspect_ratio = stream.sample_aspect_ratio
    encoder.color_primaries = source.color_primaries
    encoder.color_trc = source.color_trc
    encoder.colorspace = source.colorspace
    encoder.color_range = source.color_range
