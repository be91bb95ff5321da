"""Splices newly encoded pictures and a recording's own packets into one stream, codec by codec.

The parameter sets of both encoders are stored under different numbers in the recording's usual place (the container's
header, or before keyframes), so the result is one ordinary stream without a change of parameters.
"""

import os
from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

import av
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from pipeline import limits
from pipeline.reading.format import nal

CRF = 17
"""On x264's and x265's scale: hardly distinguishable from the source, so that the seam is invisible."""
MAX_RATE = 240
PROGRESSIVE = 1
MAX_SPS_ID = 31
AV1_SEQUENCE_HEADER = 1
SVT_PRESET = "8"
"""Above 9, pictures that differ much from the previous one reach only 13 dB (measured; its log warns of it)."""
SVT_ERRORS = "1"
"""SVT-AV1 prints its settings to standard error otherwise."""


class SpliceCodec(Protocol):
    """Splices pictures of one codec. `formats` are the pixel formats that it can encode; empty means any."""

    formats: frozenset[str]

    def why_not(self) -> str | None:
        """Return why this stream's pictures cannot be joined to encoded ones, in words, or None."""

    def is_seam(self, data: bytes) -> bool:
        """Return whether a copy may begin with this keyframe after pictures of another encoder."""

    def is_other(self, data: bytes) -> bool:
        """Return whether this keyframe has other parameters than the stream: a change midway."""

    def encoder(self) -> VideoCodecContext:
        """Return an encoder that matches the stream, not yet open, and emits pictures in order of display."""

    def encoded(self, data: bytes) -> bytes:
        """Turn a packet of the encoder into one for the joint stream; ValueError if that is impossible."""

    def seam(self, data: bytes) -> bytes:
        """Turn the first copied packet into one that may follow encoded pictures."""

    def entry(self, data: bytes) -> bytes:
        """Turn any other copied keyframe into one that a player may jump to from encoded pictures."""

    def header(self, extradata: bytes) -> bytes | None:
        """Return the joint stream's header, from the encoder's; None to leave the recording's as it is."""


def codec_for(stream: VideoStream) -> SpliceCodec | None:
    """Return the splice of this stream's codec, or None if there is none."""
    kind = _CODECS.get(stream.codec_context.codec.canonical_name)
    return None if kind is None else kind(stream)


class _H264:
    """Splices H.264 by giving x264's parameter sets other numbers: `avcC` may contain several."""

    formats = frozenset(
        {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}
        | {"yuv420p10le", "yuv422p10le", "yuv444p10le"}
    )

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._old = bytes(stream.codec_context.extradata or b"")
        self._config = nal.AvcConfig.parse(self._old)

    def why_not(self) -> str | None:
        if not self._old:
            return "The stream carries no parameter sets that could be kept beside new ones."
        if any(nal.h264_is_lossless(unit) for unit in self._known_sets()):
            return "Decoders do not switch between lossless and other H.264."
        return None

    def _known_sets(self) -> Iterable[bytes]:
        """Return the sequence parameter sets of the header."""
        if self._config is not None:
            return self._config.sps
        return _h264_sets((unit for unit in nal.split_annexb(self._old) if unit), nal.H264_SPS)

    def is_seam(self, data: bytes) -> bool:
        return any(unit and unit[0] & 0x1F == nal.H264_IDR for unit in self._units(data))

    def is_other(self, data: bytes) -> bool:
        return not set(self._known_sets()).issuperset(
            _h264_sets((unit for unit in self._units(data) if unit), nal.H264_SPS)
        )

    def encoder(self) -> VideoCodecContext:
        encoder = _matched("libx264", self._stream)
        encoder.options = {"preset": "superfast", "crf": str(CRF), "x264-params": f"sps-id={self._free_id()}"}
        return encoder

    def encoded(self, data: bytes) -> bytes:
        if self._config is None:
            return data
        return nal.join_lengths(list(nal.split_annexb(data)), self._config.length_bytes)

    def seam(self, data: bytes) -> bytes:
        return data

    def entry(self, data: bytes) -> bytes:
        return data

    def header(self, extradata: bytes) -> bytes | None:
        if self._config is None:
            return self._old + extradata
        units = [unit for unit in nal.split_annexb(extradata) if unit]
        return self._config.with_sets(_h264_sets(units, nal.H264_SPS), _h264_sets(units, nal.H264_PPS))

    def _units(self, data: bytes) -> Iterable[bytes]:
        if self._config is not None:
            return nal.split_lengths(data, self._config.length_bytes)
        return nal.split_annexb(data)

    def _free_id(self) -> int:
        """Return a number that neither sequence nor picture parameter sets have: x264 gives both the same."""
        if self._config is not None:
            units = [*self._config.sps, *self._config.pps]
        else:
            units = [unit for unit in nal.split_annexb(self._old) if unit]
        taken = {nal.h264_sps_id(unit) for unit in _h264_sets(units, nal.H264_SPS)}
        taken |= {nal.h264_pps_id(unit) for unit in _h264_sets(units, nal.H264_PPS)}
        return max(set(range(MAX_SPS_ID + 1)) - taken)


