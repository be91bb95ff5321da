"""Finds out whether a file is truncated, as far as its format shows it.

Every check reads only a header or the last bytes. Sources: RFC 9559 (Matroska) and RFC 8794, 4
(variable-size integers); RFC 3533 (Ogg pages); RFC 9639 (FLAC); Microsoft's Multimedia Programming Interface 1.0 (RIFF)
and EBU Tech 3306 (RF64); Adobe's Flash Video File Format 10.1, E.3 (tags); ISO/IEC 13818-1, 2.4.3.2 (transport
packets); ISO/IEC 14496-12, 8.8.4 (`moof`).
"""

import contextlib
from collections.abc import Callable
from fractions import Fraction

from msgspec import Struct

from pipeline.reading.access.reader import Reader
from pipeline.reading.format.isobmff import Layout
from pipeline.reading.media import AV_ERRORS, Media
from pipeline.reading.streams import AV_TIME_BASE, is_usable, zero_s

TAIL_BYTES = 256 * 1024
"""Bytes searched for the last page, tag or fragment header: an Ogg page has at most 64 KiB."""
MOST_CHUNKS = 64
UNKNOWN_SIZES = frozenset({0, 0xFFFFFFFF})
"""Values of recorders in a RIFF header before they know the size, or if it does not fit."""
PACKET_SIZES = {188: 0, 192: 4, 204: 0}
"""Sizes of transport packets, with the offset of the sync byte in the first."""
SYNC = 0x47
OGG_END = 0x04
SLACK_S = Fraction(1, 2)
"""A header's length may be off by a packet or two."""
_FLV_TAG_BYTES = 11
_OGG_PAGE_BYTES = 27
_ID3_BYTES = 10


class Shortfall(Struct, frozen=True, kw_only=True):
    """A file ends early. `announced_bytes` is its full size; None if unknown."""

    announced_bytes: int | None = None
    is_of_index: bool = False
    """The media data is complete, but its index is not."""


def find_shortfall(media: Media, layout: Layout) -> Shortfall | None:
    """Return what a recording lacks of its announced size; None if it is complete, or its format does not show it.

    May move the demuxer, but keeps the position of the reader.
    """
    formats = media.container.format.name.split(",")
    check = next((_CHECKS[name] for name in formats if name in _CHECKS), None)
    if "flac" in formats:
        return _flac(media)
    if "mov" in formats and not layout.is_fragmented:
        missing = layout.missing_bytes
        return (
            Shortfall(announced_bytes=layout.size_bytes + missing, is_of_index=layout.moov_is_cut) if missing else None
        )
    if check is None:
        return None
    reader = media.reader
    position = reader.tell()
    try:
        return check(reader, media.size_bytes)
    finally:
        reader.seek(position)


def indexed_end_s(media: Media) -> Fraction | None:
    """Return the end of the last packet that is completely in the file, by the container's index, without reading.

    In seconds of the recording; None if the container's index has none.
    """
    ends: list[Fraction] = []
    for stream in media.container.streams:
        if not is_usable(stream):
            continue
        last: int | None = None
        step = 0
        for entry in stream.index_entries:
            if entry.pos + entry.size > media.size_bytes:
                break
            step = entry.timestamp - last if last is not None else 0
            last = entry.timestamp
        if last is not None:
            ends.append((last + step) * (stream.time_base or AV_TIME_BASE))
    return max(ends) - zero_s(media.container) if ends else None


def _at(reader: Reader, position: int, length: int) -> bytes:
    reader.seek(position)
    return reader.read(length)


def _tail(reader: Reader, size_bytes: int) -> tuple[int, bytes]:
    begin = max(0, size_bytes - TAIL_BYTES)
    return begin, _at(reader, begin, size_bytes - begin)


