"""Jobs of billing: syncs with Stripe, the nightly comparison, and mails."""

from collections.abc import Mapping

from db import stripe_events as rows
from services.billing import customer as customers
from services.billing import sync as syncing
from services.billing.reconciliation import reconcile
from services.errors import NotFoundError, UnavailableError
from services.jobs.payload import EndSubscriptionPayload, SyncSubscriptionPayload, UpdateCustomerPayload, payload_of
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.execution import Work
from workers.runtime import Runtime

EVENT_DAYS = 90
BATCH = 5000


def sync_subscription(runtime: Runtime, attempt: Attempt) -> Publish:
    """Sync one user's rows with Stripe."""
    if runtime.billing is None:
        raise UnavailableError("Billing is not configured on this worker; set the STRIPE_… variables there too.")
    try:
        is_changed = syncing.sync(runtime.billing, user_id=payload_of(attempt.job, SyncSubscriptionPayload).user_id)
    except NotFoundError:
        return Result({"changed": False, "user": "gone"})
    return Result({"changed": is_changed})


def end_subscription(runtime: Runtime, attempt: Attempt) -> Publish:
    """End a deleted account's subscriptions at Stripe."""
    if runtime.billing is None:
        raise UnavailableError("Billing is not configured on this worker; set the STRIPE_… variables there too.")
    found = runtime.billing.gateway.fetch(payload_of(attempt.job, EndSubscriptionPayload).customer_id)
    over = [each.id for each in found.subscriptions if not each.is_over]
    for subscription_id in over:
        runtime.billing.gateway.cancel_now(subscription_id)
    return Result({"ended": over})


def update_customer(runtime: Runtime, attempt: Attempt) -> Publish:
    """Copy the user's current address to Stripe."""
    if runtime.billing is None:
        raise UnavailableError("Billing is not configured on this worker; set the STRIPE_… variables there too.")
    user_id = payload_of(attempt.job, UpdateCustomerPayload).user_id
    return Result({"updated": customers.update_address(runtime.billing, user_id=user_id)})


def reconcile_subscriptions(runtime: Runtime, _attempt: Attempt) -> Publish:
    """Compare all rows with Stripe's objects, and repair differences."""
    if runtime.billing is None:
        return Result({"compared": 0})
    return Result(dict(reconcile(runtime.billing)))


def prune_stripe_events(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Delete old processed events."""
    return lambda tx: {"pruned": rows.prune_events(tx, days=EVENT_DAYS, limit=BATCH)}


BILLING: Mapping[str, Work] = {
    "sync_subscription": sync_subscription,
    "end_subscription": end_subscription,
    "update_customer": update_customer,
    "reconcile_subscriptions": reconcile_subscriptions,
    "prune_stripe_events": prune_stripe_events,
}
