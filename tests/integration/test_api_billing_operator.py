"""What operators see of billing and do about it, and what sets it up."""

from datetime import UTC, datetime, timedelta

import pytest
from support.api.server import refused
from support.stripe.shop import MASTERCARD
from support.stripe.till import BUY, Till
from support.stripe.world import SECRET_KEY, InProcess

from db.connection import SERVICE
from db.quotas import list_tiers
from services.billing import sync as syncing
from services.billing.gateway.setup import SetupGateway
from services.billing.reconciliation import reconcile
from services.billing.setup import set_up
from services.billing.sync import require_own_mode
from services.process.settings import SettingsError


def test_operator_finds_a_user_and_grants_a_tier_for_a_time(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    (found,) = client.get(f"/api/ops/users?q={person.email[:8]}", headers=till.operator).json()["data"]["items"]
    assert (found["id"], found["tier"]) == (str(person.id), "free")
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    place = f"/api/ops/users/{person.id}/grant"
    granted = client.post(place, json={"tier": "pro", "until": until, "reason": "speaker"}, headers=till.operator)
    assert granted.status_code == 200, granted.text
    assert granted.json()["data"]["tier"] == "pro"
    current = till.current(person)
    assert (current["tier"], current["source"], current["subscribed_tier"]) == ("pro", "grant", "free")
    till.service.execute("UPDATE subscriptions SET granted_until = now() - interval '1 second'")
    assert till.current(person)["tier"] == "free"
    assert till.service.rows("SELECT action, details ->> 'reason' AS reason FROM audit_log") == [
        {"action": "user.grant", "reason": "speaker"}
    ]
    refused(client.post(place, json={"tier": "gold", "reason": "x"}, headers=till.operator), 422, "tier")
    assert person.get("/api/ops/users").status_code == 403


def test_grant_without_end_outlives_an_abandoned_checkout_and_is_taken_back(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    place = f"/api/ops/users/{person.id}/grant"
    client.post(place, json={"tier": "premium", "reason": "founder"}, headers=till.operator)
    person.post("/api/subscription/checkout", {"tier": "pro", **BUY})
    assert till.service.deps.billing is not None
    syncing.sync(till.service.deps.billing, user_id=person.id)
    assert till.current(person)["tier"] == "premium"
    client.post(place, json={"tier": "free", "reason": "left"}, headers=till.operator)
    syncing.sync(till.service.deps.billing, user_id=person.id)
    assert till.current(person)["tier"] == "free"


def test_figures_and_events_say_how_the_business_does(till: Till) -> None:
    till.buy(till.service.person())
    till.buy(till.service.person(), tier="pro", number=MASTERCARD)
    till.shop.pass_days(8)
    till.deliver()
    client = till.service.client
    figures = client.get("/api/ops/figures", headers=till.operator).json()["data"]
    assert figures["paying"] == {"premium": 1, "pro": 1}
    assert (figures["revenue_monthly_cents"], figures["currency"]) == (999 + 1999, "usd")
    assert (figures["checkouts"], figures["payment_completion"], figures["events_waiting"]) == (2, 1.0, 0)
    events = client.get("/api/ops/stripe-events?limit=2", headers=till.operator).json()["data"]
    assert len(events["items"]) == 2
    more = client.get(f"/api/ops/stripe-events?before={events['next_cursor']}", headers=till.operator).json()["data"]
    assert not {each["id"] for each in more["items"]} & {each["id"] for each in events["items"]}
    payer = till.service.rows("SELECT user_id FROM payment_history")[0]["user_id"]
    detail = client.get(f"/api/ops/users/{payer}", headers=till.operator).json()["data"]
    assert [each["status"] for each in detail["payments"]] == ["succeeded"]


def test_event_whose_sync_failed_is_shown_as_failed_and_replayed(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    till.buy(person)
    (event, *_) = [each for each in till.shop.new_events() if each["type"] == "customer.subscription.created"]
    assert till.send(event).status_code == 200
    place = "/api/ops/stripe-events"

    def listed(status: str) -> list[str]:
        answer = client.get(f"{place}?status={status}", headers=till.operator).json()["data"]
        return [each["id"] for each in answer["items"]]

    assert till.send(event).status_code == 200
    counted = till.service.metrics()
    for outcome in ("new", "repeated"):
        assert f'snuggles_stripe_events_total{{outcome="{outcome}",type="{event["type"]}"}}' in counted
    assert (listed("waiting"), listed("failed")) == ([event["id"]], [])
    till.service.execute("DELETE FROM jobs WHERE kind = 'sync_subscription'")
    assert (listed("waiting"), listed("failed")) == ([], [event["id"]])
    figures = client.get("/api/ops/figures", headers=till.operator).json()["data"]
    assert (figures["events_waiting"], figures["events_failed"]) == (1, 1)
    replayed = client.post(f"{place}/{event['id']}/replay", headers=till.operator)
    assert (replayed.status_code, replayed.json()["data"]["status"]) == (202, "waiting")
    till.deliver()
    assert (listed("failed"), event["id"] in listed("processed")) == ([], True)
    assert till.service.rows("SELECT action, subject_id FROM audit_log") == [
        {"action": "stripe_event.replay", "subject_id": event["id"]}
    ]
    strange = {**event, "id": "evt_strange", "type": "product.updated"}
    assert till.send(strange).status_code == 200
    refused(client.post(f"{place}/evt_strange/replay", headers=till.operator), 409)
    refused(client.post(f"{place}/evt_none/replay", headers=till.operator), 404)


def test_comparison_repairs_what_no_event_told_of(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.end(till.customer(person))
    till.shop.new_events()
    billing = till.service.deps.billing
    assert billing is not None
    assert reconcile(billing) == {"compared": 1, "repaired": 1, "failed": 0}
    assert till.current(person)["tier"] == "free"
    (drift,) = till.service.rows("SELECT before, after FROM subscription_drift")
    assert (drift["before"]["tier"], drift["after"]["tier"]) == ("premium", "free")
    assert reconcile(billing) == {"compared": 1, "repaired": 0, "failed": 0}


def test_price_of_the_other_mode_or_account_stops_the_start(till: Till) -> None:
    database = till.service.deps.database
    require_own_mode(till.shop.billing(database))
    with pytest.raises(SettingsError, match="STRIPE_PRICE_PRO: No such price"):
        require_own_mode(till.shop.billing(database, price_pro="price_of_another_account"))
    price = till.shop.world.objects[till.shop.prices["premium"]]
    price["livemode"] = True
    try:
        with pytest.raises(SettingsError, match="STRIPE_PRICE_PREMIUM and STRIPE_SECRET_KEY are of different modes"):
            require_own_mode(till.shop.billing(database))
    finally:
        price["livemode"] = False


def test_set_up_makes_everything_once(till: Till) -> None:
    gateway = SetupGateway(SECRET_KEY, api_base=till.shop.world.base_url, http_client=InProcess(till.shop.world))
    with till.service.deps.database.transaction(SERVICE) as tx:
        tiers = list_tiers(tx)
    first = set_up(gateway, tiers, public_url="https://clips.example")
    assert first.webhook_secret is not None
    made = len(till.shop.world.objects)
    again = set_up(gateway, tiers, public_url="https://clips.example")
    assert (again.prices, again.webhook_id, again.portal_id) == (first.prices, first.webhook_id, first.portal_id)
    assert len(till.shop.world.objects) == made
    prices = [till.shop.world.objects[each] for each in first.prices.values()]
    assert [(each["unit_amount"], each["currency"], each["recurring"]["interval"]) for each in prices] == [
        (999, "usd", "month"),
        (1999, "usd", "month"),
    ]
    endpoint = till.shop.world.objects[first.webhook_id]
    assert endpoint["url"] == "https://clips.example/api/subscription/webhook"
    assert {"checkout.session.completed", "invoice.payment_failed"} <= set(endpoint["enabled_events"])
