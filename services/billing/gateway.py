"""The one module that speaks to Stripe. It takes and returns this service's own types, and knows no database."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import stripe
import structlog

from services.billing.remote import (
    CheckoutSession,
    RemoteCharge,
    RemoteInvoice,
    RemoteSubscription,
    Snapshot,
)
from services.errors import ConflictError, UnavailableError
from services.process.stripe_settings import StripeSettings

TIMEOUT_S = 20.0
RETRIES = 2
TOLERANCE_S = 300  # Stripe's own; longer lets more be replayed, shorter refuses servers whose clocks differ
PAGE = 100
SUBSCRIPTION_PARTS = ["default_payment_method", "schedule"]

log = structlog.get_logger(__name__)


class PaymentDeclinedError(ConflictError):
    """The bank did not accept the payment; nothing was changed."""

    code = "payment_declined"


class MissingAtStripeError(ConflictError):
    """Stripe does not know the object: it was deleted, or belongs to the other mode."""

    code = "missing_at_stripe"


class Gateway:
    """A client of Stripe for one account. Safe for many threads."""

    def __init__(self, settings: StripeSettings, *, http_client: stripe.HTTPClient | None = None) -> None:
        self._settings = settings
        addresses: Any = {"api": settings.api_base.rstrip("/")} if settings.api_base else {}
        self.client = stripe.StripeClient(
            settings.secret_key,
            base_addresses=addresses,
            max_network_retries=RETRIES,
            http_client=http_client or stripe.RequestsClient(timeout=TIMEOUT_S),
        )

    def create_customer(self, *, user_id: str, email: str, previous: str | None) -> str:
        """Make a customer in place of the previous one; asking again within a day returns the same one."""
        with _translated():
            made = self.client.v1.customers.create(
                {"email": email, "metadata": {"user_id": user_id}},
                {"idempotency_key": f"customer-{user_id}-{previous or 'first'}"},
            )
        return made.id

    def fetch(self, customer_id: str) -> Snapshot:
        """Return everything of a customer as it is now; an unknown customer has nothing."""
        try:
            with _translated():
                return Snapshot(
                    subscriptions=tuple(self._subscriptions(customer_id)),
                    invoices=tuple(self._invoices(customer_id)),
                    charges=tuple(self._charges(customer_id)),
                )
        except MissingAtStripeError:
            return Snapshot()

    def list_live_subscriptions(self) -> Iterator[RemoteSubscription]:
        """Yield every subscription that has not ended, of all customers."""
        with _translated():
            found = self.client.v1.subscriptions.list(
                {"limit": PAGE, "expand": [f"data.{p}" for p in SUBSCRIPTION_PARTS]}
            )
            for each in found.auto_paging_iter():
                yield _subscription(each)

    def create_checkout(  # noqa: PLR0913 - keyword-only, one a field
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
            "allow_promotion_codes": True,
        }
        if self._settings.automatic_tax:
            params["automatic_tax"] = {"enabled": True}
            params["tax_id_collection"] = {"enabled": True}
            params["customer_update"] = {"address": "auto", "name": "auto"}
        with _translated():
            return _session(self.client.v1.checkout.sessions.create(params))

    def get_checkout(self, session_id: str) -> CheckoutSession:
        """Return a session; MissingAtStripeError."""
        with _translated():
            return _session(self.client.v1.checkout.sessions.retrieve(session_id))

    def close_checkouts(self, customer_id: str) -> None:
        """Expire the sessions that a customer has open, so that two tabs cannot both subscribe."""
        with _translated():
            found = self.client.v1.checkout.sessions.list({"customer": customer_id, "status": "open", "limit": PAGE})
            for session in found.data:
                self.client.v1.checkout.sessions.expire(session.id)

    def create_portal(self, *, customer_id: str, return_url: str) -> str:
        """Open the customer portal and return its address."""
        with _translated():
            made = self.client.v1.billing_portal.sessions.create({"customer": customer_id, "return_url": return_url})
        return made.url

    def change_now(self, subscription: RemoteSubscription, *, price_id: str) -> None:
        """Change the price at once and charge the difference; PaymentDeclinedError, and no change, when that fails."""
        with _translated():
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
        with _translated():
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
        """Drop a change that was to come."""
        with _translated():
            self.client.v1.subscription_schedules.release(schedule_id)

    def set_cancel_at_period_end(self, subscription_id: str, *, is_cancelling: bool) -> None:
        """Let a subscription end with its period, or go on."""
        with _translated():
            self.client.v1.subscriptions.update(subscription_id, {"cancel_at_period_end": is_cancelling})

    def resume(self, subscription_id: str) -> None:
        """Take up a paused subscription."""
        with _translated():
            self.client.v1.subscriptions.resume(subscription_id)

    def cancel_now(self, subscription_id: str) -> None:
        """End a subscription at once; one that has ended already is left alone."""
        try:
            with _translated():
                self.client.v1.subscriptions.cancel(subscription_id)
        except MissingAtStripeError:
            log.info("subscription_had_ended", subscription_id=subscription_id)

    def refund(self, charge: RemoteCharge, *, amount: int, key: str) -> None:
        """Give back a part of a payment, once for each key."""
        with _translated():
            self.client.v1.refunds.create(
                {"charge": charge.id, "amount": amount, "reason": "requested_by_customer"}, {"idempotency_key": key}
            )

    def find_price_modes(self) -> dict[str, bool]:
        """Return setting → whether its price is live; MissingAtStripeError names the setting of an unknown one."""
        modes = {}
        for name in ("price_premium", "price_pro"):
            try:
                with _translated():
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
        return map(_subscription, found.auto_paging_iter())

    def _invoices(self, customer_id: str) -> Iterator[RemoteInvoice]:
        found = self.client.v1.invoices.list({"customer": customer_id, "limit": PAGE, "expand": ["data.payments"]})
        return (_invoice(each) for each in found.auto_paging_iter() if each.status != "draft")

    def _charges(self, customer_id: str) -> Iterator[RemoteCharge]:
        found = self.client.v1.charges.list({"customer": customer_id, "limit": PAGE})
        return (
            RemoteCharge(
                id=each.id,
                payment_intent=_id(each.payment_intent),
                amount=each.amount,
                amount_refunded=each.amount_refunded,
                is_disputed=each.disputed,
            )
            for each in found.auto_paging_iter()
            if each.paid
        )


class SetupGateway:
    """What `snuggles stripe-setup` does at Stripe. Everything that it makes carries a mark to be found by."""

    def __init__(self, secret_key: str, *, api_base: str | None, http_client: stripe.HTTPClient | None = None) -> None:
        addresses: Any = {"api": api_base.rstrip("/")} if api_base else {}
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses=addresses,
            max_network_retries=RETRIES,
            http_client=http_client or stripe.RequestsClient(timeout=TIMEOUT_S),
        )

    def product(self, tier: str, name: str) -> str:
        """Make or find a tier's product and return its id."""
        with _translated():
            for found in self._client.v1.products.list({"active": True, "limit": PAGE}).auto_paging_iter():
                if found.metadata.to_dict().get("snuggles_tier") == tier:
                    return found.id
            return self._client.v1.products.create({"name": name, "metadata": {"snuggles_tier": tier}}).id

    def price(self, tier: str, *, product_id: str, unit_amount: int) -> str:
        """Make or find a tier's monthly price in US dollars and return its id; another amount makes another price."""
        with _translated():
            for found in self._client.v1.prices.list({"product": product_id, "active": True, "limit": PAGE}).data:
                is_monthly = found.recurring is not None and found.recurring.interval == "month"
                if is_monthly and found.currency == "usd" and found.unit_amount == unit_amount:
                    return found.id
            made = self._client.v1.prices.create(
                {
                    "product": product_id,
                    "currency": "usd",
                    "unit_amount": unit_amount,
                    "recurring": {"interval": "month"},
                    "metadata": {"snuggles_tier": tier},
                }
            )
            return made.id

    def webhook(self, url: str, events: list[str]) -> tuple[str, str | None]:
        """Make or find the endpoint at an address; return its id, and its secret when it was made just now."""
        wanted = cast("Any", events)
        with _translated():
            for found in self._client.v1.webhook_endpoints.list({"limit": PAGE}).data:
                if found.url == url:
                    if set(found.enabled_events) != set(events):
                        self._client.v1.webhook_endpoints.update(found.id, {"enabled_events": wanted})
                    return found.id, None
            made = self._client.v1.webhook_endpoints.create(
                {"url": url, "enabled_events": wanted, "description": "Big Snuggles"}
            )
            return made.id, made.secret

    def portal(self, return_url: str) -> str:
        """Make or find the portal's configuration: cards, invoices, tax ids, cancelling at the end of the period."""
        with _translated():
            for found in self._client.v1.billing_portal.configurations.list({"active": True, "limit": PAGE}).data:
                if found.metadata is not None and found.metadata.to_dict().get("snuggles"):
                    return found.id
            made = self._client.v1.billing_portal.configurations.create(
                {
                    "default_return_url": return_url,
                    "metadata": {"snuggles": "1"},
                    "features": {
                        "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
                        "invoice_history": {"enabled": True},
                        "payment_method_update": {"enabled": True},
                        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
                    },
                }
            )
            return made.id


