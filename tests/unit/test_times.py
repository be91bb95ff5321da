from datetime import UTC, datetime

import pytest

from api.schemas.fields import time_of
from services.errors import InvalidFieldError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, None),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T13:30:00+01:30", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_times_are_taken_with_a_zone_or_as_a_date(text: str | None, found: datetime | None) -> None:
    assert time_of("expires_at", text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-12-31T00:00:00", "expires_at must say its time zone"),
        ("tomorrow", "expires_at must be a date such as 2026-01-31"),
        ("2026-02-30", "expires_at must be a date such as 2026-01-31"),
        ("0001-01-01T00:00:00+14:00", "expires_at must be a time between the years 1 and 9999"),
        ("", "expires_at must be a date such as 2026-01-31"),
    ],
)
def test_what_is_no_time_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(InvalidFieldError) as refused:
        time_of("expires_at", text)
    assert refused.value.message.startswith(message)
    assert refused.value.details["field"] == "expires_at"
