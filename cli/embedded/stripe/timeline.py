"""Events of the simulated clock: trials end, periods renew, payments are retried, sessions expire."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from cli.embedded.stripe import checkout, subscriptions
from cli.embedded.stripe.invoices import subscription_of, void
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.subscriptions import INCOMPLETE_S, WARN_BEFORE_S
from cli.embedded.stripe.world import World

Due = tuple[int, str, Callable[[], object]]


def advance(world: World, seconds: int) -> None:
    """Advance the clock and run every due event at its own time."""
    world.ahead_s += seconds
    tick(world)


def tick(world: World) -> None:
    """Run all due events, in order."""
    while (due := min(_due(world), default=None, key=lambda each: each[:2])) is not None and due[0] <= world.now:
        with _at(world, due[0]):
            due[2]()


@contextmanager
def _at(world: World, moment: int) -> Iterator[None]:
    world.at = moment
    try:
        yield
    finally:
        world.at = None


def _due(world: World) -> Iterator[Due]:
    for each in list(world.objects.values()):
        kind = each.get("object")
        if kind == "subscription":
            yield from _due_of_subscription(world, each)
        elif kind == "invoice" and each["status"] == "open" and each["next_payment_attempt"] is not None:
            yield each["next_payment_attempt"], each["id"], partial(_try_again, world, each)
        elif kind == "checkout.session" and each["status"] == "open":
            yield each["expires_at"], each["id"], partial(checkout.expire, world, each)


def _due_of_subscription(world: World, subscription: Json) -> Iterator[Due]:
    status, name = subscription["status"], subscription["id"]
    if status == "trialing":
        if not world.note(name).get("warned"):
            yield subscription["trial_end"] - WARN_BEFORE_S, name, lambda: subscriptions.warn(world, subscription)
        yield subscription["trial_end"], name, lambda: subscriptions.end_trial(world, subscription)
    elif status in ("active", "past_due"):
        yield subscriptions.period_of(subscription)[1], name, lambda: subscriptions.renew(world, subscription)
    elif status == "incomplete":
        yield subscription["created"] + INCOMPLETE_S, name, lambda: _give_up(world, subscription)


def _try_again(world: World, invoice: Json) -> None:
    subscription = world.get("subscription", subscription_of(invoice))
    subscriptions.collect(world, subscription, invoice)


def _give_up(world: World, subscription: Json) -> None:
    subscription.update(status="incomplete_expired", ended_at=world.now)
    invoice = world.objects.get(str(subscription["latest_invoice"]))
    if invoice is not None and invoice["status"] == "open":
        void(world, invoice)
    world.emit("customer.subscription.updated", subscription)
