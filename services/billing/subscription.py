"""A user's actions on a subscription: change, cancel, resume, withdraw. Each ends with a sync."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from db import billing as rows
from db.billing import Subscription
from db.connection import SERVICE
from services.billing import notice as notices
from services.billing import sync as syncing
from services.billing.gateway.remote import RemoteSubscription, Snapshot
from services.billing.quota import API_CALLS, CLIPS, CONVERSATIONS, MEMORIES, STORAGE, Usage
from services.billing.sync import Billing, Lease
from services.errors import ConflictError, InvalidFieldError, NotFoundError

WITHDRAWAL_DAYS = 14  # Directive 2011/83/EU, article 9
WITHDRAWAL = timedelta(days=WITHDRAWAL_DAYS)
WARN_BEFORE = timedelta(days=3)
NEARLY = 0.1  # a tenth left is when there is still time to choose another tier


WORDS = {
    CLIPS: "clips",
    CONVERSATIONS: "recorded conversations",
    MEMORIES: "saved moments",
    API_CALLS: "API calls",
    STORAGE: "bytes of storage",
}


class NoSubscriptionError(ConflictError):
    """There is no paid subscription to do this with."""

    code = "no_subscription"


class WithdrawalOverError(ConflictError):
    """The 14 days in which a consumer may withdraw are over."""

    code = "withdrawal_period_over"


class Banner(Struct, frozen=True, kw_only=True):
    """A notice about the subscription that every page should show."""

    kind: str
    message: str
    ends_at: datetime | None = None
    action: str | None = None


def source_of(found: Subscription) -> str:
    """Return the source of the tier in force: free, stripe or grant."""
    if found.tier_in_force == "free":
        return "free"
    is_paid = found.stripe_subscription_id is not None and found.tier == found.tier_in_force
    return "stripe" if is_paid else "grant"


def banner_of(found: Subscription, *, now: datetime) -> Banner | None:
    """Return the most important notice, or None."""
    if found.status in ("past_due", "unpaid", "incomplete", "paused"):
        return _failed_banner(found, now)
    if found.status == "trialing" and found.trial_ends_at is not None:
        return _trial_banner(found, found.trial_ends_at, now)
    if found.trial_refused_at is not None and found.stripe_subscription_id is None:
        message = "This card has had its trial already, so none was begun and nothing was charged. You can subscribe."
        return Banner(kind="trial_refused", message=message, action="pricing")
    if found.cancel_at_period_end and found.current_period_end is not None:
        message = f"{found.tier.title()} ends on {found.current_period_end:%Y-%m-%d}."
        return Banner(kind="ending", message=message, ends_at=found.current_period_end, action="resume")
    return None


def limit_banner(found: Sequence[Usage]) -> Banner | None:
    """Return a notice about an allowance that is nearly or fully used, or None."""
    for usage in found:
        if usage.feature in WORDS and usage.limit > 0 and usage.remaining <= usage.limit * NEARLY:
            what = f"{usage.limit - usage.remaining} of {usage.limit} {WORDS[usage.feature]}"
            until = f" until {usage.period.end:%Y-%m-%d}" if usage.period.end else ""
            return Banner(
                kind="limit", message=f"You have used {what}{until}.", ends_at=usage.period.end, action="pricing"
            )
    return None


def can_withdraw(found: Subscription, *, now: datetime) -> bool:
    """Return whether the 14 days may still run. If the period began earlier, they are over."""
    start = found.current_period_start
    return found.stripe_subscription_id is not None and start is not None and now - start <= WITHDRAWAL


def change(billing: Billing, *, user_id: UUID, tier: str) -> None:
    """Change the tier: up at once with the difference charged, down when the period ends, to `free` by cancelling.

    InvalidFieldError for a tier that does not exist; NoSubscriptionError; PaymentDeclinedError, and no change.
    """
    if tier not in ("free", "premium", "pro"):
        raise InvalidFieldError("tier", f"There is no tier {tier!r}; choose free, premium or pro.")
    if tier == "free":
        cancel(billing, user_id=user_id)
        return
    price_id = billing.settings.price_of_tier(tier)
    with syncing.holding(billing, user_id=user_id) as lease:
        current = _current(billing, lease)
        if current.status not in ("active", "trialing"):
            raise ConflictError(
                "A payment is open. Change the card first, then the tier.", status=current.status, reason="payment_open"
            )
        _drop_plans(billing, current)
        if current.price_id != price_id:
            if current.status == "trialing" or _is_higher(tier, billing.settings.tier_of_price(current.price_id)):
                billing.gateway.change_now(current, price_id=price_id)
            else:
                billing.gateway.change_later(current, price_id=price_id)
        syncing.sync_held(billing, lease)


def cancel(billing: Billing, *, user_id: UUID) -> None:
    """Cancel the subscription at the end of its period, or at once if it grants nothing. NoSubscriptionError."""
    with syncing.holding(billing, user_id=user_id) as lease:
        current = _current(billing, lease)
        if current.schedule_id is not None:
            billing.gateway.release_schedule(current.schedule_id)
        if current.status in ("active", "trialing", "past_due"):
            billing.gateway.set_cancel_at_period_end(current.id, is_cancelling=True)
        else:
            billing.gateway.cancel_now(current.id)
        syncing.sync_held(billing, lease)


def resume(billing: Billing, *, user_id: UUID) -> None:
    """Resume a paused subscription, or undo its planned end or change. NoSubscriptionError."""
    with syncing.holding(billing, user_id=user_id) as lease:
        current = _current(billing, lease)
        _drop_plans(billing, current)
        if current.status == "paused":
            billing.gateway.resume(current.id)
        syncing.sync_held(billing, lease)


def sync_session(billing: Billing, *, user_id: UUID, session_id: str) -> None:
    """Sync after a checkout, without waiting for the webhook; NotFoundError for another user's session."""
    with billing.database.transaction(SERVICE) as tx:
        owner = rows.find_checkout_owner(tx, session_id=session_id)
    if owner != user_id:
        raise NotFoundError("There is no such checkout session.")
    syncing.sync(billing, user_id=user_id)


