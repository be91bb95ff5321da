"""Sets up a Stripe account for this service: products, prices, the webhook endpoint and the portal. Idempotent."""

from collections.abc import Sequence

from msgspec import Struct

from db.quotas import TierRow
from services.billing.gateway.setup import SetupGateway
from services.billing.stripe_event import EVENTS

WEBHOOK_PATH = "/api/subscription/webhook"
PAID_TIERS = ("premium", "pro")


class Setup(Struct, frozen=True, kw_only=True):
    """The objects at Stripe. The webhook's secret is known only if its endpoint is new."""

    prices: dict[str, str]
    webhook_id: str
    webhook_secret: str | None
    portal_id: str

    def variables(self) -> dict[str, str | None]:
        """Return the environment variables to set."""
        return {
            "STRIPE_PRICE_PREMIUM": self.prices["premium"],
            "STRIPE_PRICE_PRO": self.prices["pro"],
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
        }


def set_up(gateway: SetupGateway, tiers: Sequence[TierRow], *, public_url: str) -> Setup:
    """Make or find everything; a second run changes nothing."""
    prices, products = {}, {}
    for tier in tiers:
        if tier.name in PAID_TIERS:
            products[tier.name] = gateway.product(tier.name, f"Big Snuggles {tier.display_name}")
            prices[tier.name] = gateway.price(tier.name, product_id=products[tier.name], unit_amount=tier.price_monthly)
    webhook_id, secret = gateway.webhook(f"{public_url.rstrip('/')}{WEBHOOK_PATH}", list(EVENTS))
    portal_id = gateway.portal(f"{public_url.rstrip('/')}/subscription")
    return Setup(prices=prices, webhook_id=webhook_id, webhook_secret=secret, portal_id=portal_id)
