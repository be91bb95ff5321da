"""The calls of `snuggles stripe-setup` to Stripe."""

from typing import Any, cast

import stripe

from services.billing.gateway.call import PAGE, PORTAL_MARK, calling, find_portal_configuration, open_client


class SetupGateway:
    """Makes or finds objects at Stripe, by the mark that everything made here carries."""

    def __init__(self, secret_key: str, *, api_base: str | None, http_client: stripe.HTTPClient | None = None) -> None:
        self._client = open_client(secret_key, api_base=api_base, http_client=http_client)

    def product(self, tier: str, name: str) -> str:
        """Make or find a tier's product and return its id."""
        with calling():
            for found in self._client.v1.products.list({"active": True, "limit": PAGE}).auto_paging_iter():
                if found.metadata.to_dict().get("snuggles_tier") == tier:
                    return found.id
            return self._client.v1.products.create({"name": name, "metadata": {"snuggles_tier": tier}}).id

    def price(self, tier: str, *, product_id: str, unit_amount: int) -> str:
        """Make or find a tier's monthly price in US dollars and return its id; another amount makes another price."""
        with calling():
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
        """Make or find the endpoint at an address; return its id, and its secret if it is new."""
        wanted = cast("Any", events)
        with calling():
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
        with calling():
            if (known := find_portal_configuration(self._client)) is not None:
                return known
            made = self._client.v1.billing_portal.configurations.create(
                {
                    "default_return_url": return_url,
                    "metadata": {PORTAL_MARK: "1"},
                    "features": {
                        "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
                        "invoice_history": {"enabled": True},
                        "payment_method_update": {"enabled": True},
                        "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
                    },
                }
            )
            return made.id
