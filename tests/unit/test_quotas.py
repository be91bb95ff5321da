from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from services.billing.quota import Tier, end_of_month, month_of, require
from services.errors import TierRequiredError


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), date(2026, 12, 1), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), date(2028, 2, 1), datetime(2028, 3, 1, tzinfo=UTC)),
        (
            datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            date(2026, 5, 1),
            datetime(2026, 6, 1, tzinfo=UTC),
        ),
    ],
)
def test_months_are_counted_in_utc(now: datetime, start: date, end: datetime) -> None:
    assert month_of(now) == start
    assert end_of_month(now) == end


def test_ability_outside_the_tier_is_refused_in_words() -> None:
    tier = Tier(name="free", display_name="Free", features={"api_access": False})
    with pytest.raises(TierRequiredError, match="The Free tier does not include API keys"):
        require(tier, "api_access", "API keys")
