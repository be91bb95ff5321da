"""Encodes a few pictures for one stream with a recording's own packets."""

from collections.abc import Iterable
from dataclasses import dataclass

from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from pipeline.cutting.splice.codecs import PROGRESSIVE, codec_for
from pipeline.errors import ENCODE_FAILED
from pipeline.reading.media import AV_ERRORS, as_media_error


@dataclass(frozen=True)
class Coded:
    """An encoded picture for a stream with copied ones; times in ticks of the stream."""

    data: bytes
    pts: int
    is_key: bool


@dataclass(frozen=True)
class Part:
    """Encoded pictures, in order of display and decoding, and the header for the whole stream."""

    pictures: tuple[Coded, ...]
    header: bytes | None


class Splicer:
    """Splices encoded pictures into one stream."""

    def __init__(self, stream: VideoStream) -> None:
        self.stream = stream
        self.codec: str = stream.codec_context.codec.canonical_name
        self._rules = codec_for(stream)

    def why_not(self) -> str | None:
        """Return why pictures of this stream cannot be joined to encoded ones, in words, or None."""
        rules, pixels = self._rules, self.stream.pix_fmt
        if rules is None:
            return f"Pictures of the codec {self.codec} cannot be joined to newly encoded ones."
        if rules.formats and pixels not in rules.formats:
            return f"The pixel format {pixels} cannot be encoded in the same way."
        if self.stream.codec_context.field_order > PROGRESSIVE:
            return "Interlaced pictures cannot be joined to newly encoded ones."
        return rules.why_not()

    def is_seam(self, packet: "Packet[Stream]") -> bool:
        """Return whether a copy may begin with this packet after pictures of another encoder."""
        return bool(packet.is_keyframe and self._rules is not None and self._rules.is_seam(bytes(packet)))

    def is_other(self, packet: "Packet[Stream]") -> bool:
        """Return whether this packet changes the stream's parameters (size, pixel format …) midway."""
        if packet.has_sidedata("new_extradata"):
            return True
        return bool(packet.is_keyframe and self._rules is not None and self._rules.is_other(bytes(packet)))

    def entry(self, packet: "Packet[Stream]", *, is_seam: bool) -> "Packet[Stream]":
        """Return a copied keyframe, adapted to a stream with encoded pictures; with `is_seam`, directly after them."""
        data = bytes(packet)
        changed = data
        if self._rules is not None:
            changed = self._rules.seam(data) if is_seam else self._rules.entry(data)
        if changed == data:
            return packet
        made: Packet[Stream] = Packet(changed)
        made.is_keyframe = True
        made.time_base = packet.time_base
        return made

    def encode(self, frames: Iterable[VideoFrame]) -> Part:
        """Encode pictures (their `pts` in ticks of the stream); MediaError ENCODE_FAILED."""
        rules = self._rules
        assert rules is not None  # noqa: S101 - `why_not` was asked first
        pictures: list[Coded] = []
        try:
            encoder = rules.encoder()
            for frame in frames:
                frame.pict_type = PictureType.NONE
                pictures += [Coded(rules.encoded(bytes(p)), p.pts or 0, p.is_keyframe) for p in encoder.encode(frame)]
            pictures += [Coded(rules.encoded(bytes(p)), p.pts or 0, p.is_keyframe) for p in encoder.encode(None)]
            header = rules.header(bytes(encoder.extradata or b""))
        except AV_ERRORS as exc:
            raise as_media_error(exc, ENCODE_FAILED, stream=self.stream.index) from exc
        return Part(tuple(pictures), header)
