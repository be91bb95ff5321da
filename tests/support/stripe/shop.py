"""A shop: the small Stripe with our two prices, and billing that uses it through the real SDK."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import stripe
from support.stripe.world import SECRET_KEY, WEBHOOK_SECRET, InProcess

from cli.embedded.stripe import checkout, payment, subscriptions, timeline
from cli.embedded.stripe.courier import signature
from cli.embedded.stripe.world import World
from db.connection import SERVICE, Database
from services.billing import stripe_event as stripe_events
from services.billing import sync as syncing
from services.billing.gateway.client import Gateway
from services.billing.sync import Billing
from services.process.stripe_settings import StripeSettings

DAY_S = 86_400
PAYS, DECLINES, FAILS_LATER = "4242424242424242", "4000000000000002", "4000000000000341"
MASTERCARD = "5555555555554444"


class Shop:
    """A world with prices; `events` holds back what happened until a test delivers it."""

    def __init__(self) -> None:
        self.world = World()
        self.prices = {tier: self._price(tier, cents) for tier, cents in (("premium", 999), ("pro", 1999))}
        self.world.events.clear()
        self.delivered = 0

    def _price(self, tier: str, cents: int) -> str:
        product = self.world.new("product", name=f"Big Snuggles {tier.title()}")
        made = self.world.new("price", product=product["id"], unit_amount=cents, currency="usd", lookup_key=tier)
        return str(made["id"])

    def reset(self) -> None:
        """Forget everything but the prices."""
        world = self.world
        world.objects = {name: each for name, each in world.objects.items() if each["object"] in ("product", "price")}
        world.notes, world.ahead_s = {}, 0
        world.answers.clear()
        world.events.clear()
        self.delivered = 0

    def settings(self, **changes: Any) -> StripeSettings:
        values: dict[str, Any] = {
            "secret_key": SECRET_KEY,
            "publishable_key": "pk_test_of_a_simulation",
            "webhook_secret": WEBHOOK_SECRET,
            "price_premium": self.prices["premium"],
            "price_pro": self.prices["pro"],
            "api_base": self.world.base_url,
            "automatic_tax": False,
            "promotion_codes": True,
            "trial_end": "cancel",
            "grace_days": 7,
            "withdrawal_refund": "full",
        }
        return StripeSettings(**{**values, **changes})

    def billing(self, database: Database, **changes: Any) -> Billing:
        settings = self.settings(**changes)
        return Billing(
            database=database, gateway=Gateway(settings, http_client=InProcess(self.world)), settings=settings
        )

    def pay(self, session_id: str, number: str = PAYS) -> None:
        """Fill in the checkout page."""
        session = self.world.get("checkout.session", session_id)
        checkout.complete(self.world, session, payment.card_method(self.world, number))

    def pass_days(self, days: float) -> None:
        timeline.advance(self.world, int(days * DAY_S))

    def subscription(self, customer_id: str) -> dict[str, Any]:
        return self.world.find("subscription", customer=customer_id)[0]

    def set_card(self, customer_id: str, behaves: str) -> None:
        """Let the card of a customer's subscription pay or fail from now on."""
        for method in self.world.find("payment_method", customer=customer_id):
            self.world.note(method["id"])["behaves"] = behaves

    def remove_cards(self, customer_id: str) -> None:
        """Detach every payment method of a customer, as in Stripe's dashboard."""
        self.world.get("customer", customer_id)["invoice_settings"]["default_payment_method"] = None
        self.subscription(customer_id)["default_payment_method"] = None
        for method in self.world.find("payment_method", customer=customer_id):
            method["customer"] = None

    def dispute(self, customer_id: str) -> None:
        payment.dispute(self.world, self.world.find("charge", customer=customer_id)[0])

    def refund(self, customer_id: str) -> None:
        payment.refund(self.world, {"charge": self.world.find("charge", customer=customer_id)[0]["id"]})

    def end(self, customer_id: str) -> None:
        subscriptions.end(self.world, self.subscription(customer_id))

    def new_events(self) -> list[dict[str, Any]]:
        """What has happened since the last call."""
        found = self.world.events[self.delivered :]
        self.delivered = len(self.world.events)
        return found


def signed(event: dict[str, Any], *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> tuple[bytes, str]:
    """An event's body and its signature."""
    body = json.dumps(event)
    return body.encode(), signature(body, secret, at=int(time.time() if at is None else at))


def receive(database: Database, billing: Billing, event: dict[str, Any]) -> None:
    """Take an event as the webhook's route does."""
    body, header = signed(event)
    with database.transaction(SERVICE) as tx:
        stripe_events.receive(tx, billing.settings, body=body, header=header, now=billing.clock())


def run_syncs(database: Database, billing: Billing) -> int:
    """Do the syncs that wait, as a worker does; return how many."""
    with database.transaction(SERVICE) as tx:
        waiting = tx.execute(
            "DELETE FROM jobs WHERE kind = 'sync_subscription' RETURNING payload ->> 'user_id' AS user_id"
        ).fetchall()
    for row in waiting:
        syncing.sync(billing, user_id=UUID(row["user_id"]))
    return len(waiting)


@contextmanager
def sdk(shop: Shop) -> Iterator[stripe.StripeClient]:
    """The SDK on a shop's world, for what a person would do in Stripe's dashboard."""
    addresses: Any = {"api": shop.world.base_url}
    yield stripe.StripeClient(SECRET_KEY, base_addresses=addresses, http_client=InProcess(shop.world))
