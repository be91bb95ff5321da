"""Syncs a user's rows with Stripe: fetches and writes under one lease, whatever caused it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import msgspec
import structlog
from msgspec import Struct

from db import billing as rows
from db import stripe_events as event_rows
from db.billing import Subscription
from db.connection import SERVICE, Database, Transaction
from services.billing import notice as notices
from services.billing.gateway.call import MissingAtStripeError
from services.billing.gateway.client import Gateway
from services.billing.gateway.remote import RemoteSubscription, Snapshot
from services.billing.state import State, live_of, payments_of, state_of
from services.errors import NotFoundError, UnavailableError
from services.process.settings import Settings, SettingsError
from services.process.stripe_settings import StripeSettings

LEASE_S = 60.0
"""Longer than the calls of one sync; after this the lease of a dead holder can be taken."""
WAIT_S = 25.0
POLL_S = 0.1
COMPARED = ("tier", "status", "stripe_subscription_id", "current_period_end", "cancel_at_period_end", "pending_tier")

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


class Billing(Struct, frozen=True, kw_only=True):
    """The dependencies of billing: a database, since no transaction stays open during a call to Stripe."""

    database: Database
    gateway: Gateway
    settings: StripeSettings
    clock: Callable[[], datetime] = utc_now


def open_billing(settings: Settings, database: Database) -> Billing | None:
    """Return the dependencies of billing, or None if the settings name no Stripe account."""
    if settings.stripe is None:
        return None
    return Billing(database=database, gateway=Gateway(settings.stripe), settings=settings.stripe)


def require_own_mode(billing: Billing) -> None:
    """Raise SettingsError when a price is unknown to the key's account or of the other mode.

    If Stripe does not answer, nothing is raised: a start must not depend on Stripe.
    """
    try:
        modes = billing.gateway.find_price_modes()
    except MissingAtStripeError as error:
        raise SettingsError(
            f"{error.message.rstrip('.')}; is the price of the other mode, or of another account?"
        ) from error
    except UnavailableError as error:
        log.warning("stripe_prices_not_checked", error=error.message)
        return
    for name, is_live in modes.items():
        if is_live == billing.settings.is_test:
            raise SettingsError(f"STRIPE_{name.upper()} and STRIPE_SECRET_KEY are of different modes")


class Lease(Struct, frozen=True, kw_only=True):
    """The right to change one user's subscription."""

    user_id: UUID
    token: UUID
    taken_at: datetime


class LeaseLostError(UnavailableError):
    """The lease ran out before the write; another process syncs now."""


def sync(billing: Billing, *, user_id: UUID) -> bool:
    """Sync a user's rows with Stripe; return whether the subscription changed."""
    with holding(billing, user_id=user_id) as lease:
        return sync_held(billing, lease)


@contextmanager
def holding(billing: Billing, *, user_id: UUID) -> Iterator[Lease]:
    """Hold a user's lease for the block; UnavailableError if another holder does not end in time."""
    lease = _take(billing, user_id)
    try:
        yield lease
    finally:
        with billing.database.transaction(SERVICE) as tx:
            rows.drop_lease(tx, user_id=user_id, token=lease.token)


def sync_held(billing: Billing, lease: Lease) -> bool:
    """Sync under a lease that is held already."""
    before = load(billing, lease.user_id)
    if before.stripe_customer_id is None:
        return False
    found, is_refused = _settled(billing, lease.user_id, billing.gateway.fetch(before.stripe_customer_id))
    state = state_of(found, billing.settings.tier_of_price, grace=timedelta(days=billing.settings.grace_days))
    now = billing.clock()
    with billing.database.transaction(SERVICE) as tx:
        is_written = rows.write_state(
            tx,
            user_id=lease.user_id,
            token=lease.token,
            state=state,
            trial_used_at=_trial_used_at(found),
            trial_refused_at=now if is_refused else None,
        )
        if not is_written:
            raise LeaseLostError("Stripe took too long to answer; this is tried again.")
        rows.upsert_payments(tx, user_id=lease.user_id, payments=payments_of(found))
        if state.stripe_subscription_id is not None:
            rows.complete_checkouts(tx, user_id=lease.user_id)
        event_rows.finish_events(tx, customer_id=before.stripe_customer_id, before=lease.taken_at)
        notices.announce(tx, before=before, state=state, found=found, is_refused=is_refused, now=now)
        after = find(tx, user_id=lease.user_id)
    return difference(before, after) != {}


