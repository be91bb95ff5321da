"""Finds pictures in the bare data of an MP4 or MOV file whose index is lost.

Units of H.264 and HEVC have a length prefix, with sound and other data between them. A length counts as valid if the
next bytes are a unit of this stream without a start code inside, which the standards forbid (H.264 and H.265, 7.4.1).
After other data, the picture's counter must also continue from the last one's, or another unit must follow.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.reading.format.isobmff import Readable
from pipeline.reading.format.nal import H264_PPS, H264_SPS, HEVC_PPS, HEVC_SPS
from pipeline.reading.recovery.parameter_sets import H264, HEAD_BYTES, Codec, Hevc, Unit

LENGTH_BYTES = 4
"""Of the three sizes that ISO/IEC 14496-15 allows, the one that recorders use."""
MOST_UNIT_BYTES = 16 * 1024 * 1024 - 1
"""A larger slice would need more than 3 Gbit/s. Also what makes the first byte of every length a zero."""
WINDOW_BYTES = 1024 * 1024
SEARCH_BYTES = 16 * 1024
"""Other data is searched in pieces of this size: the data between two pictures is mostly smaller."""
PIECE_BYTES = 64 * 1024
"""A possible unit is checked in pieces of this size: a false length mostly shows in the first."""
MOST_PICTURES = 2_600_000
"""Twelve hours at 60 a second."""
DOUBT_FACTOR = 8
"""The search is given up after reading the file this many times because of false lengths."""
TRIAL_BYTES = 4096
"""Trying a place costs as much as reading this many bytes; in sound, one place in as many looks like a unit."""
LEAST_DOUBT_BYTES = 256 * 1024 * 1024
"""Half a second of searching."""
SETS_WITHIN_BYTES = 64 * 1024 * 1024
"""Recorders that repeat the parameter sets do so with every key picture, at least every few seconds."""
LARGER = 16
"""A picture after other data is at most this many times as large as the largest before, or 1 MiB."""
_FORBIDDEN = re.compile(rb"\x00\x00[\x00-\x02]")
_H264_SETS = re.compile(rb"\x00\x00(?=[\x00-\x01][\x04-\xff][\x27\x47\x67])", re.DOTALL)
_HEVC_SETS = re.compile(rb"\x00\x00(?=[\x00-\x01][\x04-\xff]\x40\x01)", re.DOTALL)


class Window:
    """Bytes of a file by place, read in large pieces."""

    def __init__(self, file: Readable, end: int) -> None:
        self._file = file
        self._begin = 0
        self._content = b""
        self.end = end

    def at(self, position: int, length: int) -> bytes:
        """Return the bytes from a place on; fewer at the end."""
        length = min(length, self.end - position)
        if length <= 0:
            return b""
        if not self._begin <= position <= position + length <= self._begin + len(self._content):
            self._file.seek(position)
            self._begin = position
            self._content = self._read(min(max(WINDOW_BYTES, length), self.end - position))
        first = position - self._begin
        return self._content[first : first + length]

    def _read(self, length: int) -> bytes:
        parts = []
        while length > 0 and (part := self._file.read(length)):
            parts.append(part)
            length -= len(part)
        return b"".join(parts)


@dataclass
class Pictures:
    """The found pictures in decoding order, and the other data between them."""

    position: "array[int]" = field(default_factory=lambda: array("q"))
    size: "array[int]" = field(default_factory=lambda: array("q"))
    order: "array[int]" = field(default_factory=lambda: array("q"))
    """The place of each in the order of display; rises over the whole recording."""
    is_key: bytearray = field(default_factory=bytearray)
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    """Other data: its first byte, its length, and how many pictures lie before it."""
    broken_bytes: int = 0
    """Bytes of the last unit, if it is incomplete."""
    is_given_up: bool = False

    def __len__(self) -> int:
        return len(self.size)


def find_codec(window: Window, begin: int) -> Codec | None:
    """Search the data for parameter sets; None if its first 64 MiB have none."""
    end = min(window.end, begin + SETS_WITHIN_BYTES)
    for position in range(begin, end, WINDOW_BYTES // 2):
        part = window.at(position, WINDOW_BYTES)
        for pattern, read in ((_H264_SETS, _h264_sets), (_HEVC_SETS, _hevc_sets)):
            for match in pattern.finditer(part):
                try:
                    return read(_units(part, match.start()))
                except (LookupError, ValueError):
                    continue
    return None


def _units(data: bytes, at: int) -> Iterator[bytes]:
    """Yield units as long as they are small."""
    while at + LENGTH_BYTES < len(data):
        size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
        if not 0 < size <= HEAD_BYTES:
            return
        at += LENGTH_BYTES
        yield data[at : at + size]
        at += size


def _h264_sets(units: Iterator[bytes]) -> Codec:
    sps = next(units, b"")
    pps = next((unit for unit in units if unit[0] & 0x9F == H264_PPS), b"")
    if not pps or sps[0] & 0x1F != H264_SPS:
        raise LookupError("no parameter sets")
    return H264(sps, pps)


def _hevc_sets(units: Iterator[bytes]) -> Codec:
    vps, sps, pps = next(units, b""), next(units, b""), next(units, b"")
    if sps[:1] != bytes([HEVC_SPS << 1]) or pps[:1] != bytes([HEVC_PPS << 1]):
        raise LookupError("no parameter sets")
    return Hevc(vps, sps, pps)


def find_pictures(window: Window, begin: int, codec: Codec) -> Pictures:
    """Read from `begin` to the end of the window; memory is 25 bytes a picture and one window."""
    return _Search(window, begin, codec).run()


class _Search:
    """One pass over the data."""

    def __init__(self, window: Window, begin: int, codec: Codec) -> None:
        self._window = window
        self._begin = begin
        self._codec = codec
        self._heads = re.compile(rb"\x00(?=...[" + re.escape(codec.heads) + rb"])", re.DOTALL)
        self._found = Pictures()
        self._order = _Order(codec.lsb_bits)
        self._last: Unit | None = None
        self._open: tuple[int, bool] | None = None
        """The start of the current picture, and whether it has a slice yet."""
        self._picture: Unit | None = None
        self._most = MOST_UNIT_BYTES
        self._doubt = DOUBT_FACTOR * (window.end - begin) + LEAST_DOUBT_BYTES

    def run(self) -> Pictures:
        """Return the results."""
        at = self._begin
        end = self._window.end
        while at < end and len(self._found) < MOST_PICTURES and not self._found.is_given_up:
            found = self._unit(at)
            if found is None:
                self._close(at)
                after = self._resume(at + 1)
                self._note_gap(at, after)
                at = after
                continue
            unit, size = found
            self._take(unit, at)
            at += LENGTH_BYTES + size
            if self._open is None:
                self._open = (at - LENGTH_BYTES - size, unit.is_slice)
        self._close(at)
        return self._found

    def _note_gap(self, begin: int, end: int) -> None:
        size = int.from_bytes(self._window.at(begin, LENGTH_BYTES), "big")
        head = self._window.at(begin + LENGTH_BYTES, HEAD_BYTES)
        if end == self._window.end and end - begin < size <= MOST_UNIT_BYTES and len(head) > 16:  # noqa: PLR2004
            unit = self._codec.read(head, size)
            if unit is not None and unit.is_slice:
                self._found.broken_bytes = end - begin
                return
        self._found.gaps.append((begin, end - begin, len(self._found)))

    def _unit(self, at: int) -> tuple[Unit, int] | None:
        """Return the unit with its length prefix here, and its length."""
        head = self._window.at(at, LENGTH_BYTES + HEAD_BYTES)
        size = int.from_bytes(head[:LENGTH_BYTES], "big")
        if not 0 < size <= MOST_UNIT_BYTES or at + LENGTH_BYTES + size > self._window.end:
            return None
        unit = self._codec.read(head[LENGTH_BYTES : LENGTH_BYTES + size], size)
        if unit is None:
            return None
        if not self._is_content(at + LENGTH_BYTES, size):
            return None
        return unit, size

    def _is_content(self, at: int, size: int) -> bool:
        """Return whether this can be a unit's content; stops at the first invalid place, and counts the bytes read."""
        begin, end = at, at + size
        while at < end:
            part = self._window.at(at, min(PIECE_BYTES, end - at))
            if not part:
                return False
            if (forbidden := _FORBIDDEN.search(part)) is not None:
                self._doubt -= at - begin + forbidden.end()
                return False
            is_last = at + len(part) >= end
            if is_last and part[-1] == 0:
                self._doubt -= size
                return False
            at = end if is_last else at + len(part) - 2  # a start code may begin in the last two
        return True

    def _resume(self, at: int) -> int:
        """Return where units continue after other data, else the end."""
        end = self._window.end
        while at < end:
            part = self._window.at(at, SEARCH_BYTES)
            for match in self._heads.finditer(part):
                self._doubt -= TRIAL_BYTES
                place = at + match.start()
                if self._is_next(place):
                    return place
                if self._doubt < 0:
                    self._found.is_given_up = True
                    return end
            if at + len(part) >= end:
                return end
            at += max(1, len(part) - LENGTH_BYTES)
        return end

    def _is_next(self, at: int) -> bool:
        """Return whether units continue here: one can begin a picture, and matches the last or has a successor."""
        if int.from_bytes(self._window.at(at, LENGTH_BYTES), "big") > self._most:
            return False
        found = self._unit(at)
        if found is None:
            return False
        unit, size = found
        if unit.begins and unit.is_slice and self._codec.follows(unit, self._last):
            return True
        self._doubt -= size
        return unit.begins and self._unit(at + LENGTH_BYTES + size) is not None

    def _take(self, unit: Unit, at: int) -> None:
        """Add a unit to the current picture, or begin the next one with it."""
        has_slice = self._open is not None and self._open[1]
        if unit.begins and has_slice:
            self._close(at)
        if unit.is_slice:
            if unit.begins or self._picture is None:
                self._picture = unit
                self._last = unit
            if self._open is not None:
                self._open = (self._open[0], True)

    def _close(self, end: int) -> None:
        """End the current picture."""
        if self._open is not None and not len(self._found):
            self._most = WINDOW_BYTES
        if self._open is not None and self._picture is not None:
            found, unit = self._found, self._picture
            found.position.append(self._open[0])
            found.size.append(end - self._open[0])
            self._most = max(self._most, LARGER * found.size[-1])
            found.is_key.append(unit.is_key)
            found.order.append(self._order.place(unit, len(found) - 1))
        self._open = self._picture = None


class _Order:
    """Counts the order of display (H.264 8.2.1.1, H.265 8.3.1) continuously over all sequences."""

    def __init__(self, lsb_bits: int) -> None:
        self._cycle = 1 << lsb_bits
        self._has_order = lsb_bits > 0
        self._msb = self._lsb = 0
        self._base = 0
        self._highest = -1

    def place(self, unit: Unit, number: int) -> int:
        """Return the place of a picture in the order of display, or of decoding if it has none."""
        if not self._has_order:
            return number
        if unit.is_idr:
            self._base, self._msb, self._lsb = self._highest + 1, 0, 0
        msb = self._msb
        if unit.lsb < self._lsb and self._lsb - unit.lsb >= self._cycle // 2:
            msb += self._cycle
        elif unit.lsb > self._lsb and unit.lsb - self._lsb > self._cycle // 2:
            msb -= self._cycle
        if unit.is_anchor:
            self._msb, self._lsb = msb, unit.lsb
        place = self._base + msb + unit.lsb
        self._highest = max(self._highest, place)
        return place
