"""A year of events in any order, repeated and delayed, ends in the state that Stripe ends in."""

import os
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.servers.fleet import add_user
from support.stripe.shop import FAILS_LATER, MASTERCARD, PAYS, Shop, receive, run_syncs

from cli.embedded.stripe.world import StripeError
from db.connection import SERVICE, Database
from services.billing import checkout as checkouts
from services.billing import subscription as subscriptions
from services.billing import sync as syncing
from services.billing.state import payments_of, state_of
from services.billing.sync import Billing
from services.errors import DomainError

pytestmark = pytest.mark.timeout(1800)
EXAMPLES = int(os.environ.get("BILLING_EXAMPLES") or (200 if os.environ.get("CI") else 25))
Step = Callable[["Year"], None]


class Year:
    """One user's year: what happens at Stripe, and the events that have not arrived yet."""

    def __init__(self, database: Database, random: Random) -> None:
        self.database, self.random = database, random
        self.shop = Shop()
        self.billing: Billing = self.shop.billing(database)
        self.user_id: UUID = add_user(database)
        self.held: list[dict[str, Any]] = []
        self.customer = self.buy(random.choice((PAYS, MASTERCARD)), tier=random.choice(("premium", "pro")))

    def buy(self, number: str, *, tier: str) -> str:
        session = checkouts.open_checkout(
            self.billing,
            user_id=self.user_id,
            email="a@example.org",
            tier=tier,
            success_url="http://x.example/",
            cancel_url="http://x.example/",
        )
        self.shop.pay(session.id, number)
        return str(session.customer_id)

    def deliver(self, share: float) -> None:
        """Let some of what is on its way arrive, in any order, now and then twice; and a worker may run."""
        self.held += self.shop.new_events()
        self.random.shuffle(self.held)
        arriving = self.held[: round(len(self.held) * share)]
        self.held = self.held[len(arriving) :]
        for event in arriving:
            receive(self.database, self.billing, event)
            if self.random.random() < 0.2:
                self.held.append(event)
        if self.random.random() < 0.5:
            run_syncs(self.database, self.billing)


def act(action: Callable[[Year], None]) -> Step:
    def step(year: Year) -> None:
        with suppress(DomainError, StripeError):  # the year may be in a state in which nobody can do this
            action(year)

    return step


STEPS: dict[str, Step] = {
    "week": lambda year: year.shop.pass_days(7.5),
    "month": lambda year: year.shop.pass_days(31),
    "quarter": lambda year: year.shop.pass_days(92),
    "card fails": lambda year: year.shop.set_card(year.customer, "fails_later"),
    "card pays": lambda year: year.shop.set_card(year.customer, "pays"),
    "to pro": act(lambda year: subscriptions.change(year.billing, user_id=year.user_id, tier="pro")),
    "to premium": act(lambda year: subscriptions.change(year.billing, user_id=year.user_id, tier="premium")),
    "cancel": act(lambda year: subscriptions.cancel(year.billing, user_id=year.user_id)),
    "resume": act(lambda year: subscriptions.resume(year.billing, user_id=year.user_id)),
    "withdraw": act(lambda year: subscriptions.withdraw(year.billing, user_id=year.user_id)),
    "dispute": lambda year: year.shop.dispute(year.customer) if charges(year) else None,
    "refund": lambda year: year.shop.refund(year.customer) if refundable(year) else None,
    "ends in the dashboard": lambda year: None if is_over(year) else year.shop.end(year.customer),
    "buys again": act(lambda year: year.buy(FAILS_LATER, tier="pro") and None),
}


def charges(year: Year) -> list[dict[str, Any]]:
    return year.shop.world.find("charge", customer=year.customer)


def refundable(year: Year) -> bool:
    return bool(charges(year)) and not charges(year)[0]["refunded"]


def is_over(year: Year) -> bool:
    return year.shop.subscription(year.customer)["status"] in ("canceled", "incomplete_expired")


def check(year: Year) -> None:
    """The rows are what a fresh look at Stripe says."""
    found = year.billing.gateway.fetch(year.customer)
    state = state_of(found, year.billing.settings.tier_of_price, grace=timedelta(days=7))
    row = syncing.load(year.billing, year.user_id)
    for name in state.__struct_fields__:
        assert getattr(row, name) == getattr(state, name), name
    with year.database.transaction(SERVICE) as tx:
        kept = tx.execute(
            "SELECT stripe_invoice_id, status, amount_cents, refunded_cents FROM payment_history WHERE user_id = %s",
            (year.user_id,),
        ).fetchall()
        waiting = tx.execute(
            "SELECT count(*) AS n FROM stripe_events WHERE customer_id = %s AND processed_at IS NULL", (year.customer,)
        ).fetchone()
    assert {tuple(each.values()) for each in kept} == {
        (each.stripe_invoice_id, each.status, each.amount_cents, each.refunded_cents) for each in payments_of(found)
    }
    assert waiting is not None
    assert waiting["n"] == 0
    assert len([each for each in found.subscriptions if not each.is_over]) <= 1


# Not shrunk: an example takes a quarter of a second, and its seed says which it was.
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
    derandomize=bool(os.environ.get("CI")),
)
@given(
    names=st.lists(st.sampled_from(sorted(STEPS)), min_size=4, max_size=12),
    shares=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=12, max_size=12),
    seed=st.integers(0, 2**16),
)
def test_any_order_of_a_years_events_ends_in_stripes_state(
    database: Database, names: list[str], shares: list[float], seed: int
) -> None:
    year = Year(database, Random(seed))  # noqa: S311 - an order of events, no secret
    for name, share in zip(names, shares, strict=False):
        STEPS[name](year)
        year.deliver(share)
    year.random.random = lambda: 1.0  # type: ignore[method-assign] # nothing is repeated or postponed
    year.deliver(1.0)
    run_syncs(database, year.billing)
    check(year)