def load(billing: Billing, user_id: UUID) -> Subscription:
    """Return a user's subscription in a transaction of its own."""
    with billing.database.transaction(SERVICE) as tx:
        return find(tx, user_id=user_id)


def find(tx: Transaction, *, user_id: UUID) -> Subscription:
    """Return a user's subscription; NotFoundError when there is no such user."""
    found = rows.find_subscription(tx, user_id=user_id)
    if found is None:
        raise NotFoundError("There is no such user.")
    return found


def difference(before: Subscription | State, after: Subscription | State) -> dict[str, list[Any]]:
    """Return field → values before and after, for the fields that Stripe decides."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in COMPARED}
    return {name: msgspec.to_builtins([old, new]) for name, (old, new) in pairs.items() if old != new}


def live(billing: Billing, found: Snapshot) -> list[RemoteSubscription]:
    """Return the subscriptions that have not ended, the one that counts first."""
    return live_of(found, billing.settings.tier_of_price)


def _take(billing: Billing, user_id: UUID) -> Lease:
    token = uuid4()
    deadline_s = time.monotonic() + WAIT_S
    while True:
        with billing.database.transaction(SERVICE) as tx:
            taken_at = rows.take_lease(tx, user_id=user_id, token=token, lease_s=LEASE_S)
            if taken_at is None:
                find(tx, user_id=user_id)
        if taken_at is not None:
            return Lease(user_id=user_id, token=token, taken_at=taken_at)
        if time.monotonic() > deadline_s:
            raise UnavailableError(
                "Another change of this subscription is under way; try again in a moment.", reason="busy"
            )
        time.sleep(POLL_S)


def _settled(billing: Billing, user_id: UUID, found: Snapshot) -> tuple[Snapshot, bool]:
    """End second subscriptions at Stripe, and trials of a card that has had one.

    Return the state after that, and whether a trial was refused.
    """
    there = live(billing, found)
    if not there:
        return found, False
    current, extra = there[0], there[1:]
    is_refused = not _may_try(billing, user_id, current)
    if not extra and not is_refused:
        return found, False
    for each in [*extra, current] if is_refused else extra:
        log.warning("subscription_ended_by_us", subscription_id=each.id, is_refused_trial=each is current)
        billing.gateway.cancel_now(each.id)
    for each in extra:
        refund_all(billing, found, each.id)
    return billing.gateway.fetch(current.customer_id), is_refused


def refund_all(billing: Billing, found: Snapshot, subscription_id: str, *, share: float = 1.0) -> int:
    """Refund a subscription, once however often this is called; return the cents."""
    intents = {
        intent for each in found.invoices if each.subscription_id == subscription_id for intent in each.payment_intents
    }
    total = 0
    for charge in found.charges:
        amount = min(round(charge.amount * share), charge.amount - charge.amount_refunded)
        if charge.payment_intent in intents and not charge.is_disputed and amount > 0:
            billing.gateway.refund(charge, amount=amount, key=f"refund-{charge.id}")
            total += amount
    return total


def _may_try(billing: Billing, user_id: UUID, current: RemoteSubscription) -> bool:
    """Return whether a trial may continue: its card has had none with another account. Only cards are checked."""
    if current.status != "trialing" or current.fingerprint is None:
        return True
    with billing.database.transaction(SERVICE) as tx:
        return rows.claim_card(tx, user_id=user_id, fingerprint_hash=sha256(current.fingerprint.encode()).digest())


def _trial_used_at(found: Snapshot) -> datetime | None:
    return min((each.created for each in found.subscriptions if each.trial_end is not None), default=None)
