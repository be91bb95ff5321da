"""What Stripe's objects mean for a user."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.billing.gateway.remote import RemoteCharge, RemoteInvoice, RemoteSubscription, Snapshot
from services.billing.state import State, live_of, payments_of, state_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)
GRACE = timedelta(days=7)
TIERS = {"price_a": "premium", "price_b": "pro"}


def subscription(**changes: Any) -> RemoteSubscription:
    values: dict[str, Any] = {
        "id": "sub_1",
        "customer_id": "cus_1",
        "status": "active",
        "price_id": "price_a",
        "item_id": "si_1",
        "unit_amount": 999,
        "created": NOW,
        "period_start": NOW,
        "period_end": NOW + timedelta(days=30),
        "cancel_at_period_end": False,
    }
    return RemoteSubscription(**{**values, **changes})


def invoice(**changes: Any) -> RemoteInvoice:
    values: dict[str, Any] = {
        "id": "in_1",
        "status": "paid",
        "amount_due": 999,
        "amount_paid": 999,
        "currency": "usd",
        "created": NOW,
        "finalized_at": NOW,
        "paid_at": NOW,
        "attempt_count": 1,
        "next_attempt_at": None,
        "subscription_id": "sub_1",
        "url": None,
        "payment_intents": ("pi_1",),
    }
    return RemoteInvoice(**{**values, **changes})


def charge(**changes: Any) -> RemoteCharge:
    values: dict[str, Any] = {
        "id": "ch_1",
        "payment_intent": "pi_1",
        "amount": 999,
        "amount_refunded": 0,
        "is_disputed": False,
    }
    return RemoteCharge(**{**values, **changes})


def of(*subscriptions: RemoteSubscription, invoices: tuple[RemoteInvoice, ...] = ()) -> State:
    return state_of(Snapshot(subscriptions=subscriptions, invoices=invoices), TIERS.get, grace=GRACE)


def test_nothing_at_stripe_is_a_free_subscription() -> None:
    assert of() == State(tier="free", status="active")


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "unpaid", "incomplete", "paused"])
def test_status_is_stripes_own(status: str) -> None:
    assert (of(subscription(status=status)).tier, of(subscription(status=status)).status) == ("premium", status)


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
def test_ended_subscription_leaves_a_free_one(status: str) -> None:
    ended = NOW + timedelta(days=3)
    assert of(subscription(status=status, ended_at=ended)) == State(ended_at=ended)


def test_price_that_is_none_of_ours_grants_nothing() -> None:
    assert of(subscription(price_id="price_of_another_product")) == State()


def test_grace_runs_from_the_first_failure_that_is_still_owed() -> None:
    failed = NOW - timedelta(days=2)
    state = of(
        subscription(status="past_due"),
        invoices=(
            invoice(id="in_0", finalized_at=NOW - timedelta(days=40)),
            invoice(id="in_2", status="open", finalized_at=NOW),
            invoice(id="in_1", status="open", finalized_at=failed),
        ),
    )
    assert (state.past_due_since, state.grace_ends_at) == (failed, failed + GRACE)


def test_one_that_grants_counts_before_one_that_does_not_and_the_older_before_the_newer() -> None:
    old = subscription(id="sub_0", status="incomplete", created=NOW - timedelta(days=9))
    first = subscription(id="sub_1")
    second = subscription(id="sub_2", price_id="price_b", created=NOW + timedelta(minutes=1))
    found = Snapshot(subscriptions=(second, old, first))
    assert [each.id for each in live_of(found, TIERS.get)] == ["sub_1", "sub_2", "sub_0"]


def test_planned_price_is_a_pending_tier_unless_the_subscription_ends_first() -> None:
    assert of(subscription(price_id="price_b", next_price_id="price_a")).pending_tier == "premium"
    assert of(subscription(next_price_id="price_b", cancel_at_period_end=True)).pending_tier is None
    assert of(subscription(next_price_id="price_a")).pending_tier is None


@pytest.mark.parametrize(
    ("changes", "charges", "status"),
    [
        ({}, (charge(),), "succeeded"),
        ({}, (charge(amount_refunded=999),), "refunded"),
        ({}, (charge(amount_refunded=500),), "succeeded"),
        ({}, (charge(is_disputed=True),), "disputed"),
        ({"status": "open", "amount_paid": 0, "paid_at": None, "payment_intents": ()}, (), "failed"),
        ({"status": "uncollectible", "amount_paid": 0, "payment_intents": ()}, (), "failed"),
        ({"status": "void", "amount_paid": 0, "payment_intents": ()}, (), "void"),
    ],
)
def test_payment_has_the_status_of_its_invoice_and_charge(
    changes: dict[str, Any], charges: tuple[RemoteCharge, ...], status: str
) -> None:
    (payment,) = payments_of(Snapshot(invoices=(invoice(**changes),), charges=charges))
    assert (payment.status, payment.amount_cents) == (status, 999)
    assert payment.refunded_cents == sum(each.amount_refunded for each in charges)


def test_invoice_of_nothing_and_one_that_was_not_tried_are_no_payments() -> None:
    trial = invoice(amount_due=0, amount_paid=0, payment_intents=())
    waiting = invoice(id="in_2", status="open", attempt_count=0, amount_paid=0)
    assert payments_of(Snapshot(invoices=(trial, waiting))) == []
