"""The cropping of pictures in a container's header: Matroska's PixelCrop, the `clap` box of MP4 and MOV.

Decoders ignore it, and a copy of the packets loses it. Sources: RFC 9559, 5.1.4.1.28.8 to 11; ISO/IEC 14496-12,
12.1.4.
"""

from fractions import Fraction

from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.reading.container.headers import boxes, elements, read_tracks
from pipeline.reading.media import Media

_VIDEO = 0xE0
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
_SAMPLE_ENTRY_BYTES = 78
"""The fields of VisualSampleEntry before the boxes inside it."""


class Crop(Struct, frozen=True, kw_only=True):
    """Pixels that are hidden at each edge."""

    left: int
    top: int
    right: int
    bottom: int

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height without the cropped edges."""
        return width - self.left - self.right, height - self.top - self.bottom


def find_crop(media: Media, stream: VideoStream) -> Crop | None:
    """Return the container's cropping of a stream's pictures, or None."""
    tracks = read_tracks(media)
    if stream.index >= len(tracks):
        return None
    entry = tracks[stream.index].entry
    try:
        is_matroska = "matroska" in media.container.format.name.split(",")
        found = _of_matroska(entry) if is_matroska else _of_isobmff(entry, stream)
    except (ValueError, ArithmeticError):
        return None
    return found if found is not None and _is_sane(found, stream) else None


def _is_sane(crop: Crop, stream: VideoStream) -> bool:
    width, height = crop.size(stream.width, stream.height)
    sides = (crop.left, crop.top, crop.right, crop.bottom)
    return any(sides) and all(side >= 0 for side in sides) and width > 0 and height > 0


def _of_matroska(entry: bytes) -> Crop | None:
    for kind, content in elements(entry):
        if kind == _VIDEO:
            sides = {name: int.from_bytes(value, "big") for name, value in elements(content)}
            left, top, right, bottom = (sides.get(side, 0) for side in (_LEFT, _TOP, _RIGHT, _BOTTOM))
            return Crop(left=left, top=top, right=right, bottom=bottom)
    return None


def _of_isobmff(entry: bytes, stream: VideoStream) -> Crop | None:
    clap = next((content for kind, content in boxes(entry[_SAMPLE_ENTRY_BYTES:]) if kind == b"clap"), None)
    if clap is None:
        return None
    numbers = [int.from_bytes(clap[at : at + 4], "big", signed=True) for at in range(0, 32, 4)]
    width, height, right, down = (
        Fraction(over, under) for over, under in zip(numbers[0::2], numbers[1::2], strict=True)
    )
    left = round(Fraction(stream.width, 2) + right - width / 2)
    top = round(Fraction(stream.height, 2) + down - height / 2)
    return Crop(
        left=left, top=top, right=stream.width - left - round(width), bottom=stream.height - top - round(height)
    )