def check_signature(body: bytes, header: str | None, secret: str, *, now: datetime) -> bool:
    """Say whether Stripe signed this body within the last minutes; the SDK itself would take a time in the future."""
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, tolerance=None)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    stamps = [part.partition("=")[2] for part in (header or "").split(",") if part.strip().startswith("t=")]
    return bool(stamps) and all(
        stamp.isascii() and stamp.isdigit() and abs(now.timestamp() - int(stamp)) <= TOLERANCE_S for stamp in stamps
    )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the SDK's errors into ours; messages of Stripe about cards are meant for people, others go to the log."""
    try:
        yield
    except stripe.CardError as error:
        raise PaymentDeclinedError(
            error.user_message or "The card was declined.", decline_code=getattr(error, "code", None)
        ) from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise MissingAtStripeError(error.user_message or "Stripe does not know this object.") from error
        log.error(  # noqa: TRY400 - the trace says nothing that these fields do not
            "stripe_refused", error=error.user_message, param=error.param, code=error.code
        )
        raise UnavailableError("Stripe refused the request; the operator finds the reason in the log.") from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        log.error("stripe_key_refused", error=type(error).__name__)  # noqa: TRY400 - the trace would show the key
        raise UnavailableError("Stripe refused our key; the operator finds the reason in the log.") from None
    except stripe.StripeError as error:
        log.warning("stripe_unavailable", error=type(error).__name__, status=error.http_status)
        raise UnavailableError("Stripe does not answer; try again in a moment.") from error


