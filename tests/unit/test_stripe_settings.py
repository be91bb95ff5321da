"""Keys, prices and rules of billing fit together, or the start is refused with a sentence that names the setting."""

import pytest

from services.process.stripe_settings import StripeSettingsError, load

TEST = {
    "STRIPE_SECRET_KEY": "sk_test_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "STRIPE_PRICE_PREMIUM": "price_1",
    "STRIPE_PRICE_PRO": "price_2",
}


def test_nothing_set_means_nothing_is_sold() -> None:
    assert load({}) is None


def test_complete_settings_are_read() -> None:
    settings = load({**TEST, "STRIPE_AUTOMATIC_TAX": "true", "BILLING_GRACE_DAYS": "3"})
    assert settings is not None
    assert (settings.is_test, settings.automatic_tax, settings.grace_days) == (True, True, 3)
    assert settings.promotion_codes is True
    assert settings.tier_of_price("price_2") == "pro"
    assert settings.tier_of_price("price_of_something_else") is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"STRIPE_SECRET_KEY": ""}, "STRIPE_SECRET_KEY is missing"),
        ({"STRIPE_WEBHOOK_SECRET": ""}, "STRIPE_WEBHOOK_SECRET is missing"),
        ({"STRIPE_PRICE_PRO": ""}, "STRIPE_PRICE_PRO is missing"),
        ({"STRIPE_SECRET_KEY": "sk_live_1"}, "different modes"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_live_1"}, "different modes"),
        ({"STRIPE_PUBLISHABLE_KEY": "sk_test_1"}, "STRIPE_PUBLISHABLE_KEY is of the wrong kind"),
        ({"STRIPE_SECRET_KEY": "pk_test_1"}, "STRIPE_SECRET_KEY is of the wrong kind"),
        ({"STRIPE_WEBHOOK_SECRET": "sk_test_1"}, "STRIPE_WEBHOOK_SECRET is of the wrong kind"),
        ({"STRIPE_PRICE_PRO": "prod_1"}, "STRIPE_PRICE_PRO is of the wrong kind"),
        ({"STRIPE_PRICE_PRO": "price_1"}, "the same price"),
        ({"STRIPE_TRIAL_END": "charge"}, "STRIPE_TRIAL_END"),
        ({"BILLING_GRACE_DAYS": "-1"}, "BILLING_GRACE_DAYS"),
        ({"BILLING_WITHDRAWAL_REFUND": "half"}, "BILLING_WITHDRAWAL_REFUND"),
    ],
)
def test_settings_that_do_not_fit_are_named_without_their_values(changes: dict[str, str], named: str) -> None:
    with pytest.raises(StripeSettingsError, match=named) as refused:
        load({**TEST, **changes})
    assert "sk_test_1" not in str(refused.value)
    assert "sk_live_1" not in str(refused.value)


def test_promotion_codes_can_be_switched_off() -> None:
    settings = load({**TEST, "STRIPE_PROMOTION_CODES": "false"})
    assert settings is not None
    assert settings.promotion_codes is False
