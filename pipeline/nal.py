"""Reads H.264 and HEVC bitstreams as far as joining two encoders' pictures in one stream needs it.

Sources: ITU-T H.264 (7.3.1 NAL units, 7.3.2 parameter sets), ITU-T H.265 (7.3.1, 7.3.2), ISO/IEC 14496-15 (the decoder
configuration records `avcC` and `hvcC`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

START_CODE = b"\x00\x00\x01"
H264_IDR = 5
H264_SPS = 7
H264_PPS = 8
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
    """Yield the NAL units of a sample whose units carry their length in front; stops at a length that cannot be."""
    at = 0
    while at + length_bytes <= len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        if size == 0 or at + size > len(data):
            return
        yield data[at : at + size]
        at += size


def join_lengths(units: Sequence[bytes], length_bytes: int) -> bytes:
    """Return a sample in which every unit carries its length in front."""
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


def h264_pps_id(unit: bytes) -> int:
    """Return the number of a picture parameter set."""
    return read_ue(unit, 8)[0]


@dataclass(frozen=True)
class AvcConfig:
    """What an `avcC` record says; `tail` is what follows the parameter sets."""

    head: bytes
    length_bytes: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    tail: bytes

    @classmethod
    def parse(cls, record: bytes) -> "AvcConfig | None":
        """Read a record; None when it is none or damaged."""
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
        """Return a record that also carries these parameter sets."""
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
