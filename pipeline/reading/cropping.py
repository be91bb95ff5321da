"""The part of the pictures that a container says is to be shown: Matroska's PixelCrop, the `clap` box of MP4 and MOV.

Decoders do not know of it, and a copy of the packets loses it. Sources: RFC 9559, 5.1.4.1.28.8 to 11; ISO/IEC 14496-12,
12.1.4.
"""

from collections.abc import Iterator
from fractions import Fraction

from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.reading.media import Media
from pipeline.reading.reader import Reader

MOST_HEADER_BYTES = 4 * 1024 * 1024
"""Where the description of the tracks is looked for; indexes of samples may make it larger, and stand behind."""
_EBML, _SEGMENT, _TRACKS, _TRACK, _VIDEO = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
_CLUSTER = 0x1F43B675
_CONTAINERS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_SAMPLE_ENTRY_BYTES = 86
"""Header of a box and the fields of VisualSampleEntry before the boxes inside it."""


class Crop(Struct, frozen=True, kw_only=True):
    """Pixels that are hidden at each edge."""

    left: int
    top: int
    right: int
    bottom: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return what is left of a picture."""
        return width - self.left - self.right, height - self.top - self.bottom


def find_crop(media: Media, stream: VideoStream) -> Crop | None:
    """Return how a container crops a stream's pictures, None where it does not; leaves the reader where it was."""
    formats = media.container.format.name.split(",")
    position = media.reader.tell()
    try:
        if "matroska" in formats:
            found = _of_matroska(media.reader, stream.index)
        elif "mov" in formats:
            found = _of_isobmff(media.reader, media.size_bytes, stream)
        else:
            return None
    except (ValueError, IndexError, ArithmeticError):
        return None  # a damaged header; FFmpeg made sense of what it needed
    finally:
        media.reader.seek(position)
    if found is None or not _is_sane(found, stream):
        return None
    return found


def _is_sane(crop: Crop, stream: VideoStream) -> bool:
    width, height = crop.size(stream.width, stream.height)
    sides = (crop.left, crop.top, crop.right, crop.bottom)
    return any(sides) and all(side >= 0 for side in sides) and width > 0 and height > 0


def _of_matroska(reader: Reader, index: int) -> Crop | None:
    reader.seek(0)
    data = reader.read(MOST_HEADER_BYTES)
    tracks = [
        track
        for segment in _elements(data, _SEGMENT)
        for table in _elements(segment, _TRACKS)
        for track in _elements(table, _TRACK)
    ]
    if index >= len(tracks):
        return None
    for video in _elements(tracks[index], _VIDEO):
        sides = {kind: int.from_bytes(value, "big") for kind, value in _walk(video)}
        return Crop(
            left=sides.get(_LEFT, 0), top=sides.get(_TOP, 0), right=sides.get(_RIGHT, 0), bottom=sides.get(_BOTTOM, 0)
        )
    return None


def _elements(data: bytes, wanted: int) -> Iterator[bytes]:
    return (content for kind, content in _walk(data) if kind == wanted)


def _walk(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (id, content) of the elements in `data`; the last one may be cut off."""
    at = 0
    while at < len(data):
        width = 9 - data[at].bit_length()
        if width > 4:  # noqa: PLR2004 - ids have four bytes at most
            return
        kind = int.from_bytes(data[at : at + width], "big")
        at += width
        if at >= len(data) or kind == _CLUSTER:
            return
        width = 9 - data[at].bit_length()
        length = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
        at += width
        if length == (1 << 7 * width) - 1:
            length = len(data) - at
        yield kind, data[at : at + length]
        at += length


def _of_isobmff(reader: Reader, size_bytes: int, stream: VideoStream) -> Crop | None:
    moov = _moov(reader, size_bytes)
    tracks = [content for kind, content in _boxes(moov) if kind == b"trak"]
    if stream.index >= len(tracks):
        return None
    for entry in _sample_entries(tracks[stream.index]):
        for kind, clap in _boxes(entry[_SAMPLE_ENTRY_BYTES - 8 :]):
            if kind == b"clap":
                return _from_clap(clap, stream.width, stream.height)
    return None


def _moov(reader: Reader, size_bytes: int) -> bytes:
    at = 0
    while at < size_bytes:
        reader.seek(at)
        header = reader.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # noqa: PLR2004 - the header of a box
            return b""
        if header[4:8] == b"moov":
            return header[8:] + reader.read(min(length, MOST_HEADER_BYTES))
        at += length
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < 8:  # noqa: PLR2004 - the header of a box
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _sample_entries(track: bytes) -> Iterator[bytes]:
    for kind, content in _boxes(track):
        if kind in _CONTAINERS:
            yield from _sample_entries(content)
        elif kind == b"stsd":
            yield from (entry for _, entry in _boxes(content[8:]))


def _from_clap(clap: bytes, width: int, height: int) -> Crop:
    numbers = [int.from_bytes(clap[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    shown_width, shown_height, right, down = (
        Fraction(over, under) for over, under in zip(numbers[0::2], numbers[1::2], strict=True)
    )
    left = Fraction(width, 2) + right - shown_width / 2
    top = Fraction(height, 2) + down - shown_height / 2
    return Crop(
        left=round(left),
        top=round(top),
        right=width - round(left) - round(shown_width),
        bottom=height - round(top) - round(shown_height),
    )
