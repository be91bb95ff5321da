from hypothesis import given
from hypothesis import strategies as st

from services.recordings.upload import LEAST_PART_BYTES, MIB, part_size
from storage.multipart import MAX_PUT_BYTES, MIN_PART_BYTES


@given(st.integers(1, 5 * 1024**4))
def test_parts_of_any_recording_are_few_and_within_what_storage_takes(size_bytes: int) -> None:
    part_bytes = part_size(size_bytes)
    assert part_bytes % MIB == 0
    assert max(LEAST_PART_BYTES, MIN_PART_BYTES) <= part_bytes <= MAX_PUT_BYTES
    assert -(-size_bytes // part_bytes) <= 1024
