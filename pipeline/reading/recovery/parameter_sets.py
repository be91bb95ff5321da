"""Reads parameter sets and slice headers of H.264 and HEVC, as needed to find pictures in raw data.

Sources: ITU-T H.264 (7.3.2.1.1, 7.3.2.2, 7.3.3, 8.2.1.1), ITU-T H.265 (7.3.2.2, 7.3.2.3, 7.3.3, 7.3.6.1, 8.3.1).
"""

from typing import NamedTuple, Protocol

from pipeline.reading.format.nal import (
    H264_IDR,
    H264_PPS,
    H264_SPS,
    HEVC_BLA_N_LP,
    HEVC_CRA,
    HEVC_FIRST_OTHER,
    HEVC_IRAP,
    HEVC_PPS,
    HEVC_SPS,
    HEVC_VPS,
    AvcConfig,
    HevcConfig,
    hevc_type,
    read_ue,
)

HEAD_BYTES = 512
"""Parameter sets are shorter, and the first fields of a slice much shorter."""
MOST_SLICE_TYPES = 9
"""H.264 numbers them up to this (7.4.3)."""
MOST_LOG2 = 16
"""Counters in slice headers have at most 16 bits (H.264 7.4.2.1.1, H.265 7.4.3.2.1)."""
MOST_PIXELS = (1 << 16) - 1
"""No level allows a longer side, and it would not fit into a sample entry."""
_SEI, _AUD, _END_OF_SEQUENCE, _FILLER = 6, 9, 10, 12
_HEVC_AUD, _HEVC_END, _HEVC_SEI = 35, range(36, 39), (39, 40)
_HEVC_RASL_OR_RADL = range(6, 10)
_HEVC_LAST_SUB_LAYER = 14
"""Up to it, even types are pictures that others of their sub-layer do not refer to."""


class Unit(NamedTuple):
    """The fields at the beginning of a NAL unit."""

    is_slice: bool
    begins: bool = False
    """Whether a picture begins with it (a slice), or it begins the data of the next picture (other units)."""
    is_key: bool = False
    is_idr: bool = False
    """Whether the order of display is counted from 0 again here."""
    is_anchor: bool = False
    """Whether the next pictures count their order from this one."""
    lsb: int = 0
    """The low bits of the picture's place in the order of display."""
    frame_num: int = 0


class Codec(Protocol):
    """Reads one codec's units."""

    name: str
    heads: bytes
    """First bytes of units with which a picture can begin."""
    lsb_bits: int
    width: int
    height: int

    def read(self, unit: bytes, size: int) -> Unit | None:
        """Read the first bytes of a unit that is `size` bytes long; None when it cannot be one."""

    def follows(self, unit: Unit, last: Unit | None) -> bool:
        """Return whether a picture can be the next one in decoding order."""

    def configuration(self) -> tuple[bytes, bytes]:
        """Return the name and content of the codec's box in a sample description."""


class _Bits:
    """Reads a unit's fields in order; LookupError beyond its end."""

    def __init__(self, unit: bytes, at: int) -> None:
        self.data = unit.replace(b"\x00\x00\x03", b"\x00\x00")
        self.at = at

    def u(self, count: int) -> int:
        """Read an unsigned number of so many bits."""
        end = self.at + count
        if end > len(self.data) * 8:
            raise LookupError("a unit that ends early")
        first, last = self.at >> 3, (end + 7) >> 3
        value = int.from_bytes(self.data[first:last], "big") >> (last * 8 - end)
        self.at = end
        return value & (1 << count) - 1

    def ue(self) -> int:
        """Read an Exp-Golomb number."""
        if self.at >= len(self.data) * 8:
            raise LookupError("a unit that ends early")
        value, self.at = read_ue(self.data, self.at)
        return value

    def se(self) -> int:
        """Read a signed Exp-Golomb number."""
        value = self.ue()
        return (value + 1) // 2 if value % 2 else -(value // 2)


def _checked(value: int, most: int) -> int:
    if value > most:
        raise LookupError("a field out of range")
    return value


