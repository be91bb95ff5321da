"""What each setting of billing does: trials that end without a card, tax, promotion codes, refunds of withdrawals."""

from typing import Any
from uuid import UUID

import pytest
from support.servers.fleet import add_user
from support.stripe.shop import DAY_S, MASTERCARD, PAYS, Shop

from db.connection import Database
from services.billing import checkout as checkouts
from services.billing import subscription as subscriptions
from services.billing import sync as syncing
from services.billing.sync import Billing

URL = "https://clips.example/"


@pytest.fixture
def shop() -> Shop:
    return Shop()


def open_checkout(billing: Billing, user_id: UUID, tier: str = "premium") -> str:
    session = checkouts.open_checkout(
        billing, user_id=user_id, email="ada@example.org", tier=tier, success_url=URL, cancel_url=URL
    )
    return session.id


def buy(shop: Shop, billing: Billing, user_id: UUID, *, number: str = PAYS, tier: str = "premium") -> str:
    shop.pay(open_checkout(billing, user_id, tier), number)
    syncing.sync(billing, user_id=user_id)
    return str(syncing.load(billing, user_id).stripe_customer_id)


@pytest.mark.parametrize(
    ("trial_end", "expected"),
    [
        ("cancel", ("active", "free", None)),
        ("pause", ("paused", "free", "payment_failed")),
        ("create_invoice", ("past_due", "premium", "payment_failed")),
    ],
)
def test_trial_without_a_card_ends_as_configured(
    database: Database, shop: Shop, trial_end: str, expected: tuple[str, str, str | None]
) -> None:
    billing, user_id = shop.billing(database, trial_end=trial_end), add_user(database)
    customer = buy(shop, billing, user_id)
    made = shop.subscription(customer)
    assert made["trial_settings"] == {"end_behavior": {"missing_payment_method": trial_end}}
    shop.remove_cards(customer)
    shop.pass_days(8)
    syncing.sync(billing, user_id=user_id)
    found = syncing.load(billing, user_id)
    shown = subscriptions.banner_of(found, now=billing.clock())
    assert (found.status, found.tier_in_force, shown.kind if shown else None) == expected


def test_paused_trial_goes_on_once_there_is_a_card(database: Database, shop: Shop) -> None:
    billing, user_id = shop.billing(database, trial_end="pause"), add_user(database)
    customer = buy(shop, billing, user_id)
    methods = shop.world.find("payment_method", customer=customer)
    shop.remove_cards(customer)
    shop.pass_days(8)
    syncing.sync(billing, user_id=user_id)
    methods[0]["customer"] = customer
    shop.subscription(customer)["default_payment_method"] = methods[0]["id"]
    subscriptions.resume(billing, user_id=user_id)
    found = syncing.load(billing, user_id)
    assert (found.status, found.tier_in_force) == ("active", "premium")


@pytest.mark.parametrize("is_on", [True, False])
def test_tax_and_promotion_codes_are_as_configured(database: Database, shop: Shop, is_on: Any) -> None:
    billing = shop.billing(database, automatic_tax=is_on, promotion_codes=is_on)
    session = shop.world.get("checkout.session", open_checkout(billing, add_user(database)))
    assert session["automatic_tax"]["enabled"] is is_on
    assert (session["allow_promotion_codes"] is True) is is_on


@pytest.mark.parametrize(("rule", "cents"), [("full", 1999), ("prorated", 1333), ("none", 0)])
def test_withdrawal_is_refunded_as_configured(database: Database, shop: Shop, rule: str, cents: int) -> None:
    billing, user_id = shop.billing(database, withdrawal_refund=rule), add_user(database)
    customer = buy(shop, billing, user_id)
    shop.end(customer)  # the trial is used
    syncing.sync(billing, user_id=user_id)
    buy(shop, billing, user_id, number=MASTERCARD, tier="pro")
    bought = next(each for each in shop.world.find("subscription", customer=customer) if each["status"] == "active")
    item = bought["items"]["data"][0]
    item["current_period_start"] -= 10 * DAY_S
    item["current_period_end"] = item["current_period_start"] + 30 * DAY_S
    bought["created"] -= 10 * DAY_S
    subscriptions.withdraw(billing, user_id=user_id)
    (charge,) = [each for each in shop.world.find("charge", customer=customer) if each["amount"] == 1999]
    assert charge["amount_refunded"] == pytest.approx(cents, abs=1)
    assert syncing.load(billing, user_id).tier_in_force == "free"
