"""Writes finished streams into containers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.errors import ENCODE_FAILED, UNSUPPORTED_OUTPUT, MediaError
from pipeline.reading.demux import Piece
from pipeline.reading.media import AV_ERRORS, as_media_error, open_media
from pipeline.reading.streams import select_streams

FORMATS = {
    ".mp4": "mp4",
    ".m4a": "ipod",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".nut": "nut",
    ".mp3": "mp3",
}
"""Muxers by suffix of the output."""
_OPTIONS: dict[str, dict[str, str]] = {
    "mp4": {"movflags": "+faststart"},
    "ipod": {"movflags": "+faststart"},
    "mov": {"movflags": "+faststart"},
}
MUX_OPTIONS = {"max_interleave_delta": "0"}
"""Wait for all streams, however far apart they are, so that pictures and sound are always interleaved."""
WEB_CODECS: dict[str, frozenset[str]] = {
    "mp4": frozenset({"h264", "hevc", "av1", "vp9", "aac", "mp3", "opus", "flac"}),
    "webm": frozenset({"vp8", "vp9", "av1", "opus", "vorbis"}),
    "ipod": frozenset({"aac", "alac"}),
    "mp3": frozenset({"mp3"}),
}
"""Codecs that browsers play in each container; others are re-encoded. Matroska and MOV accept any codec."""

SOUND_ONLY = frozenset({"mp3", "ipod"})
"""Outputs without pictures."""
ISOBMFF = frozenset({"mp4", "mov", "ipod"})
EQUAL_TIMES = frozenset({"matroska", "webm"})
"""Muxers that accept packets with equal times: they count milliseconds, and packets may be shorter."""
HEVC_TAG = "hvc1"
"""Apple's players reject the muxer's default, hev1."""


def format_of(path: Path) -> str:
    """Return the muxer for an output path; MediaError UNSUPPORTED_OUTPUT for an unknown suffix."""
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise MediaError(UNSUPPORTED_OUTPUT, f"the suffix {path.suffix or '(none)'} is not one of {', '.join(FORMATS)}")
    return name


def takes(path: Path, codec: str) -> bool:
    """Return whether a codec may be copied into this kind of output."""
    allowed = WEB_CODECS.get(format_of(path))
    return allowed is None or codec in allowed


@contextmanager
def open_output(path: Path) -> Iterator[OutputContainer]:
    """Open a container for writing, by its suffix; a file that was not finished is removed."""
    name = format_of(path)
    try:
        container = av.open(
            f"file:{path}", mode="w", format=name, container_options=MUX_OPTIONS | _OPTIONS.get(name, {})
        )
    except AV_ERRORS as exc:
        raise as_media_error(exc, ENCODE_FAILED) from exc
    try:
        yield container
        _finish(container)
    except BaseException:
        with suppress(*AV_ERRORS):
            container.close()
        path.unlink(missing_ok=True)
        raise


def _finish(container: OutputContainer) -> None:
    """Write the trailer; damaged parameters that were copied cause an error only here."""
    try:
        container.close()
    except ValueError as exc:  # PyAV's error for invalid data; a full disk is another cause
        raise as_media_error(exc, ENCODE_FAILED) from exc


def copy_stream(container: OutputContainer, template: VideoStream | AudioStream) -> VideoStream | AudioStream:
    """Add a stream that will carry packets of `template` as they are; keeps rotation, aspect, colours and padding."""
    stream = container.add_stream_from_template(template, opaque=True)
    codec = template.codec_context.codec.canonical_name
    if codec == "hevc" and container.format.name in ISOBMFF:
        stream.codec_context.codec_tag = HEVC_TAG
    if template.type == "audio" and template.language:
        stream.metadata["language"] = template.language
    return stream


class PacketWriter:
    """Writes packets into an output, with their times moved to the clip's clock."""

    def __init__(self, container: OutputContainer, shift_s: Fraction) -> None:
        self._container = container
        self._shift_s = shift_s
        self._last: dict[int, int] = {}

    def write(self, stream: VideoStream | AudioStream, piece: Piece) -> None:
        """Write a packet; sound due before its predecessor (a bad join in the source) is moved just after it."""
        ticks = round(self._shift_s / piece.base)
        dts = piece.dts - ticks
        step = 0 if stream.type == "audio" and self._container.format.name in EQUAL_TIMES else 1
        last = self._last.get(stream.index)
        if last is not None and dts < last + step:
            dts = last + step
        self._last[stream.index] = dts
        packet = piece.packet
        packet.pts = max(piece.pts - ticks, dts)
        packet.dts = dts
        packet.duration = piece.duration
        packet.stream = stream
        self._container.mux_one(packet)


def remux(made: Path, out: Path) -> None:
    """Copy the streams of one of our files into another container."""
    with open_media(made) as media, open_output(out) as container:
        streams = {s.index: copy_stream(container, s) for s in select_streams(media.container).all}
        for packet in media.container.demux():
            if packet.dts is not None and packet.stream_index in streams:
                packet.stream = streams[packet.stream_index]
                container.mux_one(packet)
