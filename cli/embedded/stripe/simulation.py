"""Runs the simulation as a separate process, with our prices, a webhook to our API, and a file for its state."""

import json
import time
from pathlib import Path

from msgspec import Struct

from cli.embedded.port import HOST
from cli.embedded.stripe import timeline
from cli.embedded.stripe.courier import Courier
from cli.embedded.stripe.server import serving
from cli.embedded.stripe.world import World

TICK_S = 1.0
SECRET_KEY = "sk_test_simulation"  # noqa: S105 - it opens nothing but the simulation
PRICES = {"premium": ("price_simulated_premium", 999), "pro": ("price_simulated_pro", 1999)}
"""Tier → id and cents."""
ENDPOINT = "we_simulated"


class Simulation(Struct, frozen=True, kw_only=True):
    """The addresses of the simulation and of its webhook endpoint."""

    port: int
    webhook_secret: str
    webhook_url: str

    @property
    def url(self) -> str:
        """The address of the simulation."""
        return f"http://{HOST}:{self.port}"

    def settings(self) -> dict[str, str]:
        """Return the environment variables of processes that use the simulation."""
        return {
            "STRIPE_API_BASE": self.url,
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_PUBLISHABLE_KEY": "pk_test_simulation",
            "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
            "STRIPE_PRICE_PREMIUM": PRICES["premium"][0],
            "STRIPE_PRICE_PRO": PRICES["pro"][0],
        }


def run(simulation: Simulation, state: Path) -> None:
    """Serve until a signal stops the process; the objects are stored in the file `state`."""
    world = World()
    if state.exists():
        world.restore(json.loads(state.read_text()))
    furnish(world, simulation)

    def keep() -> None:
        part = state.with_suffix(".part")
        part.write_text(json.dumps(world.state()))
        part.replace(state)

    courier = Courier(world)
    with serving(world, port=simulation.port, on_change=keep):
        courier.start()
        while True:
            time.sleep(TICK_S)
            timeline.tick(world)


def furnish(world: World, simulation: Simulation) -> None:
    """Add our products and prices, the webhook endpoint and the portal, if they are missing."""
    for tier, (price_id, cents) in PRICES.items():
        if price_id not in world.objects:
            product = world.new("product", name=f"Big Snuggles {tier.title()}")
            made = world.new("price", product=product["id"], unit_amount=cents, currency="usd", lookup_key=tier)
            world.objects[price_id] = {**world.objects.pop(made["id"]), "id": price_id}
    if not world.find("billing_portal.configuration", is_default=True):
        world.new("billing_portal.configuration", is_default=True)
    if ENDPOINT not in world.objects:
        made = world.new("webhook_endpoint", enabled_events=["*"])
        world.objects[ENDPOINT] = {**world.objects.pop(made["id"]), "id": ENDPOINT}
    world.objects[ENDPOINT]["url"] = simulation.webhook_url
    world.note(ENDPOINT)["secret"] = simulation.webhook_secret
