"""`snuggles stripe-setup`: makes the objects at Stripe that sales need."""

import os
from typing import Annotated

import typer

from cli.environment import explained, read_settings
from cli.errors import CommandError
from cli.output import answers, print_json


def stripe_setup(
    *,
    live: Annotated[bool, typer.Option("--live", help="Allow a live key: real cards are charged afterwards.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for scripts.")] = False,
) -> None:
    """Make or find products, prices, the webhook and the portal at Stripe, and print the variables to set."""
    from db.connection import SERVICE, Database
    from db.quotas import list_tiers
    from services.billing.gateway.setup import SetupGateway
    from services.billing.setup import set_up
    from services.process.stripe_settings import PREFIXES, is_test_key

    key = os.environ.get("STRIPE_SECRET_KEY", "")
    if not key.startswith(PREFIXES["STRIPE_SECRET_KEY"]):
        raise CommandError("STRIPE_SECRET_KEY is missing or is not a secret key; copy it from Stripe's dashboard")
    if not is_test_key(key) and not live:
        raise CommandError("STRIPE_SECRET_KEY is a live key; try a test key first, or repeat this with --live")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIPE_")}
    with explained():
        settings = read_settings(environment)
        database = Database(settings.database_url, max_size=1, name="snuggles-stripe-setup")
        database.open(wait_s=10)
        try:
            with database.transaction(SERVICE) as tx:
                tiers = list_tiers(tx)
        finally:
            database.close()
        gateway = SetupGateway(key, api_base=os.environ.get("STRIPE_API_BASE"))
        made = set_up(gateway, tiers, public_url=settings.public_url)
    if as_json:
        print_json({"variables": made.variables(), "webhook_id": made.webhook_id, "portal_id": made.portal_id})
        return
    console = answers()
    console.print("Set these, and start the service again:", highlight=False)
    for name, value in made.variables().items():
        console.print(f"  {name}={value or '(as before: Stripe shows it under Webhooks, once)'}", highlight=False)
