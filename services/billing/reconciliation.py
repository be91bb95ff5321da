"""Compares our rows with Stripe's objects every night, and repairs and records differences."""

from collections import defaultdict
from datetime import timedelta
from uuid import UUID

import structlog

from db import billing as rows
from db.connection import SERVICE
from services.billing import sync as syncing
from services.billing.gateway.remote import RemoteSubscription, Snapshot
from services.billing.state import state_of
from services.billing.sync import Billing
from services.errors import DomainError

BATCH = 200
FIRST = UUID(int=0)

log = structlog.get_logger(__name__)


def reconcile(billing: Billing) -> dict[str, int]:
    """Compare every customer with Stripe's live subscriptions; return the number of seen, repaired and failed ones."""
    there: dict[str, list[RemoteSubscription]] = defaultdict(list)
    for each in billing.gateway.list_live_subscriptions():
        there[each.customer_id].append(each)
    counts = {"compared": 0, "repaired": 0, "failed": 0}
    after = FIRST
    while page := _customers(billing, after):
        for user_id, customer_id, _ in page:
            counts["compared"] += 1
            if _differs(billing, user_id, there.get(customer_id, [])):
                counts["repaired" if _repair(billing, user_id) else "failed"] += 1
        after = page[-1][0]
    return counts


def _customers(billing: Billing, after: UUID) -> list[tuple[UUID, str, str | None]]:
    with billing.database.transaction(SERVICE) as tx:
        return rows.list_customers(tx, after=after, limit=BATCH)


def _differs(billing: Billing, user_id: UUID, there: list[RemoteSubscription]) -> bool:
    """Return whether a row differs from the list; of a row without a subscription, only that is compared."""
    state = state_of(
        Snapshot(subscriptions=tuple(there)),
        billing.settings.tier_of_price,
        grace=timedelta(days=billing.settings.grace_days),
    )
    row = syncing.load(billing, user_id)
    if state.stripe_subscription_id is None:
        return row.stripe_subscription_id is not None
    return bool(syncing.difference(row, state)) or len(there) > 1


def _repair(billing: Billing, user_id: UUID) -> bool:
    before = syncing.load(billing, user_id)
    try:
        syncing.sync(billing, user_id=user_id)
    except DomainError as error:
        log.warning("reconciliation_failed", owner=str(user_id), error=error.message)
        return False
    after = syncing.load(billing, user_id)
    found = syncing.difference(before, after)
    if found:
        log.warning("subscription_drifted", owner=str(user_id), fields=sorted(found))
        with billing.database.transaction(SERVICE) as tx:
            rows.insert_drift(
                tx,
                user_id=user_id,
                before={name: old for name, (old, _) in found.items()},
                after={name: new for name, (_, new) in found.items()},
            )
    return True
