"""Mails about billing. Each occasion has a key, so that repeated syncs mail it once."""

from datetime import datetime, timedelta
from uuid import UUID

from db import billing as rows
from db.billing import Subscription
from db.connection import Transaction
from services.billing.gateway.remote import RemoteInvoice, Snapshot
from services.billing.state import State
from services.mail import outbox
from services.mail.message import Mail, PaymentFailed, SubscriptionEnded, TrialEnding, WithdrawalConfirmed

WARN_BEFORE = timedelta(days=3)
RECENT = timedelta(days=35)
"""The first sync of an old customer sends no mails about failures older than a period."""


def announce(  # noqa: PLR0913 - keyword-only, one per source
    tx: Transaction, *, before: Subscription, state: State, found: Snapshot, is_refused: bool, now: datetime
) -> None:
    """Queue the mails that result from a sync (service transaction)."""
    if state.trial_ends_at is not None and state.trial_ends_at - now <= WARN_BEFORE:
        current = next(each for each in found.subscriptions if each.id == state.stripe_subscription_id)
        mail = TrialEnding(
            tier=state.tier.title(),
            ends_at=state.trial_ends_at,
            amount_cents=current.unit_amount,
            currency="usd",
            will_renew=not state.cancel_at_period_end,
        )
        _queue(tx, mail, user_id=before.user_id, key=f"trial_ending:{current.id}")
    for invoice in found.invoices:
        if _is_owed(invoice, state) and now - invoice.created < RECENT:
            key = f"payment_failed:{invoice.id}:{invoice.attempt_count}"
            _queue(tx, _failure(invoice, state), user_id=before.user_id, key=key)
    ended = before.stripe_subscription_id
    if ended is not None and state.stripe_subscription_id is None and not is_refused:
        mail_of_end = SubscriptionEnded(tier=before.tier.title())
        _queue(tx, mail_of_end, user_id=before.user_id, key=f"subscription_ended:{ended}")


def confirm_withdrawal(  # noqa: PLR0913 - keyword-only, one per fact
    tx: Transaction,
    *,
    user_id: UUID,
    subscription_id: str,
    tier: str,
    received_at: datetime,
    refund_cents: int,
) -> None:
    """Queue the confirmation of a withdrawal, with the moment of its receipt (service transaction)."""
    mail = WithdrawalConfirmed(tier=tier.title(), received_at=received_at, refund_cents=refund_cents, currency="usd")
    _queue(tx, mail, user_id=user_id, key=f"withdrawal:{subscription_id}")


def _queue(tx: Transaction, mail: Mail, *, user_id: UUID, key: str) -> None:
    email = rows.find_email(tx, user_id=user_id)
    if email is not None:
        outbox.enqueue(tx, mail, recipient=email, unique_key=key, user_id=user_id)


def _is_owed(invoice: RemoteInvoice, state: State) -> bool:
    is_tried = invoice.status == "open" and invoice.attempt_count > 0
    return is_tried and invoice.subscription_id == state.stripe_subscription_id


def _failure(invoice: RemoteInvoice, state: State) -> PaymentFailed:
    return PaymentFailed(
        tier=state.tier.title(),
        amount_cents=invoice.amount_due,
        currency=invoice.currency,
        grace_ends_at=state.grace_ends_at,
        next_attempt_at=invoice.next_attempt_at,
    )