def _h264_sets(units: Iterable[bytes], kind: int) -> list[bytes]:
    return [unit for unit in units if unit[0] & 0x1F == kind]


class _Hevc:
    """Splices HEVC: renumbers x265's parameter sets, also in every slice, and turns the first copied CRA into a BLA.

    A CRA picture continues the clock of the pictures before it. As a BLA (the same bits with another type, meant for
    splices) it starts a new clock. Its leading pictures, which cannot be decoded there, are encoded.

    Firefox reads only the first parameter set of each kind in a file's header, and those before keyframes, and keeps
    the last one when it seeks. So all sets are in the header, and each encoder's own before each of its keyframes.
    """

    formats = frozenset(
        ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le")
    )

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._old = bytes(stream.codec_context.extradata or b"")
        self._config = nal.HevcConfig.parse(self._old)

    def why_not(self) -> str | None:
        if not self._old:
            return "The stream carries no parameter sets that could be kept beside new ones."
        if any(nal.hevc_sps_id(unit) == nal.HEVC_ID for unit in self._sets(nal.HEVC_SPS)):
            return "The stream already uses the number that new parameter sets would get."
        return None

    def is_seam(self, data: bytes) -> bool:
        return any(unit and nal.hevc_type(unit) in nal.HEVC_SEAMS for unit in self._units(data))

    def is_other(self, data: bytes) -> bool:
        found = {unit for unit in self._units(data) if unit and nal.hevc_type(unit) == nal.HEVC_SPS}
        return not found.issubset(self._sets(nal.HEVC_SPS))

    def encoder(self) -> VideoCodecContext:
        encoder = _matched("libx265", self._stream)
        params = "log-level=none:info=0:bframes=0:open-gop=0:repeat-headers=1:aud=0:hrd=0:temporal-layers=0"
        encoder.options = {"preset": "superfast", "crf": str(CRF), "x265-params": params}
        return encoder

    def encoded(self, data: bytes) -> bytes:
        return self._joined([nal.hevc_renumbered(unit) for unit in nal.split_annexb(data) if unit])

    def seam(self, data: bytes) -> bytes:
        units = [
            nal.hevc_with_type(unit, nal.HEVC_BLA_N_LP) if nal.hevc_type(unit) == nal.HEVC_CRA else unit
            for unit in self._units(data)
            if unit
        ]
        return self._with_sets(units)

    def entry(self, data: bytes) -> bytes:
        return self._with_sets([unit for unit in self._units(data) if unit])

    def _with_sets(self, units: list[bytes]) -> bytes:
        has_own = any(nal.hevc_type(unit) == nal.HEVC_SPS for unit in units)
        sets = [] if has_own else [unit for kind in nal.HEVC_SETS for unit in self._sets(kind)]
        first = 1 if units and nal.hevc_type(units[0]) == nal.HEVC_AUD else 0
        return self._joined([*units[:first], *sets, *units[first:]])

    def header(self, extradata: bytes) -> bytes | None:
        units = [unit for unit in nal.split_annexb(extradata) if unit and nal.hevc_type(unit) in nal.HEVC_SETS]
        renumbered = [nal.hevc_renumbered(unit) for unit in units]
        if self._config is None:
            return self._old + self._joined(renumbered)
        return self._config.with_sets(renumbered)

    def _sets(self, kind: int) -> Iterable[bytes]:
        if self._config is not None:
            return self._config.sets.get(kind, ())
        return [unit for unit in nal.split_annexb(self._old) if unit and nal.hevc_type(unit) == kind]

    def _units(self, data: bytes) -> Iterable[bytes]:
        if self._config is not None:
            return nal.split_lengths(data, self._config.length_bytes)
        return nal.split_annexb(data)

    def _joined(self, units: list[bytes]) -> bytes:
        if self._config is not None:
            return nal.join_lengths(units, self._config.length_bytes)
        return b"".join(b"\x00" + nal.START_CODE + unit for unit in units)


