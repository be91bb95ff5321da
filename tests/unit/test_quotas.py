from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.billing.tier import Period, Tier, calendar_day, calendar_month, one_month_later, require
from services.errors import TierRequiredError


def free(**features: object) -> Tier:
    return Tier(name="free", display_name="Free Tier", features=features)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (
            datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2026, 12, 1, tzinfo=UTC),
            datetime(2027, 1, 1, tzinfo=UTC),
        ),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (
            datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            datetime(2026, 5, 1, tzinfo=UTC),
            datetime(2026, 6, 1, tzinfo=UTC),
        ),
    ],
)
def test_months_are_counted_in_utc(now: datetime, start: datetime, end: datetime) -> None:
    assert calendar_month(now) == Period(start=start, end=end)


def test_days_are_counted_in_utc() -> None:
    now = datetime(2026, 6, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert calendar_day(now) == Period(start=datetime(2026, 5, 31, tzinfo=UTC), end=datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("moment", "later"),
    [
        (datetime(2026, 1, 31, 5, tzinfo=UTC), datetime(2026, 2, 28, 5, tzinfo=UTC)),
        (datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 12, 30, tzinfo=UTC)),
        (datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 31, tzinfo=UTC)),
        (datetime(2027, 10, 31, tzinfo=UTC), datetime(2027, 11, 30, tzinfo=UTC)),
    ],
)
def test_one_month_later_keeps_the_day_where_there_is_one(moment: datetime, later: datetime) -> None:
    assert one_month_later(moment) == later


def test_paid_tier_is_counted_by_the_subscriptions_own_month() -> None:
    start, end = datetime(2026, 5, 17, 8, tzinfo=UTC), datetime(2026, 6, 17, 8, tzinfo=UTC)
    tier = Tier(name="pro", display_name="Pro", features={}, paid_start=start, paid_end=end)
    assert tier.month(datetime(2026, 6, 16, tzinfo=UTC)) == Period(start=start, end=end)
    # The renewal that nobody has told us of yet begins where this period ends.
    assert tier.month(end) == Period(start=end, end=datetime(2026, 7, 17, 8, tzinfo=UTC))


def test_ability_outside_the_tier_is_refused_in_words() -> None:
    with pytest.raises(TierRequiredError, match=r"^Free Tier does not include API keys") as refused:
        require(free(api_access=False), "api_access")
    assert refused.value.details == {"feature": "api_access", "tier": "free", "upgrade_url": "/pricing"}


@pytest.mark.parametrize(("written", "read"), [(5, 5), (-1, -1), (-7, -1), (2.0, 2), ("many", 0), (True, 0), (None, 0)])
def test_allowance_that_is_no_number_includes_nothing(written: object, read: int) -> None:
    assert free(clips_per_month=written).allowance("clips_per_month") == read


def test_row_overrides_a_default_limit_and_leaves_the_others() -> None:
    tier = Tier(name="premium", display_name="Premium", features={}, limits={"clip_length_s": 60})
    assert (tier.limit("clip_length_s"), tier.limit("retention_days")) == (60, 30)
