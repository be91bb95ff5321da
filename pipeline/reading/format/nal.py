"""Reads the parts of H.264 and HEVC bitstreams that are needed to join two encoders' pictures.

Sources: ITU-T H.264 (7.3.1 NAL units, 7.3.2 parameter sets), ITU-T H.265 (7.3.1, 7.3.2), ISO/IEC 14496-15 (the decoder
configuration records `avcC` and `hvcC`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FULL_CHROMA_PROFILE = 244
_FULL_CHROMA = 3
"""`chroma_format_idc` of 4:4:4."""
START_CODE = b"\x00\x00\x01"
H264_IDR = 5
H264_SPS = 7
H264_PPS = 8
HEVC_BLA_N_LP = 18
HEVC_CRA = 21
HEVC_SEAMS = frozenset({16, 17, HEVC_BLA_N_LP, 19, 20, HEVC_CRA})
"""BLA, IDR and CRA: neither they nor pictures shown after them need earlier pictures."""
HEVC_IRAP = range(16, 24)
HEVC_VPS = 32
HEVC_SPS = 33
HEVC_PPS = 34
HEVC_SETS = (HEVC_VPS, HEVC_SPS, HEVC_PPS)
HEVC_AUD = 35
HEVC_FIRST_OTHER = 32
"""Below this number are slices."""
_AVCC_HEADER_BYTES = 6
_HIGH_PROFILES = frozenset({100, 110, 122, 144, 244})
"""Profiles whose `avcC` carries chroma format and bit depths after the parameter sets."""


def split_annexb(data: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a byte stream with start codes."""
    at = data.find(START_CODE)
    while at >= 0:
        begin = at + len(START_CODE)
        at = data.find(START_CODE, begin)
        unit = data[begin : at if at >= 0 else len(data)]
        yield unit.rstrip(b"\x00") if at >= 0 else unit


