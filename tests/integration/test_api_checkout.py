"""Buying a subscription over HTTP, with the real SDK on the small Stripe behind it."""

import pytest
from support.api.server import LOCAL, Service, refused
from support.stripe.shop import DECLINES, MASTERCARD
from support.stripe.till import BUY, Till

from cli.embedded.stripe import checkout, payment, subscriptions
from cli.embedded.stripe.world import StripeError


def test_service_without_stripe_says_so(service: Service) -> None:
    answer = service.person().post("/api/subscription/checkout", {"tier": "pro", **BUY})
    assert refused(answer, 503)["code"] == "billing_not_configured"


def test_purchase_begins_a_trial_at_once_and_its_events_change_nothing_more(till: Till) -> None:
    person = till.service.person()
    current = till.buy(person)
    assert (current["tier"], current["status"], current["source"]) == ("premium", "trialing", "stripe")
    assert current["is_test_mode"] is True
    assert current["trial_available"] is False
    till.deliver()
    assert till.current(person) == current
    waiting = till.service.rows("SELECT 1 FROM stripe_events WHERE processed_at IS NULL")
    assert waiting == []


def test_webhook_alone_is_enough(till: Till) -> None:
    person = till.service.person()
    session = person.post("/api/subscription/checkout", {"tier": "pro", **BUY}).json()["data"]
    till.shop.pay(session["sessionId"])
    assert till.current(person)["tier"] == "free"
    till.deliver()
    assert till.current(person)["tier"] == "pro"


def test_declined_card_leaves_everything_as_it_was(till: Till) -> None:
    person = till.service.person()
    session = person.post("/api/subscription/checkout", {"tier": "premium", **BUY}).json()["data"]
    with pytest.raises(StripeError, match="declined"):
        till.shop.pay(session["sessionId"], DECLINES)
    answer = person.post("/api/subscription/sync", {"sessionId": session["sessionId"]})
    assert answer.json()["data"]["tier"] == "free"


def test_second_tab_cannot_subscribe_twice(till: Till) -> None:
    person = till.service.person()
    first = person.post("/api/subscription/checkout", {"tier": "premium", **BUY}).json()["data"]
    second = person.post("/api/subscription/checkout", {"tier": "pro", **BUY}).json()["data"]
    with pytest.raises(StripeError, match="expired"):
        till.shop.pay(first["sessionId"])
    till.shop.pay(second["sessionId"])
    person.post("/api/subscription/sync", {"sessionId": second["sessionId"]})
    answer = person.post("/api/subscription/checkout", {"tier": "premium", **BUY})
    assert refused(answer, 409)["code"] == "already_subscribed"


def test_second_subscription_of_a_customer_is_ended_and_refunded(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    customer = till.customer(person)
    method = till.shop.world.find("payment_method", customer=customer)[0]
    made = subscriptions.create(
        till.shop.world,
        {"customer": customer, "items": [{"price": till.shop.prices["pro"]}], "default_payment_method": method["id"]},
    )
    till.deliver()
    # The one that is paid counts no more than the one that came first.
    assert till.current(person)["tier"] == "premium"
    assert made["status"] == "canceled"
    assert till.shop.world.find("charge", customer=customer)[0]["refunded"] is True


def test_card_that_had_its_trial_with_another_account_gets_none_and_pays_nothing(till: Till) -> None:
    till.buy(till.service.person())
    person = till.service.person()
    current = till.buy(person)
    assert (current["tier"], current["trial_available"]) == ("free", False)
    assert current["banner"]["kind"] == "trial_refused"
    assert till.shop.world.find("charge", customer=till.customer(person)) == []
    session = person.post("/api/subscription/checkout", {"tier": "premium", **BUY}).json()["data"]
    assert till.shop.world.get("checkout.session", session["sessionId"])["amount_total"] == 999
    assert till.buy(person)["status"] == "active"


def test_payment_method_that_is_no_card_does_not_break_the_check(till: Till) -> None:
    for _ in range(2):
        person = till.service.person()
        session = person.post("/api/subscription/checkout", {"tier": "premium", **BUY}).json()["data"]
        opened = till.shop.world.get("checkout.session", session["sessionId"])
        checkout.complete(till.shop.world, opened, payment.link_method(till.shop.world))
        answer = person.post("/api/subscription/sync", {"sessionId": session["sessionId"]})
        assert answer.json()["data"]["status"] == "trialing"


def test_trial_is_once_a_user(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.end(till.customer(person))
    till.deliver()
    assert till.current(person)["tier"] == "free"
    assert till.buy(person, number=MASTERCARD)["status"] == "active"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"successUrl": "https://evil.example/"}, "successUrl"),
        ({"successUrl": f"{LOCAL}.evil.example/"}, "successUrl"),
        ({"successUrl": f"{LOCAL}@evil.example/"}, "successUrl"),
        ({"successUrl": "javascript:alert(1)"}, "successUrl"),
        ({"cancelUrl": "//evil.example/"}, "cancelUrl"),
        ({"cancelUrl": f"{LOCAL}/\u202egnp.exe"}, "cancelUrl"),
        ({"cancelUrl": f"{LOCAL}/a\nb"}, "cancelUrl"),
        ({"tier": "free"}, "tier"),
        ({"tier": "gold"}, "tier"),
    ],
)
def test_checkout_that_cannot_be_is_refused(till: Till, changes: dict[str, str], field: str) -> None:
    person = till.service.person()
    refused(person.post("/api/subscription/checkout", {"tier": "premium", **BUY, **changes}), 422, field)
    assert till.shop.world.find("customer") == []


def test_session_of_another_is_not_found(till: Till) -> None:
    owner, other = till.service.person(), till.service.person()
    session = owner.post("/api/subscription/checkout", {"tier": "premium", **BUY}).json()["data"]
    assert other.post("/api/subscription/sync", {"sessionId": session["sessionId"]}).status_code == 404


def test_price_of_another_product_grants_nothing(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    item = till.shop.subscription(till.customer(person))["items"]["data"][0]
    item["price"] = {**item["price"], "id": "price_foreign"}
    till.shop.world.emit("customer.subscription.updated", till.shop.subscription(till.customer(person)))
    till.deliver()
    assert till.current(person)["tier"] == "free"
