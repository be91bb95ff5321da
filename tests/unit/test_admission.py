from pathlib import Path

import pytest

from services.admission import RESERVE_BYTES, require_disk
from services.errors import UnavailableError
from services.estimates import estimate


def test_full_disk_takes_no_more() -> None:
    require_disk(Path("/data"), free_bytes=lambda _path: RESERVE_BYTES)
    with pytest.raises(UnavailableError, match="disk is nearly full") as caught:
        require_disk(Path("/data"), free_bytes=lambda _path: RESERVE_BYTES - 1)
    assert caught.value.details["retry_after_s"] > 0


def test_storage_elsewhere_is_never_full() -> None:
    require_disk(None, free_bytes=lambda _path: 0)


@pytest.mark.parametrize(
    ("ahead", "slots", "starts_in_s"), [(0, 2, 0), (1, 2, 0), (2, 2, 5), (11, 2, 50), (0, 0.5, 10), (3, 1, 30)]
)
def test_job_begins_when_those_before_it_have_left_a_slot(ahead: int, slots: float, starts_in_s: float) -> None:
    found = estimate(ahead=ahead, slots=slots, run_s=10)
    assert (found.starts_in_s, found.ends_in_s) == (starts_in_s, starts_in_s + 10)