class H264:
    """H.264 with its parameter sets. LookupError if they are invalid."""

    name = "h264"
    heads = bytes([0x01, 0x21, 0x41, 0x61, 0x25, 0x45, 0x65, 0x06, 0x09, 0x27, 0x47, 0x67])

    def __init__(self, sps: bytes, pps: bytes) -> None:
        self._sets = (sps, pps)
        self._pps_ids = {_checked(_Bits(pps, 8).ue(), 255)}
        bits = _Bits(sps, 8)
        self._profile = bits.u(8)
        bits.u(16)
        _checked(bits.ue(), 31)
        self._chroma, self._depths, self._planes = 1, (0, 0), 0
        if self._profile in _HIGH_PROFILES:
            self._read_high(bits)
        self.frame_num_bits = _checked(bits.ue() + 4, MOST_LOG2)
        self._read_order(bits)
        bits.ue()
        bits.u(1)
        width, lines = bits.ue() + 1, bits.ue() + 1
        self._frames_only = bool(bits.u(1))
        self.width = _checked(width * 16, MOST_PIXELS)
        self.height = _checked(lines * 16 * (2 - self._frames_only), MOST_PIXELS)
        self._read_crop(bits)

    def _read_high(self, bits: _Bits) -> None:
        self._chroma = _checked(bits.ue(), 3)
        if self._chroma == 3:  # noqa: PLR2004 - 4:4:4
            self._planes = bits.u(1)
        self._depths = (_checked(bits.ue(), 6), _checked(bits.ue(), 6))
        bits.u(1)
        if bits.u(1):
            for number in range(8 if self._chroma != 3 else 12):  # noqa: PLR2004 - 4:4:4
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)  # noqa: PLR2004 - six of 4x4 come first

    def _read_order(self, bits: _Bits) -> None:
        kind = _checked(bits.ue(), 2)
        self.lsb_bits = _checked(bits.ue() + 4, MOST_LOG2) if kind == 0 else 0
        if kind == 1:
            bits.u(1)
            bits.se()
            bits.se()
            for _ in range(_checked(bits.ue(), 255)):
                bits.se()

    def _read_crop(self, bits: _Bits) -> None:
        bits.u(1 if self._frames_only else 2)
        if bits.u(1):
            across, down = 2 if self._chroma in {1, 2} else 1, 2 if self._chroma == 1 else 1
            down *= 2 - self._frames_only
            left, right, top, bottom = (bits.ue() for _ in range(4))
            self.width -= across * (left + right)
            self.height -= down * (top + bottom)
        if self.width <= 0 or self.height <= 0:
            raise LookupError("a picture without a size")

    def read(self, unit: bytes, size: int) -> Unit | None:
        """Read the first bytes of a unit; None when it cannot be one."""
        kind, weight = unit[0] & 0x1F, unit[0] >> 5
        try:
            if kind in {1, H264_IDR} and weight < 4 and (weight or kind == 1):  # noqa: PLR2004 - two bits, after a zero
                return self._slice(unit, kind, weight)
        except LookupError:
            return None
        if kind in {H264_SPS, H264_PPS}:
            return Unit(is_slice=False, begins=True) if weight and self._learn(unit, size, kind) else None
        if weight:
            return None
        is_plausible = {
            _SEI: size > 3 and sei_fits(unit[1:], size - 1),  # noqa: PLR2004 - type, size, end
            _AUD: size == 2 and unit[1] & 0x1F == 0x10,  # noqa: PLR2004 - a byte of content
            _END_OF_SEQUENCE: size == 1,
            _END_OF_SEQUENCE + 1: size == 1,
            _FILLER: unit[1:9] == b"\xff" * 8,
        }.get(kind, False)
        return Unit(is_slice=False, begins=kind in {_SEI, _AUD}) if is_plausible else None

    def _learn(self, unit: bytes, size: int, kind: int) -> bool:
        """Check a parameter set, and store the number of a picture parameter set."""
        if unit in self._sets:
            return True
        if size > HEAD_BYTES:
            return False
        try:
            if kind == H264_SPS:
                H264(unit, self._sets[1])
            else:
                self._pps_ids.add(_checked(_Bits(unit, 8).ue(), 255))
        except LookupError:
            return False
        return True

    def _slice(self, unit: bytes, kind: int, weight: int) -> Unit | None:
        bits = _Bits(unit, 8)
        first, slice_type, pps = bits.ue(), bits.ue(), bits.ue()
        if slice_type > MOST_SLICE_TYPES or pps not in self._pps_ids:
            return None
        if kind == H264_IDR and slice_type % 5 not in {2, 4}:  # I and SI alone
            return None
        if self._planes:
            bits.u(2)
        frame_num = bits.u(self.frame_num_bits)
        if kind == H264_IDR and frame_num:
            return None
        is_second_field = not self._frames_only and bits.u(1) and bits.u(1)
        if kind == H264_IDR:
            bits.ue()
        lsb = bits.u(self.lsb_bits) if self.lsb_bits else 0
        return Unit(
            is_slice=True,
            begins=first == 0 and not is_second_field,
            is_key=kind == H264_IDR,
            is_idr=kind == H264_IDR,
            is_anchor=weight > 0,
            lsb=lsb,
            frame_num=frame_num,
        )

    def follows(self, unit: Unit, last: Unit | None) -> bool:
        """Return whether the counter of pictures equals the last one or follows it."""
        if last is None or not unit.is_slice or unit.is_idr:
            return True
        return (unit.frame_num - last.frame_num) % (1 << self.frame_num_bits) <= 1

    def configuration(self) -> tuple[bytes, bytes]:
        """Return an `avcC` record."""
        sps, pps = self._sets
        tail = b""
        if self._profile in _HIGH_PROFILES:
            tail = bytes([0xFC | self._chroma, 0xF8 | self._depths[0], 0xF8 | self._depths[1], 0])
        return b"avcC", AvcConfig(b"\x01" + sps[1:4], 4, (sps,), (pps,), tail).with_sets((), ())


