"""Reads track headers of Matroska, MP4 and AVI, for facts that PyAV does not expose.

Sources: RFC 8794 and RFC 9559, 5.1.4 (Matroska); ISO/IEC 14496-12, 8.5.2 (sample entries) and ISO/IEC 23001-7 (`encv`,
`enca`); Microsoft's AVI RIFF reference (`strh`); ISO/IEC 13818-1, 2.4.3.2 (scrambling of transport packets).
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from pipeline.reading.access.reader import Reader
from pipeline.reading.media import Media

MOST_BYTES = 4 * 1024 * 1024
"""Bytes searched for the description of the tracks. The indexes of samples may be larger, but come after it."""
STEP_BYTES = 65536
"""Bytes read at a time: a header usually has a few kilobytes, with fonts in it megabytes."""
_SEGMENT, _TRACKS, _TRACK, _CLUSTER = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675
_FIRST_CLUSTER = re.compile(rb"(?<!\x53\xab\x84)\x1f\x43\xb6\x75")
"""A cluster's id, but not the id that a table of contents (`SeekHead`) names."""
_CODEC_ID, _ENCODINGS, _ENCODING, _ENCRYPTION = 0x86, 0x6D80, 0x6240, 0x5035
_CONTAINERS = frozenset({b"trak", b"mdia", b"minf", b"stbl"})
_ENCRYPTED_ENTRIES = frozenset({b"encv", b"enca"})
_BOX_BYTES = 8
_LONG_BOX_BYTES = 16
_ASF_PROTECTIONS = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)
"""Content Encryption and Extended Content Encryption objects (ASF specification, 3.14 and 3.15)."""
_TS_PACKETS = 4000
_TS_BYTES = 188
_TS_SYNC = 0x47
_SCRAMBLED = 0xC0


class Track(Struct, frozen=True, kw_only=True):
    """A track's header: the container's name of its codec, whether it is encrypted, and its description."""

    tag: str
    is_encrypted: bool
    entry: bytes = b""
    """The sample entry of MP4 without its box header, or Matroska's track entry."""


def read_tracks(media: Media) -> list[Track]:
    """Return the tracks in the order of the container's streams; [] for other containers and damaged headers."""
    formats = set(media.container.format.name.split(","))
    position = media.reader.tell()
    try:
        if "matroska" in formats:
            return list(_matroska(media.reader))
        if "mov" in formats:
            return list(_isobmff(media.reader, media.size_bytes))
        if "avi" in formats:
            return list(_avi(media.reader))
    except (ValueError, IndexError):
        pass  # FFmpeg could read what it needs
    finally:
        media.reader.seek(position)
    return []


def is_protected(media: Media, tracks: list[Track]) -> bool:
    """Return whether the recording is encrypted, by its headers, or for transport streams by its first packets."""
    if any(track.is_encrypted for track in tracks):
        return True
    formats = set(media.container.format.name.split(","))
    position = media.reader.tell()
    try:
        media.reader.seek(0)
        if "asf" in formats:
            head = media.reader.read(65536)
            return any(mark in head for mark in _ASF_PROTECTIONS)
        return "mpegts" in formats and _is_scrambled(media.reader.read(_TS_PACKETS * _TS_BYTES))
    finally:
        media.reader.seek(position)


def _is_scrambled(head: bytes) -> bool:
    """Return whether half of the packets with a payload are scrambled."""
    if len(head) < _TS_BYTES or head[0] != _TS_SYNC:
        return False
    flags = head[3::_TS_BYTES]
    payload = [flag for flag in flags if flag & 0x10]
    return sum(bool(flag & _SCRAMBLED) for flag in payload) > len(payload) // 2


def _matroska(reader: Reader) -> Iterator[Track]:
    for kind, segment in elements(read_to_cluster(reader)):
        if kind != _SEGMENT:
            continue
        tables = (table for name, table in elements(segment) if name == _TRACKS)
        for entry in (entry for table in tables for name, entry in elements(table) if name == _TRACK):
            fields = dict(elements(entry))
            encodings = [content for name, content in elements(fields.get(_ENCODINGS, b"")) if name == _ENCODING]
            yield Track(
                tag=fields.get(_CODEC_ID, b"").rstrip(b"\x00").decode("ascii", "replace"),
                is_encrypted=any(name == _ENCRYPTION for content in encodings for name, _ in elements(content)),
                entry=entry,
            )


def read_to_cluster(reader: Reader) -> bytes:
    """Return the bytes before the first cluster of a Matroska file; moves the read position."""
    reader.seek(0)
    head = b""
    while not _FIRST_CLUSTER.search(head) and len(head) < MOST_BYTES:
        part = reader.read(STEP_BYTES)
        if not part:
            break
        head += part
    return _FIRST_CLUSTER.split(head, maxsplit=1)[0]


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (id, content) of EBML elements up to the first cluster; the last one may be cut off."""
    at = 0
    while at < len(data):
        width = 9 - data[at].bit_length()
        kind = int.from_bytes(data[at : at + width], "big")
        at += width
        if width > 4 or at >= len(data) or kind == _CLUSTER:  # noqa: PLR2004 - ids have four bytes at most
            return
        width = 9 - data[at].bit_length()
        length = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
        at += width
        if length == (1 << 7 * width) - 1:  # unknown size: up to the end of the parent
            length = len(data) - at
        yield kind, data[at : at + length]
        at += length


def _isobmff(reader: Reader, size_bytes: int) -> Iterator[Track]:
    for kind, content in boxes(read_moov(reader, size_bytes)):
        if kind != b"trak":
            continue
        entries = list(_sample_entries(content))
        if not entries:
            yield Track(tag="", is_encrypted=False)
            continue
        tag, entry = entries[0]
        yield Track(tag=tag.decode("ascii", "replace"), is_encrypted=tag in _ENCRYPTED_ENTRIES, entry=entry)


def read_moov(reader: Reader, size_bytes: int) -> bytes:
    """Return the contents of an MP4's or MOV's `moov` box, b"" where there is none; moves the read position."""
    at = 0
    while at < size_bytes:
        reader.seek(at)
        header = reader.read(_LONG_BOX_BYTES)
        length, begin = int.from_bytes(header[:4], "big"), _BOX_BYTES
        if length == 1:
            length, begin = int.from_bytes(header[_BOX_BYTES:_LONG_BOX_BYTES], "big"), _LONG_BOX_BYTES
        if length < begin:
            return b""
        if header[4:8] == b"moov":
            reader.seek(at + begin)
            return reader.read(min(length - begin, MOST_BYTES))
        at += length
    return b""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, content) of the boxes in `data`."""
    at = 0
    while at + _BOX_BYTES <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < _BOX_BYTES:
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + length]
        at += length


def _sample_entries(track: bytes) -> Iterator[tuple[bytes, bytes]]:
    for kind, content in boxes(track):
        if kind in _CONTAINERS:
            yield from _sample_entries(content)
        elif kind == b"stsd":
            yield from boxes(content[8:])


def _avi(reader: Reader) -> Iterator[Track]:
    reader.seek(0)
    data = reader.read(65536)
    at = data.find(b"strh")
    while at >= 0:
        at += 8
        handler = data[at + 4 : at + 8]
        compression = data[data.find(b"strf", at) + 24 :][:4]
        tag = compression if data[at : at + 4] == b"vids" else handler
        yield Track(tag=tag.decode("ascii", "replace").strip("\x00 "), is_encrypted=False)
        at = data.find(b"strh", at)
