"""Reads the outermost boxes of an MP4 or MOV file, which show its layout and why it cannot be read.

Source: ISO/IEC 14496-12, 4.2 (box structure).
"""

from typing import Protocol

from msgspec import Struct

MAX_BOXES = 64
"""A recording has a handful of outer boxes; a fragmented one has thousands, of which the first few suffice."""
_KNOWN = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx", b"uuid", b"pnot", b"meta"}
)
_HEADER_BYTES = 8
_LONG_SIZE = 1
_TO_END = 0


class Readable(Protocol):
    """A file with seek and read."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a byte position."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""


class Layout(Struct, frozen=True, kw_only=True):
    """The outer boxes of a file: (type, start, end) in bytes, where `end` may lie beyond the file."""

    boxes: list[tuple[str, int, int]]
    size_bytes: int

    @property
    def is_isobmff(self) -> bool:
        """Whether the file begins like MP4 or MOV."""
        return bool(self.boxes)

    @property
    def has_moov(self) -> bool:
        """Whether there is an index, whole or cut off."""
        return any(kind == "moov" for kind, _, _ in self.boxes)

    @property
    def is_fragmented(self) -> bool:
        """Whether samples are described in fragments instead of one index."""
        return any(kind == "moof" for kind, _, _ in self.boxes)

    @property
    def moov_is_last(self) -> bool:
        """Whether the index follows the media, so that a reader must look at the end of the file first."""
        kinds = [kind for kind, _, _ in self.boxes]
        return "moov" in kinds and "mdat" in kinds and kinds.index("mdat") < kinds.index("moov")

    @property
    def moov_is_cut(self) -> bool:
        """Whether the file ends inside its index."""
        return any(kind == "moov" and end > self.size_bytes for kind, _, end in self.boxes)

    @property
    def missing_bytes(self) -> int:
        """Bytes that the boxes announce beyond the end of the file; 0 if it is complete."""
        return max([end - self.size_bytes for _, _, end in self.boxes] + [0])


def read_layout(file: Readable, size_bytes: int) -> Layout:
    """Walk the outer boxes from the start; stops at the first thing that is not a box or after MAX_BOXES."""
    boxes: list[tuple[str, int, int]] = []
    position = 0
    while position < size_bytes and len(boxes) < MAX_BOXES:
        file.seek(position)
        header = file.read(16)
        if len(header) < _HEADER_BYTES or header[4:8] not in _KNOWN:
            break
        size = int.from_bytes(header[:4], "big")
        if size == _LONG_SIZE:
            size = int.from_bytes(header[8:16], "big")
        elif size == _TO_END:
            size = size_bytes - position
        if size < _HEADER_BYTES:
            break
        boxes.append((header[4:8].decode("ascii"), position, position + size))
        position += size
    return Layout(boxes=boxes, size_bytes=size_bytes)
