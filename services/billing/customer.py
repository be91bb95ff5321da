"""Copies an account's address to its customer at Stripe."""

from typing import TYPE_CHECKING
from uuid import UUID

from db import billing as rows
from db.connection import SERVICE, Transaction
from services.jobs import service as jobs
from services.jobs.payload import UpdateCustomerPayload

if TYPE_CHECKING:
    # Accounts queue updates in processes that never call Stripe and do not load its client.
    from services.billing.sync import Billing


def queue_update(tx: Transaction, *, user_id: UUID) -> None:
    """Queue the update of a user's address at Stripe, which mails invoices to it (service transaction)."""
    found = rows.find_subscription(tx, user_id=user_id)
    if found is not None and found.stripe_customer_id is not None:
        payload = UpdateCustomerPayload(user_id=user_id)
        jobs.enqueue(tx, kind="update_customer", user_id=None, payload=payload, max_attempts=20)


def update_address(billing: "Billing", *, user_id: UUID) -> bool:
    """Set the customer's address to the user's current one; return whether there is such a customer."""
    with billing.database.transaction(SERVICE) as tx:
        found = rows.find_subscription(tx, user_id=user_id)
        email = rows.find_email(tx, user_id=user_id)
    if found is None or found.stripe_customer_id is None or email is None:
        return False
    billing.gateway.update_customer(found.stripe_customer_id, email=email)
    return True
