"""The service's calls to Stripe. They take and return its own types, and use no database."""

from collections.abc import Iterator

import stripe
import structlog

from services.billing.gateway.call import (
    PAGE,
    MissingAtStripeError,
    calling,
    find_portal_configuration,
    open_client,
)
from services.billing.gateway.reading import charge_of, invoice_of, session_of, subscription_of
from services.billing.gateway.remote import (
    CheckoutSession,
    RemoteCharge,
    RemoteInvoice,
    RemoteSubscription,
    Snapshot,
)
from services.process.stripe_settings import StripeSettings

SUBSCRIPTION_PARTS = ["default_payment_method", "schedule"]

log = structlog.get_logger(__name__)


class Gateway:
    """A client of Stripe for one account. Safe for many threads."""

    def __init__(self, settings: StripeSettings, *, http_client: stripe.HTTPClient | None = None) -> None:
        self._settings = settings
        self.client = open_client(settings.secret_key, api_base=settings.api_base, http_client=http_client)

    def create_customer(self, *, user_id: str, email: str, previous: str | None) -> str:
        """Make a customer in place of the previous one; asking again within a day returns the same one."""
        with calling():
            made = self.client.v1.customers.create(
                {"email": email, "metadata": {"user_id": user_id}},
                {"idempotency_key": f"customer-{user_id}-{previous or 'first'}"},
            )
        return made.id

    def update_customer(self, customer_id: str, *, email: str) -> None:
        """Change a customer's address. Do nothing for one that was deleted."""
        try:
            with calling():
                self.client.v1.customers.update(customer_id, {"email": email})
        except MissingAtStripeError:
            log.info("customer_was_deleted", customer_id=customer_id)

    def fetch(self, customer_id: str) -> Snapshot:
        """Return the current state of a customer; an unknown customer has no objects."""
        try:
            with calling():
                return Snapshot(
                    subscriptions=tuple(self._subscriptions(customer_id)),
                    invoices=tuple(self._invoices(customer_id)),
                    charges=tuple(self._charges(customer_id)),
                )
        except MissingAtStripeError:
            return Snapshot()

    def list_live_subscriptions(self) -> Iterator[RemoteSubscription]:
        """Yield every subscription that has not ended, of all customers."""
        with calling():
            found = self.client.v1.subscriptions.list(
                {"limit": PAGE, "expand": [f"data.{p}" for p in SUBSCRIPTION_PARTS]}
            )
            for each in found.auto_paging_iter():
                yield subscription_of(each)

    def create_checkout(  # noqa: PLR0913 - keyword-only, one per field
        self,
        *,
        customer_id: str,
        user_id: str,
        tier: str,
        success_url: str,
        cancel_url: str,
        trial_days: int,
    ) -> CheckoutSession:
        """Open a checkout page for a subscription."""
        details: stripe.params.checkout.SessionCreateParamsSubscriptionData = {
            "billing_mode": {"type": "flexible"},
            "metadata": {"user_id": user_id},
        }
        if trial_days:
            details["trial_period_days"] = trial_days
            details["trial_settings"] = {"end_behavior": {"missing_payment_method": self._settings.trial_end}}
        params: stripe.params.checkout.SessionCreateParams = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": user_id,
            "line_items": [{"price": self._settings.price_of_tier(tier), "quantity": 1}],
            "subscription_data": details,
            "success_url": success_url,
            "cancel_url": cancel_url,
            "allow_promotion_codes": self._settings.promotion_codes,
        }
        if self._settings.automatic_tax:
            params["automatic_tax"] = {"enabled": True}
            params["tax_id_collection"] = {"enabled": True}
            params["customer_update"] = {"address": "auto", "name": "auto"}
        with calling():
            return session_of(self.client.v1.checkout.sessions.create(params))

    def get_checkout(self, session_id: str) -> CheckoutSession:
        """Return a session. Raises MissingAtStripeError."""
        with calling():
            return session_of(self.client.v1.checkout.sessions.retrieve(session_id))

    def close_checkouts(self, customer_id: str) -> None:
        """Expire the sessions that a customer has open, so that two tabs cannot both subscribe."""
        with calling():
            found = self.client.v1.checkout.sessions.list({"customer": customer_id, "status": "open", "limit": PAGE})
            for session in found.data:
                self.client.v1.checkout.sessions.expire(session.id)

    def create_portal(self, *, customer_id: str, return_url: str) -> str:
        """Open the customer portal, as the set-up configured it, and return its address.

        Without such a configuration Stripe uses the one of its dashboard, which some accounts do not have.
        """
        params: stripe.params.billing_portal.SessionCreateParams = {"customer": customer_id, "return_url": return_url}
        with calling():
            if (configuration := find_portal_configuration(self.client)) is not None:
                params["configuration"] = configuration
            return self.client.v1.billing_portal.sessions.create(params).url

    def change_now(self, subscription: RemoteSubscription, *, price_id: str) -> None:
        """Change the price at once and charge the difference. If that fails, keep it and raise PaymentDeclinedError."""
        with calling():
            self.client.v1.subscriptions.update(
                subscription.id,
                {
                    "items": [{"id": subscription.item_id, "price": price_id}],
                    "proration_behavior": "always_invoice",
                    "payment_behavior": "error_if_incomplete",
                },
            )

    def change_later(self, subscription: RemoteSubscription, *, price_id: str) -> None:
        """Change the price when the period ends."""
        with calling():
            schedule = self.client.v1.subscription_schedules.create({"from_subscription": subscription.id})
            start, end = int(subscription.period_start.timestamp()), int(subscription.period_end.timestamp())
            self.client.v1.subscription_schedules.update(
                schedule.id,
                {
                    "end_behavior": "release",
                    "phases": [
                        {
                            "items": [{"price": subscription.price_id, "quantity": 1}],
                            "start_date": start,
                            "end_date": end,
                        },
                        {
                            "items": [{"price": price_id, "quantity": 1}],
                            "duration": {"interval": "month", "interval_count": 1},
                        },
                    ],
                },
            )

    def release_schedule(self, schedule_id: str) -> None:
        """Drop a scheduled change."""
        with calling():
            self.client.v1.subscription_schedules.release(schedule_id)

    def set_cancel_at_period_end(self, subscription_id: str, *, is_cancelling: bool) -> None:
        """Set whether a subscription ends with its period."""
        with calling():
            self.client.v1.subscriptions.update(subscription_id, {"cancel_at_period_end": is_cancelling})

    def resume(self, subscription_id: str) -> None:
        """Resume a paused subscription."""
        with calling():
            self.client.v1.subscriptions.resume(subscription_id)

    def cancel_now(self, subscription_id: str) -> None:
        """End a subscription at once. Do nothing for one that has already ended."""
        try:
            with calling():
                self.client.v1.subscriptions.cancel(subscription_id)
        except MissingAtStripeError:
            log.info("subscription_had_ended", subscription_id=subscription_id)

    def refund(self, charge: RemoteCharge, *, amount: int, key: str) -> None:
        """Refund a part of a payment, once for each key."""
        with calling():
            self.client.v1.refunds.create(
                {"charge": charge.id, "amount": amount, "reason": "requested_by_customer"}, {"idempotency_key": key}
            )

    def find_price_modes(self) -> dict[str, bool]:
        """Return setting → whether its price is live; MissingAtStripeError names the setting of an unknown one."""
        modes = {}
        for name in ("price_premium", "price_pro"):
            try:
                with calling():
                    modes[name] = self.client.v1.prices.retrieve(getattr(self._settings, name)).livemode
            except MissingAtStripeError as error:
                raise MissingAtStripeError(f"STRIPE_{name.upper()}: {error.message}") from error
        return modes

    def _subscriptions(self, customer_id: str) -> Iterator[RemoteSubscription]:
        found = self.client.v1.subscriptions.list(
            {
                "customer": customer_id,
                "status": "all",
                "limit": PAGE,
                "expand": [f"data.{part}" for part in SUBSCRIPTION_PARTS],
            }
        )
        return map(subscription_of, found.auto_paging_iter())

    def _invoices(self, customer_id: str) -> Iterator[RemoteInvoice]:
        found = self.client.v1.invoices.list({"customer": customer_id, "limit": PAGE, "expand": ["data.payments"]})
        return (invoice_of(each) for each in found.auto_paging_iter() if each.status != "draft")

    def _charges(self, customer_id: str) -> Iterator[RemoteCharge]:
        found = self.client.v1.charges.list({"customer": customer_id, "limit": PAGE})
        return (charge_of(each) for each in found.auto_paging_iter() if each.paid)
