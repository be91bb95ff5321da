"""Changing and ending a subscription over HTTP, with the real SDK on the small Stripe behind it."""

from datetime import UTC, datetime

from support.api.server import PASSWORD, refused
from support.stripe.shop import DAY_S, FAILS_LATER, MASTERCARD, run_syncs
from support.stripe.till import Till

from db.connection import SERVICE
from services.accounts import service as accounts
from services.accounts.link import email_link
from services.billing import customer as customers


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
    assert [n["kind"] for n in till.mails(person)] == ["payment_failed"]
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


def test_mails_are_keyed_so_that_repeated_events_mail_once(till: Till) -> None:
    person = till.service.person()
    till.buy(person, number=FAILS_LATER)
    till.shop.pass_days(12)
    events = till.shop.new_events()
    assert till.service.deps.billing is not None
    for event in [*events, *reversed(events)]:
        till.send(event)
        run_syncs(till.service.deps.database, till.service.deps.billing)
    assert [n["kind"] for n in till.mails(person)] == ["payment_failed"]
    assert till.mails(person)[0]["key"].endswith(":2")


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
    assert [n["kind"] for n in till.mails(person)].count("withdrawal_confirmed") == 1


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


def test_deleted_account_ends_its_subscription(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    customer = till.customer(person)
    answer = person.request("DELETE", "/api/me", json={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    (job,) = till.service.rows("SELECT payload FROM jobs WHERE kind = 'end_subscription'")
    assert job["payload"] == {"customer_id": customer}


def test_new_address_of_the_account_reaches_stripe(till: Till) -> None:
    person = till.service.person()
    till.buy(person)
    customer = till.shop.world.get("customer", till.customer(person))
    assert customer["email"] == person.email
    database, billing = till.service.deps.database, till.service.deps.billing
    assert billing is not None
    with database.transaction(SERVICE) as tx:
        token = email_link(tx, user_id=person.id, new_email="new@example.org", now=datetime.now(UTC))
        accounts.verify(tx, token=token)
    (job,) = till.service.rows("SELECT payload FROM jobs WHERE kind = 'update_customer'")
    assert job["payload"] == {"user_id": str(person.id)}
    assert customers.update_address(billing, user_id=person.id) is True
    assert customer["email"] == "new@example.org"


def test_new_address_of_somebody_who_never_bought_asks_nothing_of_stripe(till: Till) -> None:
    person = till.service.person()
    with till.service.deps.database.transaction(SERVICE) as tx:
        token = email_link(tx, user_id=person.id, new_email="new@example.org", now=datetime.now(UTC))
        accounts.verify(tx, token=token)
    assert till.service.rows("SELECT 1 FROM jobs WHERE kind = 'update_customer'") == []
