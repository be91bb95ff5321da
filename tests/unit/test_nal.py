"""Bitstream surgery: what goes in comes out, and numbers land where they should."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.reading.format import nal

units = st.binary(min_size=1, max_size=60).filter(
    lambda data: b"\x00\x00\x00" not in data and b"\x00\x00\x01" not in data and data[-1] and data[:1] != b"\x00"
)


@given(st.lists(units, min_size=1, max_size=5), st.sampled_from([b"\x00\x00\x01", b"\x00\x00\x00\x01"]))
def test_units_with_start_codes_are_split(parts: list[bytes], code: bytes) -> None:
    assert list(nal.split_annexb(b"".join(code + part for part in parts))) == parts


@given(st.lists(st.binary(min_size=1, max_size=200), max_size=5), st.sampled_from([1, 2, 4]))
def test_units_with_lengths_are_split(parts: list[bytes], length_bytes: int) -> None:
    assert list(nal.split_lengths(nal.join_lengths(parts, length_bytes), length_bytes)) == parts


@given(st.binary(max_size=200), st.sampled_from([1, 2, 4]))
def test_damaged_lengths_never_fail(data: bytes, length_bytes: int) -> None:
    assert sum(map(len, nal.split_lengths(data, length_bytes))) <= len(data)


@given(st.binary(max_size=300))
def test_damaged_configurations_never_fail(data: bytes) -> None:
    nal.AvcConfig.parse(data)
    nal.HevcConfig.parse(data)


def test_exp_golomb_numbers_are_read() -> None:
    assert [nal.read_ue(bytes([code]), 0)[0] for code in (0b10000000, 0b01000000, 0b01100000, 0b00100000)] == [
        0,
        1,
        2,
        3,
    ]


def test_avc_configuration_keeps_old_sets_beside_new_ones() -> None:
    record = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0, 3]) + b"\x67AB" + bytes([1, 0, 2]) + b"\x68C" + b"\xfd\xf8\xf8\x00"
    config = nal.AvcConfig.parse(record)
    assert config is not None
    assert (config.length_bytes, config.sps, config.pps) == (4, (b"\x67AB",), (b"\x68C",))
    joint = nal.AvcConfig.parse(config.with_sets([b"\x67new"], [b"\x68new"]))
    assert joint is not None
    assert joint.sps == (b"\x67AB", b"\x67new")
    assert joint.pps == (b"\x68C", b"\x68new")
    assert joint.tail == b"\xfd\xf8\xf8\x00"


def test_hevc_slice_moves_by_one_byte() -> None:
    slice_unit = bytes([1 << 1, 1, 0b1_1_010101, 0xAA, 0x80])  # not IRAP: first_slice, then the set's number 0 as '1'
    changed = nal.hevc_renumbered(slice_unit)
    assert len(changed) == len(slice_unit) + 1
    bits = "".join(f"{byte:08b}" for byte in changed[2:])
    assert bits == "1" + "000010000" + "010101" + f"{0xAA:08b}" + f"{0x80:08b}"


def test_hevc_start_codes_stay_impossible() -> None:
    slice_unit = bytes([1 << 1, 1, 0b1_1_000000, 0, 0, 3, 1, 0x80])
    changed = nal.hevc_renumbered(slice_unit)
    assert b"\x00\x00\x00" not in changed
    assert b"\x00\x00\x01" not in changed


def test_cra_becomes_bla_with_the_same_bits() -> None:
    unit = bytes([nal.HEVC_CRA << 1, 1, 5, 6])
    changed = nal.hevc_with_type(unit, nal.HEVC_BLA_N_LP)
    assert nal.hevc_type(changed) == nal.HEVC_BLA_N_LP
    assert changed[1:] == unit[1:]