class _Plain:
    """Splices codecs whose keyframes contain everything that a decoder needs."""

    formats: frozenset[str] = frozenset()

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream

    def why_not(self) -> str | None:
        return None

    def is_seam(self, data: bytes) -> bool:
        return bool(data)

    def is_other(self, data: bytes) -> bool:
        return not data

    def encoded(self, data: bytes) -> bytes:
        return data

    def seam(self, data: bytes) -> bytes:
        return data

    def entry(self, data: bytes) -> bytes:
        return data

    def header(self, extradata: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's parameter
        return None


class _Vp9(_Plain):
    formats = frozenset(("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"))

    def encoder(self) -> VideoCodecContext:
        encoder = _matched("libvpx-vp9", self._stream)
        encoder.options = {
            "deadline": "realtime",
            "cpu-used": "6",
            "row-mt": "1",
            "lag-in-frames": "0",
            "auto-alt-ref": "0",
            "crf": "18",
        }
        encoder.bit_rate = 0
        return encoder


class _Av1(_Plain):
    formats = frozenset(("yuv420p", "yuv420p10le"))

    def is_seam(self, data: bytes) -> bool:
        """Only if the sequence header is repeated there: decoders do not read the container's header again."""
        return AV1_SEQUENCE_HEADER in set(_obu_types(data))

    def encoder(self) -> VideoCodecContext:
        os.environ.setdefault("SVT_LOG", SVT_ERRORS)  # the encoder has no other way to be quiet
        encoder = _matched("libsvtav1", self._stream)
        encoder.options = {"preset": SVT_PRESET, "crf": "20", "svtav1-params": "pred-struct=1:lookahead=0:scd=0"}
        encoder.open()
        limits.leave_realtime()  # as root it gives this thread and its own real-time priority
        return encoder


class _Intra(_Plain):
    """For codecs in which every picture is independent: any cut is a copy, and nothing is encoded."""

    def encoder(self) -> VideoCodecContext:
        raise ValueError("nothing to encode between independent pictures")


def _obu_types(data: bytes) -> Iterable[int]:
    """Yield the types of the units of an AV1 packet (AV1 specification, 5.3: size present in each)."""
    at = 0
    while at < len(data):
        head = data[at]
        yield head >> 3 & 15
        at += 2 if head & 4 else 1
        if not head & 2:
            return
        size = shift = 0
        while at < len(data):
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        at += size


def _matched(name: str, stream: VideoStream) -> VideoCodecContext:
    """Return an encoder with the size, colours and clock of a stream that never reorders pictures."""
    source = stream.codec_context
    encoder: VideoCodecContext = av.CodecContext.create(name, "w")  # type: ignore[assignment] # these are video encoders
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
    encoder.max_b_frames = 0  # in order of display, so that their decoding times come before those of any copy
    encoder.flags |= Flags.global_header
    return encoder


_CODECS: dict[str, type[_H264] | type[_Hevc] | type[_Vp9] | type[_Av1] | type[_Intra]] = {
    "h264": _H264,
    "hevc": _Hevc,
    "vp9": _Vp9,
    "av1": _Av1,
    **dict.fromkeys(("mjpeg", "prores", "dvvideo", "dnxhd", "rawvideo", "png", "huffyuv", "utvideo", "v210"), _Intra),
}
