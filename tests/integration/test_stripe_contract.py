"""What this service asks of Stripe, asked of the small Stripe and, with a test key in the environment, of Stripe.

STRIPE_SANDBOX_KEY=sk_test_… pytest tests/integration/test_stripe_contract.py
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from msgspec import Struct
from support.stripe.shop import Shop
from support.stripe.world import SECRET_KEY, InProcess

from services.billing.gateway.call import MissingAtStripeError, PaymentDeclinedError
from services.billing.gateway.client import Gateway
from services.billing.gateway.remote import RemoteSubscription, Snapshot
from services.billing.gateway.setup import SetupGateway
from services.errors import UnavailableError
from services.process.stripe_settings import StripeSettings

KEY = os.environ.get("STRIPE_SANDBOX_KEY", "")
URL = "https://clips.example/subscription"
EVENTS = ["checkout.session.completed", "invoice.payment_failed"]
needs_key = pytest.mark.skipif(
    not KEY, reason="STRIPE_SANDBOX_KEY is not set; with a test key, Stripe's sandbox is asked the same"
)


class Account(Struct, frozen=True):
    """An account at Stripe, or what stands for one."""

    gateway: Gateway
    setup: SetupGateway
    settings: StripeSettings
    options: dict[str, Any]

    def gateway_with(self, **changes: Any) -> Gateway:
        values = {name: getattr(self.settings, name) for name in self.settings.__struct_fields__}
        return Gateway(StripeSettings(**{**values, **changes}), **self.options)


SANDBOX = [] if os.environ.get("CI") == "true" and not KEY else [pytest.param("sandbox", marks=needs_key)]
"""CI without a key does not ask Stripe; it skips no test."""


@pytest.fixture(scope="module", params=["simulation", *SANDBOX])
def account(request: pytest.FixtureRequest) -> Account:
    shop = Shop()
    is_simulated = request.param == "simulation"
    if not is_simulated and not KEY.startswith(("sk_test_", "rk_test_")):
        pytest.fail("STRIPE_SANDBOX_KEY is no test key; these tests buy and refund things")
    options: dict[str, Any] = {"http_client": InProcess(shop.world)} if is_simulated else {}
    secret_key = SECRET_KEY if is_simulated else KEY
    api_base = shop.world.base_url if is_simulated else None
    setup = SetupGateway(secret_key, api_base=api_base, **options)
    prices = {}
    for tier, cents in (("premium", 999), ("pro", 1999)):
        product = setup.product(tier, f"Big Snuggles {tier.title()}")
        prices[f"price_{tier}"] = setup.price(tier, product_id=product, unit_amount=cents)
    setup.portal(URL)
    settings = shop.settings(secret_key=secret_key, api_base=api_base, **prices)
    return Account(Gateway(settings, **options), setup, settings, options)


@pytest.fixture
def customer(account: Account) -> Iterator[str]:
    made = account.gateway.create_customer(user_id=token_hex(8), email="ada@example.org", previous=None)
    yield made
    account.gateway.client.v1.customers.delete(made)


def subscribe(account: Account, customer: str, *, card: str = "pm_card_visa") -> RemoteSubscription:
    client = account.gateway.client
    method = client.v1.payment_methods.attach(card, {"customer": customer})
    client.v1.subscriptions.create(
        {
            "customer": customer,
            "items": [{"price": account.settings.price_premium}],
            "default_payment_method": method.id,
            "billing_mode": {"type": "flexible"},
        }
    )
    return current(account, customer)


def current(account: Account, customer: str) -> RemoteSubscription:
    (found,) = account.gateway.fetch(customer).subscriptions
    return found


def test_set_up_finds_what_it_made(account: Account) -> None:
    product = account.setup.product("premium", "Big Snuggles Premium")
    assert account.setup.product("premium", "Big Snuggles Premium") == product
    assert account.setup.price("premium", product_id=product, unit_amount=999) == account.settings.price_premium
    assert account.setup.portal(URL) == account.setup.portal(URL)
    url = f"https://clips.example/{token_hex(4)}"
    endpoint, secret = account.setup.webhook(url, EVENTS)
    try:
        assert str(secret).startswith("whsec_")
        assert account.setup.webhook(url, EVENTS[:1]) == (endpoint, None)
    finally:
        account.gateway.client.v1.webhook_endpoints.delete(endpoint)
    assert account.gateway.find_price_modes() == {"price_premium": False, "price_pro": False}


def test_customer_is_made_once_and_follows_the_address(account: Account, customer: str) -> None:
    user_id = token_hex(8)
    first = account.gateway.create_customer(user_id=user_id, email="bob@example.org", previous=None)
    assert account.gateway.create_customer(user_id=user_id, email="bob@example.org", previous=None) == first
    account.gateway.update_customer(customer, email="new@example.org")
    assert account.gateway.client.v1.customers.retrieve(customer).email == "new@example.org"
    account.gateway.client.v1.customers.delete(first)
    account.gateway.update_customer("cus_unknown", email="new@example.org")


@pytest.mark.parametrize("trial_days", [0, 7])
def test_checkout_opens_and_is_closed_by_the_next(account: Account, customer: str, trial_days: int) -> None:
    opened = account.gateway.create_checkout(
        customer_id=customer, user_id="1", tier="pro", success_url=URL, cancel_url=URL, trial_days=trial_days
    )
    assert str(opened.url).startswith("http")
    assert account.gateway.get_checkout(opened.id).status == "open"
    account.gateway.close_checkouts(customer)
    assert account.gateway.get_checkout(opened.id).status == "expired"
    assert account.gateway.create_portal(customer_id=customer, return_url=URL).startswith("http")


def test_subscription_is_changed_cancelled_resumed_refunded_and_ended(account: Account, customer: str) -> None:
    gateway, pro, premium = account.gateway, account.settings.price_pro, account.settings.price_premium
    begun = subscribe(account, customer)
    assert (begun.status, begun.price_id, begun.unit_amount, begun.is_over) == ("active", premium, 999, False)
    assert begun.fingerprint is not None
    assert begun.period_start <= datetime.now(UTC) < begun.period_end
    assert begun.id in [each.id for each in gateway.list_live_subscriptions()]

    gateway.change_now(begun, price_id=pro)
    upgraded = current(account, customer)
    assert (upgraded.price_id, upgraded.schedule_id) == (pro, None)

    gateway.change_later(upgraded, price_id=premium)
    planned = current(account, customer)
    assert (planned.price_id, planned.next_price_id) == (pro, premium)
    gateway.release_schedule(str(planned.schedule_id))
    assert current(account, customer).next_price_id is None

    for is_cancelling in (True, False):
        gateway.set_cancel_at_period_end(begun.id, is_cancelling=is_cancelling)
        assert current(account, customer).cancel_at_period_end is is_cancelling

    found = gateway.fetch(customer)
    paid = next(each for each in found.charges if each.amount == 999)
    assert {each.status for each in found.invoices} == {"paid"}
    assert paid.payment_intent in {intent for each in found.invoices for intent in each.payment_intents}
    for _ in range(2):
        gateway.refund(paid, amount=500, key=f"refund-{paid.id}")
    assert next(each for each in gateway.fetch(customer).charges if each.id == paid.id).amount_refunded == 500

    for _ in range(2):
        gateway.cancel_now(begun.id)
    assert current(account, customer).is_over


def test_upgrade_that_the_bank_declines_changes_nothing(account: Account, customer: str) -> None:
    begun = subscribe(account, customer)
    client = account.gateway.client
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer})
    client.v1.subscriptions.update(begun.id, {"default_payment_method": method.id})
    with pytest.raises(PaymentDeclinedError):
        account.gateway.change_now(begun, price_id=account.settings.price_pro)
    assert current(account, customer).price_id == account.settings.price_premium


def test_what_is_unknown_and_a_key_that_is_refused_are_told_apart(account: Account) -> None:
    assert account.gateway.fetch("cus_unknown") == Snapshot()
    with pytest.raises(MissingAtStripeError):
        account.gateway.get_checkout("cs_test_unknown")
    with pytest.raises(MissingAtStripeError, match="STRIPE_PRICE_PRO"):
        account.gateway_with(price_pro="price_unknown").find_price_modes()
    with pytest.raises(UnavailableError, match="key"):
        account.gateway_with(secret_key="sk_live_refused").fetch("cus_unknown")