def _fragments(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Follow the boxes from the last fragment header to the end."""
    begin, tail = _tail(reader, size_bytes)
    at = tail.rfind(b"mfhd") - 12
    if at < 0 or tail[at + 4 : at + 8] != b"moof":
        return None
    position = begin + at
    while position < size_bytes:
        header = _at(reader, position, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < len(header[:8]):
            return None
        position += length
    return Shortfall() if position > size_bytes else None


def _matroska(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Compare the size of the segment with the file's; a live segment has none."""
    head = _at(reader, 0, 4096)
    at = 0
    for element in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if head[at : at + 4] != element:
            return None
        length, at = _vint(head, at + 4)
        if length is None:
            return None
        end = at + length
        at = end if element[0] == 0x1A else at  # noqa: PLR2004 - the EBML header, which the segment follows
    return Shortfall(announced_bytes=end) if end > size_bytes else None


def _vint(data: bytes, at: int) -> tuple[int | None, int]:
    """Read a variable-size integer; return it, None for the reserved "unknown", and the position after it."""
    if at >= len(data) or not data[at]:
        return None, at
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
    return (None if value == (1 << 7 * width) - 1 else value), at + width


def _wave(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Compare the size of the `data` chunk with the file's."""
    position, long_size = 12, None
    if _at(reader, 0, 4) not in {b"RIFF", b"RF64", b"BW64"}:
        return None
    for _ in range(MOST_CHUNKS):
        header = _at(reader, position, 24)
        kind, length = header[:4], int.from_bytes(header[4:8], "little")
        if kind == b"ds64":
            long_size = int.from_bytes(header[16:24], "little")
        if kind == b"data":
            if length in UNKNOWN_SIZES and long_size:
                length = long_size
            end = position + 8 + length
            return Shortfall(announced_bytes=end) if length not in UNKNOWN_SIZES and end > size_bytes else None
        if len(header) < len(header[:8]) or not length:
            return None
        position += 8 + length + length % 2
    return None


def _avi(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Check the RIFF chunks, of which a large file has several."""
    position = 0
    for _ in range(MOST_CHUNKS):
        header = _at(reader, position, 8)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or length in UNKNOWN_SIZES:
            return None
        position += 8 + length + length % 2
        if position >= size_bytes:
            break
    return Shortfall(announced_bytes=position) if position > size_bytes + 1 else None


def _ogg(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Check whether the last page is complete and marked as the last of its stream."""
    begin, tail = _tail(reader, size_bytes)
    at = tail.rfind(b"OggS")
    if at < 0:
        return None
    page = tail[at:]
    if len(page) < _OGG_PAGE_BYTES or len(page) < _OGG_PAGE_BYTES + page[26]:
        return Shortfall()
    end = begin + at + _OGG_PAGE_BYTES + page[26] + sum(page[_OGG_PAGE_BYTES : _OGG_PAGE_BYTES + page[26]])
    return Shortfall() if end > size_bytes or not page[5] & OGG_END else None


def _flv(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Check whether the file ends with the size of the previous tag."""
    length = int.from_bytes(_at(reader, size_bytes - 4, 4), "big")
    begin = size_bytes - 4 - length
    if length < _FLV_TAG_BYTES or begin < 0:
        return Shortfall()
    tag = _at(reader, begin, 4)
    return None if int.from_bytes(tag[1:], "big") + _FLV_TAG_BYTES == length else Shortfall()


def _transport(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Check whether the file ends between packets."""
    head = _at(reader, 0, 3 * max(PACKET_SIZES))
    for size, offset in PACKET_SIZES.items():
        if all(head[n * size + offset : n * size + offset + 1] == bytes([SYNC]) for n in range(3)):
            return Shortfall() if size_bytes % size else None
    return None


def _mp3(reader: Reader, size_bytes: int) -> Shortfall | None:
    """Compare the file's size with that in the Xing header, if there is one."""
    head = _at(reader, 0, _ID3_BYTES)
    begin = 0
    if head[:3] == b"ID3":
        begin = _ID3_BYTES + sum((byte & 0x7F) << 7 * n for n, byte in enumerate(reversed(head[6:10])))
    frame = _at(reader, begin, 256)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    has_frames, has_bytes = (frame[at + 7] & 1, frame[at + 7] & 2) if 0 <= at < len(frame) - 16 else (0, 0)
    if not has_bytes:
        return None
    field = at + 8 + (4 if has_frames else 0)
    end = begin + int.from_bytes(frame[field : field + 4], "big")
    return Shortfall(announced_bytes=end) if end > size_bytes else None


def _flac(media: Media) -> Shortfall | None:
    """Check whether there is sound up to the length in the header."""
    stated: int | None = media.container.duration
    if not stated or stated < 0:
        return None
    end = 0
    with contextlib.suppress(*AV_ERRORS):
        media.container.seek(max(0, stated - int(SLACK_S / AV_TIME_BASE)))
        for packet in media.container.demux(audio=0):
            if packet.pts is not None and packet.time_base:
                end = max(end, int((packet.pts + (packet.duration or 0)) * packet.time_base / AV_TIME_BASE))
    return Shortfall() if end * AV_TIME_BASE < stated * AV_TIME_BASE - SLACK_S else None


_CHECKS: dict[str, Callable[[Reader, int], Shortfall | None]] = {
    "mov": _fragments,
    "matroska": _matroska,
    "wav": _wave,
    "avi": _avi,
    "ogg": _ogg,
    "flv": _flv,
    "mpegts": _transport,
    "mp3": _mp3,
}
