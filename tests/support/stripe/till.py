"""The till: the service over HTTP, the shop behind it, and what a browser does between the two."""

from typing import Any

import httpx
from support.api.server import LOCAL, Person, Service
from support.stripe.shop import PAYS, Shop, run_syncs, signed

BUY = {"successUrl": f"{LOCAL}/subscription/success", "cancelUrl": f"{LOCAL}/pricing"}


class Till:
    """The service, the shop behind it, and what a browser does between the two."""

    def __init__(self, service: Service, shop: Shop) -> None:
        self.service, self.shop = service, shop

    def buy(self, person: Person, tier: str = "premium", number: str = PAYS) -> dict[str, Any]:
        """Check out, pay, and come back to the success page."""
        session = person.post("/api/subscription/checkout", {"tier": tier, **BUY}).json()["data"]
        self.shop.pay(session["sessionId"], number)
        answer = person.post("/api/subscription/sync", {"sessionId": session["sessionId"]})
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["data"])

    def current(self, person: Person) -> dict[str, Any]:
        return dict(person.get("/api/subscription/current").json()["data"])

    def send(self, event: dict[str, Any], **how: Any) -> httpx.Response:
        body, header = signed(event, **how)
        return self.service.client.post("/api/subscription/webhook", content=body, headers={"Stripe-Signature": header})

    def deliver(self) -> None:
        """All events arrive, and a worker runs."""
        for event in self.shop.new_events():
            assert self.send(event).status_code == 200
        assert self.service.deps.billing is not None
        run_syncs(self.service.deps.database, self.service.deps.billing)

    def customer(self, person: Person) -> str:
        row = self.service.rows("SELECT stripe_customer_id AS id FROM subscriptions WHERE user_id = %(u)s", u=person.id)
        return str(row[0]["id"])

    def mails(self, person: Person) -> list[dict[str, Any]]:
        return self.service.rows(
            "SELECT kind, unique_key AS key FROM mails WHERE user_id = %(user)s ORDER BY created_at, unique_key",
            user=person.id,
        )

    @property
    def operator(self) -> dict[str, str]:
        """The headers of an operator."""
        return {"Authorization": f"Bearer {self.service.deps.settings.admin_token}"}