def _subscription(source: stripe.Subscription) -> RemoteSubscription:
    found: dict[str, Any] = source.to_dict()
    item = found["items"]["data"][0]
    schedule = found.get("schedule")
    return RemoteSubscription(
        id=found["id"],
        customer_id=cast("str", _id(found["customer"])),
        status=found["status"],
        price_id=item["price"]["id"],
        item_id=item["id"],
        unit_amount=item["price"]["unit_amount"] or 0,
        created=_time(found["created"]),
        period_start=_time(item["current_period_start"]),
        period_end=_time(item["current_period_end"]),
        cancel_at_period_end=found["cancel_at_period_end"] or found["cancel_at"] is not None,
        trial_end=_maybe_time(found["trial_end"]),
        ended_at=_maybe_time(found["ended_at"]),
        schedule_id=_id(schedule),
        next_price_id=_next_price(schedule, item["current_period_end"]) if isinstance(schedule, dict) else None,
        fingerprint=_fingerprint(found.get("default_payment_method")),
    )


def _next_price(schedule: dict[str, Any], period_end: int) -> str | None:
    for phase in schedule["phases"]:
        if phase["start_date"] >= period_end:
            return _id(phase["items"][0]["price"])
    return None


def _fingerprint(method: Any) -> str | None:
    """Return what tells a card or account from others; wallets and unknown kinds have nothing of the sort."""
    if not isinstance(method, dict):
        return None
    details = method.get(method.get("type") or "") or {}
    found = details.get("fingerprint") if isinstance(details, dict) else None
    return found if isinstance(found, str) else None


def _invoice(source: stripe.Invoice) -> RemoteInvoice:
    found: dict[str, Any] = source.to_dict()
    details = (found.get("parent") or {}).get("subscription_details") or {}
    payments = (found.get("payments") or {}).get("data", [])
    intents = (_id(each["payment"].get("payment_intent")) for each in payments)
    times = found["status_transitions"]
    return RemoteInvoice(
        id=found["id"],
        status=found["status"],
        amount_due=found["amount_due"],
        amount_paid=found["amount_paid"],
        currency=found["currency"],
        created=_time(found["created"]),
        finalized_at=_maybe_time(times["finalized_at"]),
        paid_at=_maybe_time(times["paid_at"]),
        attempt_count=found["attempt_count"],
        next_attempt_at=_maybe_time(found["next_payment_attempt"]),
        subscription_id=_id(details.get("subscription")),
        url=found["hosted_invoice_url"],
        payment_intents=tuple(filter(None, intents)),
    )


def _session(source: stripe.checkout.Session) -> CheckoutSession:
    return CheckoutSession(
        id=source.id, url=source.url, customer_id=_id(source.customer), status=source.status or "open"
    )


def _id(value: Any) -> str | None:
    """Return the id of something that may be expanded."""
    if value is None or isinstance(value, str):
        return value
    return str(value["id"])


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _maybe_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else _time(seconds)