_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128})


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = scale = 8
    for _ in range(size):
        if scale:
            scale = (last + bits.se()) % 256
        last = scale or last


def sei_fits(unit: bytes, size: int) -> bool:
    """Return whether the first SEI message (after the header) ends within its unit."""
    at = 0
    while at < len(unit) and unit[at] == 0xFF:  # noqa: PLR2004 - the type goes on
        at += 1
    at += 1
    length = 0
    while at < len(unit) and unit[at] == 0xFF:  # noqa: PLR2004 - the size goes on
        length += 255
        at += 1
    return at < len(unit) and at + 1 + length + unit[at] < size


class Hevc:
    """HEVC with its parameter sets. LookupError if they are invalid."""

    name = "hevc"
    heads = bytes([kind << 1 for kind in (*range(10), *range(16, 22), HEVC_VPS, HEVC_SPS, 35, 39)])

    def __init__(self, vps: bytes, sps: bytes, pps: bytes) -> None:
        self._sets = (vps, sps, pps)
        bits = _Bits(sps, 16)
        bits.u(4)
        layers = bits.u(3)
        bits.u(1)
        self._level = bits.data[3:15]
        bits.u(96)
        if layers:
            flags = [(bits.u(1), bits.u(1)) for _ in range(layers)]
            bits.u(2 * (8 - layers))
            for has_profile, has_level in flags:
                bits.u(88 * has_profile + 8 * has_level)
        _checked(bits.ue(), 15)
        self._chroma = _checked(bits.ue(), 3)
        self._planes = bits.u(1) if self._chroma == 3 else 0  # noqa: PLR2004 - 4:4:4
        self.width, self.height = _checked(bits.ue(), MOST_PIXELS), _checked(bits.ue(), MOST_PIXELS)
        if bits.u(1):
            across, down = 2 if self._chroma in {1, 2} else 1, 2 if self._chroma == 1 else 1
            left, right, top, bottom = (bits.ue() for _ in range(4))
            self.width -= across * (left + right)
            self.height -= down * (top + bottom)
        if self.width <= 0 or self.height <= 0:
            raise LookupError("a picture without a size")
        self._depths = (_checked(bits.ue(), 8), _checked(bits.ue(), 8))
        self.lsb_bits = _checked(bits.ue() + 4, MOST_LOG2)
        self._read_pps(pps)

    def _read_pps(self, pps: bytes) -> None:
        bits = _Bits(pps, 16)
        self._pps_id = _checked(bits.ue(), 63)
        _checked(bits.ue(), 15)
        self._has_dependent, self._has_output_flag = bits.u(1), bits.u(1)
        self._extra_bits = bits.u(3)

    def read(self, unit: bytes, size: int) -> Unit | None:
        """Read the first bytes of a unit; None when it cannot be one."""
        if len(unit) < 3 or unit[0] & 0x81 or not unit[1] & 7 or unit[1] & 0xF8:  # noqa: PLR2004 - a header and more
            return None
        kind = hevc_type(unit)
        if kind < HEVC_FIRST_OTHER:
            try:
                return self._slice(unit, kind) if kind < 10 or 16 <= kind <= HEVC_CRA else None  # noqa: PLR2004 - others are reserved
            except LookupError:
                return None
        if kind in {HEVC_VPS, HEVC_SPS, HEVC_PPS}:
            return Unit(is_slice=False, begins=True) if unit in self._sets else None
        is_plausible = (
            (kind == _HEVC_AUD and size == 3)  # noqa: PLR2004 - a byte of content
            or (kind in _HEVC_END and unit[2:9] == b"\xff" * 7)
            or (kind in _HEVC_SEI and size > 4 and sei_fits(unit[2:], size - 2))  # noqa: PLR2004 - type, size, end
        )
        return Unit(is_slice=False, begins=kind in {_HEVC_AUD, _HEVC_SEI[0]}) if is_plausible else None

    def _slice(self, unit: bytes, kind: int) -> Unit | None:
        bits = _Bits(unit, 16)
        begins = bool(bits.u(1))
        if kind in HEVC_IRAP:
            bits.u(1)
        if bits.ue() != self._pps_id:
            return None
        is_idr = HEVC_BLA_N_LP + 1 <= kind < HEVC_CRA
        lsb = 0
        if begins:
            bits.u(self._extra_bits)
            if bits.ue() > 2:  # noqa: PLR2004 - B, P, I
                return None
            bits.u(self._has_output_flag + 2 * self._planes)
            lsb = 0 if is_idr else bits.u(self.lsb_bits)
        is_sub_layer = kind <= _HEVC_LAST_SUB_LAYER and kind % 2 == 0
        return Unit(
            is_slice=True,
            begins=begins,
            is_key=kind in HEVC_IRAP,
            is_idr=kind in HEVC_IRAP and kind != HEVC_CRA,
            is_anchor=unit[1] & 7 == 1 and not is_sub_layer and kind not in _HEVC_RASL_OR_RADL,
            lsb=lsb,
        )

    def follows(self, unit: Unit, last: Unit | None) -> bool:
        """Return whether the place in the order of display is near the last one's."""
        if last is None or not unit.is_slice or unit.is_idr:
            return True
        distance = (unit.lsb - last.lsb) % (1 << self.lsb_bits)
        return min(distance, (1 << self.lsb_bits) - distance) <= 1 << self.lsb_bits - 2

    def configuration(self) -> tuple[bytes, bytes]:
        """Return an `hvcC` record (ISO/IEC 14496-15, 8.3.3.1.2)."""
        vps, sps, pps = self._sets
        depths = bytes([0xF8 | self._depths[0], 0xF8 | self._depths[1]])
        head = b"\x01" + self._level + b"\xf0\x00\xfc" + bytes([0xFC | self._chroma]) + depths + b"\x00\x00\x0f"
        sets: dict[int, tuple[bytes, ...]] = {HEVC_VPS: (vps,), HEVC_SPS: (sps,), HEVC_PPS: (pps,)}
        return b"hvcC", HevcConfig(head, 4, sets).with_sets(())
