"""The settings of billing: keys, prices and rules, all of one mode, or none at all."""

from collections.abc import Mapping
from typing import Literal, cast

from msgspec import Struct

TrialEnd = Literal["cancel", "pause", "create_invoice"]
Refund = Literal["full", "prorated", "none"]
NAMES = (
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_PRICE_PREMIUM",
    "STRIPE_PRICE_PRO",
)
PREFIXES = {
    "STRIPE_SECRET_KEY": ("sk_test_", "sk_live_", "rk_test_", "rk_live_"),
    "STRIPE_PUBLISHABLE_KEY": ("pk_test_", "pk_live_"),
    "STRIPE_WEBHOOK_SECRET": ("whsec_",),
    "STRIPE_PRICE_PREMIUM": ("price_",),
    "STRIPE_PRICE_PRO": ("price_",),
}
MAX_GRACE_DAYS = 60


class StripeSettingsError(Exception):
    """A setting of billing is missing or does not fit the others; the message names it."""


class StripeSettings(Struct, frozen=True, kw_only=True):
    """The settings of billing."""

    secret_key: str
    publishable_key: str | None
    webhook_secret: str
    price_premium: str
    price_pro: str
    api_base: str | None
    """Address of another API than Stripe's own (STRIPE_API_BASE)."""
    automatic_tax: bool
    """Whether Stripe Tax computes taxes and tax ids are collected (STRIPE_AUTOMATIC_TAX)."""
    promotion_codes: bool
    """Whether checkouts take promotion codes (STRIPE_PROMOTION_CODES)."""
    trial_end: TrialEnd
    """Stripe's action when a trial ends without a payment method (STRIPE_TRIAL_END)."""
    grace_days: int
    """Days for which a tier continues after a failed payment (BILLING_GRACE_DAYS)."""
    withdrawal_refund: Refund
    """The refund of a consumer who withdraws within 14 days (BILLING_WITHDRAWAL_REFUND)."""

    @property
    def is_test(self) -> bool:
        """Whether the keys are of test mode, which charges nobody."""
        return is_test_key(self.secret_key)

    def tier_of_price(self, price_id: str) -> str | None:
        """Return the tier of a price; None for an unknown price."""
        return {self.price_premium: "premium", self.price_pro: "pro"}.get(price_id)

    def price_of_tier(self, tier: str) -> str:
        """Return the price of a paid tier."""
        return {"premium": self.price_premium, "pro": self.price_pro}[tier]


def is_test_key(key: str) -> bool:
    """Return whether a key is of Stripe's test mode."""
    return "_test_" in key[:9]


def load(env: Mapping[str, str]) -> StripeSettings | None:
    """Return the settings, or None without STRIPE_SECRET_KEY; StripeSettingsError if they contradict each other."""
    given = {name: env[name] for name in PREFIXES if env.get(name)}
    if not given:
        return None
    _check(given)
    return StripeSettings(
        secret_key=given["STRIPE_SECRET_KEY"],
        publishable_key=given.get("STRIPE_PUBLISHABLE_KEY"),
        webhook_secret=given["STRIPE_WEBHOOK_SECRET"],
        price_premium=given["STRIPE_PRICE_PREMIUM"],
        price_pro=given["STRIPE_PRICE_PRO"],
        api_base=env.get("STRIPE_API_BASE") or None,
        automatic_tax=_choice(env, "STRIPE_AUTOMATIC_TAX", ("false", "true")) == "true",
        promotion_codes=_choice(env, "STRIPE_PROMOTION_CODES", ("true", "false")) == "true",
        trial_end=cast("TrialEnd", _choice(env, "STRIPE_TRIAL_END", ("cancel", "pause", "create_invoice"))),
        grace_days=_days(env),
        withdrawal_refund=cast("Refund", _choice(env, "BILLING_WITHDRAWAL_REFUND", ("full", "prorated", "none"))),
    )


def _check(given: Mapping[str, str]) -> None:
    for name, value in given.items():
        if not value.startswith(PREFIXES[name]):
            raise StripeSettingsError(f"{name} is of the wrong kind; it begins with {' or '.join(PREFIXES[name])}")
    for name in NAMES:
        if name not in given:
            raise StripeSettingsError(
                f"{name} is missing; billing needs {', '.join(NAMES)} (`snuggles stripe-setup` prints them)"
            )
    publishable = given.get("STRIPE_PUBLISHABLE_KEY")
    if publishable and is_test_key(publishable) != is_test_key(given["STRIPE_SECRET_KEY"]):
        raise StripeSettingsError(
            "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of different modes; use two test keys or two live keys"
        )
    if given["STRIPE_PRICE_PREMIUM"] == given["STRIPE_PRICE_PRO"]:
        raise StripeSettingsError(
            "STRIPE_PRICE_PREMIUM and STRIPE_PRICE_PRO are the same price; each tier needs its own"
        )


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = (env.get(name) or choices[0]).lower()
    if value not in choices:
        raise StripeSettingsError(f"{name} is {value!r}; use one of {', '.join(choices)}")
    return value


def _days(env: Mapping[str, str]) -> int:
    text = env.get("BILLING_GRACE_DAYS") or "7"
    if not text.isascii() or not text.isdigit() or int(text) > MAX_GRACE_DAYS:
        raise StripeSettingsError(f"BILLING_GRACE_DAYS is {text!r}; use a number of days from 0 to {MAX_GRACE_DAYS}")
    return int(text)