def split_lengths(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """Yield the NAL units of a sample with length prefixes; stops at an impossible length."""
    at = 0
    while at + length_bytes <= len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if size == 0 or at + size > len(data):
            return
        yield data[at : at + size]
        at += size


def join_lengths(units: Sequence[bytes], length_bytes: int) -> bytes:
    """Return a sample with a length prefix for every unit."""
    return b"".join(len(unit).to_bytes(length_bytes, "big") + unit for unit in units)


def read_ue(data: bytes, bit: int) -> tuple[int, int]:
    """Read an Exp-Golomb number (H.264, 9.1) from a bit position; return it and the position after it."""
    zeros = 0
    while bit < len(data) * 8 and not _bit(data, bit):
        zeros += 1
        bit += 1
    bit += 1
    value = 0
    for _ in range(zeros):
        value = value << 1 | (_bit(data, bit) if bit < len(data) * 8 else 0)
        bit += 1
    return (1 << zeros) - 1 + value, bit


def _bit(data: bytes, bit: int) -> int:
    return data[bit >> 3] >> (7 - (bit & 7)) & 1


def h264_sps_id(unit: bytes) -> int:
    """Return the number of a sequence parameter set."""
    return read_ue(unit, 32)[0]  # after the unit's header, profile, constraints and level, a byte each


def h264_is_lossless(unit: bytes) -> bool:
    """Return whether a sequence parameter set turns the transform off (7.3.2.1.1)."""
    data = _unescape(unit)
    if data[1] != _FULL_CHROMA_PROFILE:
        return False
    _, bit = read_ue(data, 32)
    chroma, bit = read_ue(data, bit)
    bit += chroma == _FULL_CHROMA
    for _ in range(2):  # bit depths
        _, bit = read_ue(data, bit)
    return bool(_bit(data, bit))


def h264_pps_id(unit: bytes) -> int:
    """Return the number of a picture parameter set."""
    return read_ue(unit, 8)[0]


@dataclass(frozen=True)
class AvcConfig:
    """The content of an `avcC` record; `tail` follows the parameter sets."""

    head: bytes
    length_bytes: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    tail: bytes

    @classmethod
    def parse(cls, record: bytes) -> "AvcConfig | None":
        """Parse a record; None if it is invalid."""
        if len(record) < _AVCC_HEADER_BYTES or record[0] != 1:
            return None
        at = _AVCC_HEADER_BYTES
        sps, at = _read_sets(record, at, record[5] & 0x1F)
        if at >= len(record):
            return None
        pps, at = _read_sets(record, at + 1, record[at])
        if not sps or not pps or at > len(record):
            return None
        return cls(record[:4], (record[4] & 3) + 1, sps, pps, record[at:])

    def with_sets(self, sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
        """Return a record with these parameter sets added."""
        all_sps, all_pps = (*self.sps, *sps), (*self.pps, *pps)
        return b"".join(
            (
                self.head,
                bytes([0xFC | self.length_bytes - 1, 0xE0 | len(all_sps)]),
                *(len(unit).to_bytes(2, "big") + unit for unit in all_sps),
                bytes([len(all_pps)]),
                *(len(unit).to_bytes(2, "big") + unit for unit in all_pps),
                self.tail,
            )
        )


def _read_sets(record: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    sets = []
    for _ in range(count):
        size = int.from_bytes(record[at : at + 2], "big")
        sets.append(record[at + 2 : at + 2 + size])
        at += 2 + size
    return tuple(sets), at


def hevc_type(unit: bytes) -> int:
    """Return the type of an HEVC NAL unit."""
    return unit[0] >> 1 & 0x3F


def hevc_sps_id(unit: bytes) -> int:
    """Return the number of a sequence parameter set without sub-layers (with them: not HEVC_ID)."""
    return read_ue(_unescape(unit), _SPS_ID_BIT)[0] if not unit[2] & 0x0E else 0


def hevc_with_type(unit: bytes, kind: int) -> bytes:
    """Return a NAL unit under another type."""
    return bytes([unit[0] & 0x81 | kind << 1]) + unit[1:]


HEVC_ID = 15
"""The number of our parameter sets. Its Exp-Golomb code has 9 bits instead of the 1 bit of 0, so everything after it
shifts by a whole byte, and slices, whose data must be byte-aligned, need no other change."""
_CODE_BITS = 9
_CODE = HEVC_ID + 1
_SPS_ID_BIT = 16 + 8 + 96
"""After the header, a byte of ids and flags, and profile, tier and level of a stream without sub-layers."""


def hevc_renumbered(unit: bytes) -> bytes:
    """Renumber the parameter sets of an encoder's unit from 0 to HEVC_ID.

    ValueError if the unit has another number.
    """
    kind = hevc_type(unit)
    if kind == HEVC_VPS:
        return unit[:2] + bytes([unit[2] & 0x0F | HEVC_ID << 4]) + unit[3:]
    if kind == HEVC_SPS:
        if unit[2] & 0x0E:
            raise ValueError("sub-layers")
        return _escape(_renumber(_unescape(unit[:2] + bytes([unit[2] & 0x0F | HEVC_ID << 4]) + unit[3:]), _SPS_ID_BIT))
    if kind == HEVC_PPS:
        return _escape(_renumber(_renumber(_unescape(unit), 16), 16 + _CODE_BITS))
    if kind < HEVC_FIRST_OTHER:
        return _escape(_renumber(_unescape(unit), 16 + 1 + (kind in HEVC_IRAP)))
    return unit


def _renumber(data: bytes, bit: int) -> bytes:
    """Replace the code of 0 by that of HEVC_ID."""
    if not _bit(data, bit):
        raise ValueError("a parameter set that is not numbered 0")
    after = len(data) * 8 - bit - 1
    number = int.from_bytes(data, "big")
    return ((number >> after + 1 << _CODE_BITS | _CODE) << after | number & (1 << after) - 1).to_bytes(
        len(data) + 1, "big"
    )


def _unescape(unit: bytes) -> bytes:
    """Remove the bytes that prevent start codes in data."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")


def _escape(data: bytes) -> bytes:
    """Insert the bytes that prevent start codes in data."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


_HVCC_HEADER_BYTES = 23


@dataclass(frozen=True)
class HevcConfig:
    """The content of an `hvcC` record: its head, and the parameter sets by NAL unit type."""

    head: bytes
    length_bytes: int
    sets: dict[int, tuple[bytes, ...]]

    @classmethod
    def parse(cls, record: bytes) -> "HevcConfig | None":
        """Parse a record; None if it is invalid."""
        if len(record) < _HVCC_HEADER_BYTES or record[:3] in {b"\x00\x00\x00", b"\x00\x00\x01"}:
            return None
        sets: dict[int, tuple[bytes, ...]] = {}
        at = _HVCC_HEADER_BYTES
        for _ in range(record[22]):
            if at + 3 > len(record):
                return None
            kind, count = record[at] & 0x3F, int.from_bytes(record[at + 1 : at + 3], "big")
            sets[kind], at = _read_sets(record, at + 3, count)
        return cls(record[:22], (record[21] & 3) + 1, sets) if at <= len(record) else None

    def with_sets(self, units: Sequence[bytes]) -> bytes:
        """Return a record with these parameter sets added."""
        sets = {kind: list(old) for kind, old in self.sets.items()}
        for unit in units:
            sets.setdefault(hevc_type(unit), []).append(unit)
        parts = [self.head, bytes([len(sets)])]
        for kind in sorted(sets):
            parts += [bytes([0x80 | kind]), len(sets[kind]).to_bytes(2, "big")]
            parts += [len(unit).to_bytes(2, "big") + unit for unit in sets[kind]]
        return b"".join(parts)