def open_portal(billing: Billing, *, user_id: UUID, return_url: str) -> str:
    """Return the address of Stripe's portal; NoSubscriptionError for a user who never was a customer."""
    customer_id = syncing.load(billing, user_id).stripe_customer_id
    if customer_id is None:
        raise NoSubscriptionError("There is nothing to manage: you have no subscription yet.")
    return billing.gateway.create_portal(customer_id=customer_id, return_url=return_url)


def withdraw(billing: Billing, *, user_id: UUID) -> None:
    """Withdraw from the contract: end it now, refund as configured, confirm by mail with the time.

    A second call changes nothing. NoSubscriptionError; WithdrawalOverError 14 days after the contract began.
    """
    with syncing.holding(billing, user_id=user_id) as lease:
        customer_id = syncing.load(billing, user_id).stripe_customer_id
        found = billing.gateway.fetch(customer_id) if customer_id else Snapshot()
        target = _withdrawn(billing, lease, found)
        if target is None:
            return
        with billing.database.transaction(SERVICE) as tx:
            # First store the declaration: if the rest fails, a second call continues from here.
            declared_at = rows.insert_withdrawal(tx, user_id=user_id, subscription_id=target.id)
        if not target.is_over:
            billing.gateway.cancel_now(target.id)
        share = _share(billing, target, declared_at)
        refunded = syncing.refund_all(billing, found, target.id, share=share) if share else 0
        syncing.sync_held(billing, lease)
        with billing.database.transaction(SERVICE) as tx:
            rows.finish_withdrawal(tx, subscription_id=target.id, refunded_cents=refunded)
            notices.confirm_withdrawal(
                tx,
                user_id=user_id,
                subscription_id=target.id,
                tier=billing.settings.tier_of_price(target.price_id) or "",
                received_at=declared_at,
                refund_cents=refunded,
            )


def _withdrawn(billing: Billing, lease: Lease, found: Snapshot) -> RemoteSubscription | None:
    """Return the subscription to withdraw from: the live one, or one whose withdrawal was interrupted; else None."""
    live = syncing.live(billing, found)
    if live:
        if billing.clock() - live[0].created > WITHDRAWAL:
            raise WithdrawalOverError(f"The {WITHDRAWAL_DAYS} days for a withdrawal are over. You can still cancel.")
        return live[0]
    with billing.database.transaction(SERVICE) as tx:
        earlier = rows.find_withdrawal(tx, user_id=lease.user_id)
    if earlier is not None and earlier["finished_at"] is not None:
        return None
    for each in found.subscriptions:
        if earlier is not None and each.id == earlier["stripe_subscription_id"]:
            return each
    raise NoSubscriptionError("You have no subscription to withdraw from.")


def _share(billing: Billing, target: RemoteSubscription, declared_at: datetime) -> float:
    """Return the part of the payments to refund."""
    rule = billing.settings.withdrawal_refund
    if rule != "prorated":
        return 1.0 if rule == "full" else 0.0
    length_s = (target.period_end - target.period_start).total_seconds()
    return min(1.0, max(0.0, (target.period_end - declared_at).total_seconds() / length_s)) if length_s else 0.0


def _current(billing: Billing, lease: Lease) -> RemoteSubscription:
    customer_id = syncing.load(billing, lease.user_id).stripe_customer_id
    live = syncing.live(billing, billing.gateway.fetch(customer_id)) if customer_id else []
    if not live:
        raise NoSubscriptionError("You have no paid subscription; choose a tier first.")
    return live[0]


def _drop_plans(billing: Billing, current: RemoteSubscription) -> None:
    """Undo a planned change or end."""
    if current.schedule_id is not None:
        billing.gateway.release_schedule(current.schedule_id)
    if current.cancel_at_period_end:
        billing.gateway.set_cancel_at_period_end(current.id, is_cancelling=False)


def _is_higher(tier: str, than: str | None) -> bool:
    order = ("free", "premium", "pro")
    return order.index(tier) > order.index(than or "free")


def _failed_banner(found: Subscription, now: datetime) -> Banner:
    if found.status != "past_due" or found.grace_ends_at is None:
        message = f"Your {found.tier.title()} subscription is {found.status}. Change the card to continue."
    elif found.grace_ends_at > now:
        message = f"A payment failed. Change the card by {found.grace_ends_at:%Y-%m-%d} to keep {found.tier.title()}."
    else:
        message = "A payment failed and the time to repeat it is over, so you are on the free tier. Change the card."
    return Banner(kind="payment_failed", message=message, ends_at=found.grace_ends_at, action="portal")


def _trial_banner(found: Subscription, ends_at: datetime, now: datetime) -> Banner | None:
    if ends_at - now > WARN_BEFORE:
        return None
    if found.cancel_at_period_end:
        message = f"Your trial ends on {ends_at:%Y-%m-%d}; nothing is charged."
        return Banner(kind="trial_ending", message=message, ends_at=ends_at, action="resume")
    message = f"Your trial ends on {ends_at:%Y-%m-%d}; then the first payment is taken."
    return Banner(kind="trial_ending", message=message, ends_at=ends_at, action="cancel")
