"""Buying, changing and ending a subscription over HTTP, with the real SDK on the small Stripe behind it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from msgspec.structs import replace
from support.api.server import LOCAL, PASSWORD, Person, Service, refused, serving
from support.servers.databases import clone_of_template, settings_for
from support.stripe.shop import DAY_S, DECLINES, FAILS_LATER, MASTERCARD, PAYS, Shop, run_syncs, signed
from support.stripe.world import SECRET_KEY, InProcess, stripe_server

from cli.embedded.postgres import PostgresServer
from cli.embedded.stripe import checkout, payment, subscriptions
from cli.embedded.stripe.world import StripeError
from cli.embedded.valkey import ValkeyServer
from db.connection import SERVICE
from db.quotas import list_tiers
from services.billing import quota as quotas
from services.billing import sync as syncing
from services.billing.gateway.setup import SetupGateway
from services.billing.reconciliation import reconcile
from services.billing.setup import set_up
from services.billing.sync import require_own_mode
from services.errors import QuotaExceededError
from services.process.settings import SettingsError

BUY = {"successUrl": f"{LOCAL}/subscription/success", "cancelUrl": f"{LOCAL}/pricing"}


class Till:
    """The service, the shop behind it, and what a browser does between the two."""

    def __init__(self, service: Service, shop: Shop) -> None:
        self.service, self.shop = service, shop

    def buy(self, person: Person, tier: str = "premium", number: str = PAYS) -> dict[str, Any]:
        """Check out, pay, and come back to the success page."""
        session = person.post("/api/subscription/checkout", {"tier": tier, **BUY}).json()["data"]
        self.shop.pay(session["sessionId"], number)
        answer = person.post("/api/subscription/sync", {"sessionId": session["sessionId"]})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def current(self, person: Person) -> dict[str, Any]:
        return dict(person.get("/api/subscription/current").json()["data"])

    def send(self, event: dict[str, Any], **how: Any) -> httpx.Response:
        body, header = signed(event, **how)
        return self.service.client.post("/api/subscription/webhook", content=body, headers={"Stripe-Signature": header})

    def deliver(self) -> None:
        """All events arrive, and a worker runs."""
        for event in self.shop.new_events():
            assert self.send(event).status_code == 200
        assert self.service.deps.billing is not None
        run_syncs(self.service.deps.database, self.service.deps.billing)

    def customer(self, person: Person) -> str:
        row = self.service.rows("SELECT stripe_customer_id AS id FROM subscriptions WHERE user_id = %(u)s", u=person.id)
        return str(row[0]["id"])


@pytest.fixture(scope="module")
def running_till(
    postgres_server: PostgresServer, valkey_server: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Till]:
    shop = Shop()
    with clone_of_template(postgres_server) as owner_url, stripe_server(shop.world):
        settings = settings_for(
            postgres_server, owner_url, redis_url=valkey_server.url(), folder=tmp_path_factory.mktemp("till")
        )
        with serving(replace(settings, stripe=shop.settings())) as service:
            yield Till(service, shop)


@pytest.fixture
def till(running_till: Till) -> Till:
    """The service and the shop, with nothing in them."""
    with psycopg.connect(running_till.service.owner_url, autocommit=True) as owner:
        owner.execute("TRUNCATE users, jobs, audit_log, stripe_events, trial_cards CASCADE")
    running_till.service.deps.redis.flushall()
    running_till.shop.reset()
    return running_till


def test_everybody_has_a_free_subscription(service: Service) -> None:
    person = service.person()
    current = person.get("/api/subscription/current").json()["data"]
    assert {key: current[key] for key in ("status", "tier", "source", "is_test_mode", "banner")} == {
        "status": "active",
        "tier": "free",
        "source": "free",
        "is_test_mode": False,
        "banner": None,
    }
    tiers = person.get("/api/subscription/tiers").json()["data"]["items"]
    assert [(each["tier"], each["display_name"], each["price_monthly_cents"]) for each in tiers] == [
        ("free", "Free Tier", 0),
        ("premium", "Premium", 999),
        ("pro", "Pro", 1999),
    ]
    assert [each["is_current"] for each in tiers] == [True, False, False]


def test_service_without_stripe_says_so(service: Service) -> None:
    answer = service.person().post("/api/subscription/checkout", {"tier": "pro", **BUY})
    assert refused(answer, 503)["code"] == "billing_not_configured"


def test_usage_and_check_quota_say_what_is_left(service: Service) -> None:
    person = service.person()
    recording = service.ready_recording(person)
    assert person.post("/api/clips", {"recording_id": recording, "start_s": 10, "end_s": 20}).status_code == 202
    usage = person.get("/api/subscription/usage").json()["data"]
    (clips,) = [each for each in usage["items"] if each["feature"] == "clips_per_month"]
    assert (clips["used"], clips["reserved"], clips["limit"], clips["remaining"]) == (0, 1, 5, 4)
    assert {each["feature"] for each in usage["items"]} == {
        "conversations_per_month",
        "clips_per_month",
        "memory_entries",
        "api_calls_per_day",
        "storage_bytes",
    }

    def check(**body: Any) -> dict[str, Any]:
        return dict(person.post("/api/subscription/check-quota", body).json()["data"])

    assert check(feature="clips_per_month", amount=4)["allowed"] is True
    assert check(feature="clips_per_month", amount=5)["allowed"] is False
    assert check(feature="room_creation") == {
        "allowed": False,
        "feature": "room_creation",
        "used": 0,
        "limit": 0,
        "remaining": 0,
        "resets_at": None,
        "upgrade_url": "/pricing",
    }
    refused(person.post("/api/subscription/check-quota", {"feature": "unicorns"}), 422, "feature")


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


def test_upgrade_is_charged_now_and_downgrade_waits_for_the_period(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.pass_days(8)
    till.deliver()
    assert till.current(person)["status"] == "active"
    up = person.post("/api/subscription/change", {"tier": "pro"}).json()["data"]
    assert (up["tier"], up["pending_tier"]) == ("pro", None)
    payments = person.get("/api/subscription/payment-history").json()["data"]["items"]
    assert [each["status"] for each in payments] == ["succeeded", "succeeded"]
    down = person.post("/api/subscription/change", {"tier": "premium"}).json()["data"]
    assert (down["tier"], down["pending_tier"]) == ("pro", "premium")
    till.shop.pass_days(31)
    till.deliver()
    later = till.current(person)
    assert (later["tier"], later["pending_tier"]) == ("premium", None)


def test_declined_upgrade_changes_nothing(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.pass_days(8)
    till.deliver()
    till.shop.set_card(till.customer(person), "fails_later")
    answer = person.post("/api/subscription/change", {"tier": "pro"})
    assert refused(answer, 409)["code"] == "payment_declined"
    assert till.current(person)["tier"] == "premium"


def test_cancel_keeps_the_tier_until_the_end_and_resume_takes_it_back(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    cancelled = person.post("/api/subscription/cancel").json()["data"]
    assert (cancelled["tier"], cancelled["cancel_at_period_end"]) == ("premium", True)
    assert person.post("/api/subscription/resume").json()["data"]["cancel_at_period_end"] is False
    person.post("/api/subscription/cancel")
    till.shop.pass_days(8)
    till.deliver()
    ended = till.current(person)
    assert (ended["tier"], ended["status"], ended["source"]) == ("free", "active", "free")
    assert ended["ended_at"] is not None
    assert refused(person.post("/api/subscription/resume"), 409)["code"] == "no_subscription"


def test_failed_payment_has_grace_then_the_free_tier_then_all_is_well_again(till: Till) -> None:
    person = till.service.person()
    till.buy(person, number=FAILS_LATER)
    till.shop.pass_days(8)
    till.deliver()
    current = till.current(person)
    assert (current["tier"], current["status"], current["banner"]["kind"]) == ("premium", "past_due", "payment_failed")
    assert [n["kind"] for n in notices(till, person)] == ["payment_failed"]
    till.service.execute("UPDATE subscriptions SET grace_ends_at = now() - interval '1 second'")
    over = till.current(person)
    assert (over["tier"], over["status"], over["subscribed_tier"]) == ("free", "past_due", "premium")
    assert person.get("/api/clips").status_code == 200
    till.shop.set_card(till.customer(person), "pays")
    till.shop.pass_days(3)
    till.deliver()
    well = till.current(person)
    assert (well["tier"], well["status"], well["banner"]) == ("premium", "active", None)
    failed = till.service.rows(
        "SELECT COUNT(*) FROM payment_history WHERE status = 'failed' AND payment_date > NOW() - INTERVAL '24 hours'"
    )
    assert failed == [{"count": 0}]


def notices(till: Till, person: Person) -> list[dict[str, Any]]:
    return till.service.rows(
        "SELECT kind, unique_key AS key FROM mails WHERE user_id = %(user)s ORDER BY created_at, unique_key",
        user=person.id,
    )


def test_mails_are_keyed_so_that_repeated_events_mail_once(till: Till) -> None:
    person = till.service.person()
    till.buy(person, number=FAILS_LATER)
    till.shop.pass_days(12)
    events = till.shop.new_events()
    assert till.service.deps.billing is not None
    for event in [*events, *reversed(events)]:
        till.send(event)
        run_syncs(till.service.deps.database, till.service.deps.billing)
    assert [n["kind"] for n in notices(till, person)] == ["payment_failed"]
    assert notices(till, person)[0]["key"].endswith(":2")


def test_withdrawal_ends_refunds_and_confirms_once(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.end(till.customer(person))
    till.deliver()
    till.buy(person, tier="pro", number=MASTERCARD)
    assert till.current(person)["can_withdraw"] is True
    withdrawn = person.post("/api/subscription/withdraw").json()["data"]
    assert (withdrawn["tier"], withdrawn["source"]) == ("free", "free")
    assert person.post("/api/subscription/withdraw").status_code == 200
    payments = person.get("/api/subscription/payment-history").json()["data"]["items"]
    assert [(each["status"], each["refunded_cents"]) for each in payments] == [("refunded", 1999)]
    assert [n["kind"] for n in notices(till, person)].count("withdrawal_confirmed") == 1


def test_withdrawal_after_fourteen_days_is_refused_in_words(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.world.find("subscription")[0]["created"] -= 15 * DAY_S
    assert refused(person.post("/api/subscription/withdraw"), 409)["code"] == "withdrawal_period_over"


def test_dispute_is_reflected(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    till.shop.pass_days(8)
    till.deliver()
    till.shop.dispute(till.customer(person))
    till.deliver()
    payments = person.get("/api/subscription/payment-history").json()["data"]["items"]
    assert [each["status"] for each in payments] == ["disputed"]


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


def bad_requests(event: dict[str, Any]) -> dict[str, tuple[bytes, dict[str, str]]]:
    body, header = signed(event)
    now = int(time.time())
    again = json.dumps(json.loads(body), indent=1).encode()
    return {
        "no signature": (body, {}),
        "of another secret": (body, {"Stripe-Signature": signed(event, secret="whsec_other")[1]}),
        "old": (body, {"Stripe-Signature": signed(event, at=now - 400)[1]}),
        "from the future": (body, {"Stripe-Signature": signed(event, at=now + 400)[1]}),
        "body written again": (again, {"Stripe-Signature": header}),
        "no header at all": (body, {"Stripe-Signature": "nonsense"}),
        "no UTF-8": (b"\xff\xfe", {"Stripe-Signature": header}),
    }


@pytest.mark.parametrize("how", sorted(bad_requests({"id": "evt_1"})))
def test_what_stripe_did_not_sign_is_refused_and_not_stored(till: Till, how: str) -> None:
    event = {"id": "evt_bad", "type": "invoice.paid", "livemode": False, "data": {"object": {"customer": "cus_1"}}}
    body, headers = bad_requests(event)[how]
    answer = till.service.client.post("/api/subscription/webhook", content=body, headers=headers)
    assert refused(answer, 400)["code"] == "invalid_signature"
    assert till.service.rows("SELECT 1 FROM stripe_events") == []


def test_event_of_an_unknown_customer_and_of_the_other_mode_are_stored_without_effect(till: Till) -> None:
    unknown = {"id": "evt_1", "type": "invoice.paid", "livemode": False, "data": {"object": {"customer": "cus_other"}}}
    live = {**unknown, "id": "evt_2", "livemode": True}
    other = {**unknown, "id": "evt_3", "type": "customer.tax_id.created"}
    for event in (unknown, live, other, unknown):
        answer = till.send(event)
        assert answer.json()["data"] == {"received": True}
    stored = till.service.rows("SELECT id, ignored_because FROM stripe_events ORDER BY id")
    assert [tuple(each.values()) for each in stored] == [
        ("evt_1", "unknown_customer"),
        ("evt_2", "other_mode"),
        ("evt_3", "no_effect"),
    ]
    assert till.service.rows("SELECT 1 FROM jobs WHERE kind = 'sync_subscription'") == []


def test_webhook_of_a_megabyte_is_refused(till: Till) -> None:
    answer = till.service.client.post("/api/subscription/webhook", content=b"x" * 2**20)
    assert answer.status_code == 413


def test_price_of_another_product_grants_nothing(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    item = till.shop.subscription(till.customer(person))["items"]["data"][0]
    item["price"] = {**item["price"], "id": "price_foreign"}
    till.shop.world.emit("customer.subscription.updated", till.shop.subscription(till.customer(person)))
    till.deliver()
    assert till.current(person)["tier"] == "free"


def test_quota_is_counted_by_the_subscriptions_own_period(till: Till) -> None:
    person = till.service.person()
    current = till.buy(person)
    usage = person.get("/api/subscription/usage").json()["data"]
    (clips,) = [each for each in usage["items"] if each["feature"] == "clips_per_month"]
    assert (clips["limit"], clips["period_start"], clips["resets_at"]) == (
        50,
        current["current_period_start"],
        current["current_period_end"],
    )


def test_deleted_account_ends_its_subscription(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    customer = till.customer(person)
    answer = person.request("DELETE", "/api/me", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    (job,) = till.service.rows("SELECT payload FROM jobs WHERE kind = 'end_subscription'")
    assert job["payload"] == {"customer_id": customer}


def operator(till: Till) -> dict[str, str]:
    return {"Authorization": f"Bearer {till.service.deps.settings.admin_token}"}


def test_operator_finds_a_user_and_grants_a_tier_for_a_time(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    (found,) = client.get(f"/api/ops/users?q={person.email[:8]}", headers=operator(till)).json()["data"]["items"]
    assert (found["id"], found["tier"]) == (str(person.id), "free")
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    place = f"/api/ops/users/{person.id}/grant"
    granted = client.post(place, json={"tier": "pro", "until": until, "reason": "speaker"}, headers=operator(till))
    assert granted.status_code == 200, granted.text
    assert granted.json()["data"]["tier"] == "pro"
    current = till.current(person)
    assert (current["tier"], current["source"], current["subscribed_tier"]) == ("pro", "grant", "free")
    till.service.execute("UPDATE subscriptions SET granted_until = now() - interval '1 second'")
    assert till.current(person)["tier"] == "free"
    assert till.service.rows("SELECT action, details ->> 'reason' AS reason FROM audit_log") == [
        {"action": "user.grant", "reason": "speaker"}
    ]
    refused(client.post(place, json={"tier": "gold", "reason": "x"}, headers=operator(till)), 422, "tier")
    assert person.get("/api/ops/users").status_code == 403


def test_grant_without_end_outlives_an_abandoned_checkout_and_is_taken_back(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    place = f"/api/ops/users/{person.id}/grant"
    client.post(place, json={"tier": "premium", "reason": "founder"}, headers=operator(till))
    person.post("/api/subscription/checkout", {"tier": "pro", **BUY})
    assert till.service.deps.billing is not None
    syncing.sync(till.service.deps.billing, user_id=person.id)
    assert till.current(person)["tier"] == "premium"
    client.post(place, json={"tier": "free", "reason": "left"}, headers=operator(till))
    syncing.sync(till.service.deps.billing, user_id=person.id)
    assert till.current(person)["tier"] == "free"


def test_figures_and_events_say_how_the_business_does(till: Till) -> None:
    till.buy(till.service.person())
    till.buy(till.service.person(), tier="pro", number=MASTERCARD)
    till.shop.pass_days(8)
    till.deliver()
    client = till.service.client
    figures = client.get("/api/ops/figures", headers=operator(till)).json()["data"]
    assert figures["paying"] == {"premium": 1, "pro": 1}
    assert figures["revenue_monthly_cents"] == 999 + 1999
    assert (figures["checkouts"], figures["payment_completion"], figures["events_waiting"]) == (2, 1.0, 0)
    events = client.get("/api/ops/stripe-events?limit=2", headers=operator(till)).json()["data"]
    assert len(events["items"]) == 2
    more = client.get(f"/api/ops/stripe-events?before={events['next_cursor']}", headers=operator(till)).json()["data"]
    assert not {each["id"] for each in more["items"]} & {each["id"] for each in events["items"]}
    payer = till.service.rows("SELECT user_id FROM payment_history")[0]["user_id"]
    detail = client.get(f"/api/ops/users/{payer}", headers=operator(till)).json()["data"]
    assert [each["status"] for each in detail["payments"]] == ["succeeded"]


def test_event_whose_sync_failed_is_shown_as_failed_and_replayed(till: Till) -> None:
    person, client = till.service.person(), till.service.client
    till.buy(person)
    (event, *_) = [each for each in till.shop.new_events() if each["type"] == "customer.subscription.created"]
    assert till.send(event).status_code == 200
    place = "/api/ops/stripe-events"

    def listed(status: str) -> list[str]:
        answer = client.get(f"{place}?status={status}", headers=operator(till)).json()["data"]
        return [each["id"] for each in answer["items"]]

    assert (listed("waiting"), listed("failed")) == ([event["id"]], [])
    till.service.execute("DELETE FROM jobs WHERE kind = 'sync_subscription'")
    assert (listed("waiting"), listed("failed")) == ([], [event["id"]])
    assert "snuggles_stripe_events_failed 1.0" in till.service.metrics()
    replayed = client.post(f"{place}/{event['id']}/replay", headers=operator(till))
    assert (replayed.status_code, replayed.json()["data"]["status"]) == (202, "waiting")
    till.deliver()
    assert (listed("failed"), event["id"] in listed("processed")) == ([], True)
    assert till.service.rows("SELECT action, subject_id FROM audit_log") == [
        {"action": "stripe_event.replay", "subject_id": event["id"]}
    ]
    strange = {**event, "id": "evt_strange", "type": "product.updated"}
    assert till.send(strange).status_code == 200
    refused(client.post(f"{place}/evt_strange/replay", headers=operator(till)), 409)
    refused(client.post(f"{place}/evt_none/replay", headers=operator(till)), 404)


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


def test_limit_holds_for_two_hundred_at_once(till: Till) -> None:
    person = till.service.person()
    database = till.service.deps.database

    def take(number: int) -> bool:
        try:
            with database.transaction(SERVICE) as tx:
                quotas.reserve(
                    tx, user_id=person.id, feature="conversations_per_month", subject_id=UUID(int=number + 1)
                )
        except QuotaExceededError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(200)))
    assert sum(taken) == 50
    with database.transaction(SERVICE) as tx:
        for number in [each for each, is_taken in enumerate(taken) if is_taken][:20]:
            for _ in range(2):
                quotas.release(tx, subject_id=UUID(int=number + 1))
                quotas.commit(tx, subject_id=UUID(int=number + 1))
        _, usage = quotas.usage(tx, user_id=person.id, now=datetime.now(UTC))
    (found,) = [each for each in usage if each.feature == "conversations_per_month"]
    assert (found.used, found.reserved, found.remaining) == (0, 30, 20)


SEED = """INSERT INTO tier_features (tier, features, display_name, price_monthly) VALUES
('free', '{"conversations_per_month": 50, "clips_per_month": 5, "memory_entries": 1000, "api_calls_per_day":
100, "room_creation": false, "priority_support": false, "analytics": false}', 'Free Tier', 0), ('premium',
'{"conversations_per_month": 500, "clips_per_month": 50, "memory_entries": 5000, "api_calls_per_day": 1000,
"room_creation": true, "priority_support": true, "analytics": false}', 'Premium', 999), ('pro',
'{"conversations_per_month": -1, "clips_per_month": 100, "memory_entries": 10000, "api_calls_per_day": 5000,
"room_creation": true, "priority_support": true, "analytics": true, "api_access": true}', 'Pro', 1999) ON
CONFLICT (tier) DO UPDATE SET features = EXCLUDED.features, display_name = EXCLUDED.display_name, price_monthly =
EXCLUDED.price_monthly;"""


def test_operators_seed_runs_and_the_product_follows_a_row_at_once(till: Till) -> None:
    person = till.service.person()
    with psycopg.connect(till.service.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"clip_length_s\": 60}' WHERE tier = 'free'")
        owner.execute("UPDATE tier_features SET display_name = 'x'")
        owner.execute(SEED)
        try:
            usage = person.get("/api/subscription/usage").json()["data"]
            assert usage["limits"]["clip_length_s"] == 60
            assert usage["abilities"]["api_access"] is False
            free = person.get("/api/subscription/tiers").json()["data"]["items"][0]
            assert (free["display_name"], free["is_current"]) == ("Free Tier", True)
        finally:
            owner.execute("UPDATE tier_features SET limits = '{}'")


def test_queries_of_operators_run_as_they_stand(till: Till) -> None:
    till.service.person()
    for statement in (
        "SELECT tier, COUNT(*) FROM subscriptions WHERE status = 'active' GROUP BY tier",
        "SELECT COUNT(*) FROM payment_history WHERE status = 'failed' AND payment_date > NOW() - INTERVAL '24 hours'",
        "SELECT * FROM tier_features WHERE tier = 'premium'",
    ):
        assert len(till.service.rows(statement)) == 1


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


def test_clips_are_kept_for_as_long_as_the_tier_says(till: Till) -> None:
    person = till.service.person()
    with psycopg.connect(till.service.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"retention_days\": 3}' WHERE tier = 'free'")
        try:
            clip_id = till.service.ready_clip(person)
        finally:
            owner.execute("UPDATE tier_features SET limits = '{}'")
    (row,) = till.service.rows("SELECT expires_at - completed_at AS kept FROM clips WHERE id = %(id)s", id=clip_id)
    assert row["kept"] == timedelta(days=3)
