"""Cards that pay, decline or ask for authentication, and the payments, refunds and disputes made with them."""

from hashlib import sha256
from typing import Any

from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World

# Stripe's documented test cards (https://docs.stripe.com/testing).
NUMBERS = {
    "4242424242424242": "pays",
    "5555555555554444": "pays",
    "4000000000000002": "declined",
    "4000000000009995": "insufficient_funds",
    "4000000000000341": "fails_later",
    "4000002500003155": "authenticate",
    "4000000000000259": "disputed",
}
TOKENS = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeCustomerFail": "4000000000000341",
    "threeDSecure2Required": "4000002500003155",
    "createDispute": "4000000000000259",
}
PAYING_IBAN = "AT611904300234573201"
REFUSED_AT_ONCE = ("declined", "insufficient_funds")
WORDS = {
    "insufficient_funds": "Your card has insufficient funds.",
    "authenticate": "This payment requires additional user action before it can be completed successfully.",
}


def card_method(world: World, number: str) -> Json:
    """Make a payment method of a test card."""
    number = "".join(filter(str.isdigit, number))
    if number not in NUMBERS:
        raise StripeError(
            "Your card number is incorrect.", status=402, kind="card_error", code="incorrect_number", param="number"
        )
    method = world.new("payment_method", type="card")
    brand = "mastercard" if number.startswith("5") else "visa"
    fingerprint = sha256(f"{world.salt}{number}".encode()).hexdigest()[:16]
    method["card"].update(brand=brand, display_brand=brand, last4=number[-4:], fingerprint=fingerprint)
    method["card"]["networks"] = {"available": [brand], "preferred": None}
    world.note(method["id"])["behaves"] = NUMBERS[number]
    return method


def link_method(world: World) -> Json:
    """Make a payment method without a card and fingerprint."""
    method = world.new("payment_method", type="link")
    del method["card"]
    method["link"] = {"email": "someone@example.com"}
    world.note(method["id"])["behaves"] = "pays"
    return method


def debit_method(world: World, iban: str) -> Json:
    """Make a payment method that pays days later, from a bank account."""
    method = world.new("payment_method", type="sepa_debit")
    del method["card"]
    fingerprint = sha256(f"{world.salt}{iban}".encode()).hexdigest()[:16]
    method["sepa_debit"] = {"country": iban[:2], "fingerprint": fingerprint, "last4": iban[-4:]}
    world.note(method["id"])["behaves"] = "pays" if iban == PAYING_IBAN else "fails_later"
    return method


def create_method(world: World, params: Json) -> Json:
    """Make a payment method as the API does."""
    if params.get("type") == "link":
        return link_method(world)
    if params.get("type") == "sepa_debit":
        return debit_method(world, str(params.get("sepa_debit", {}).get("iban", "")))
    if params.get("type") != "card":
        raise StripeError("This payment method type is not activated for your account.", param="type")
    card = params.get("card", {})
    token = str(card.get("token", "")).removeprefix("tok_")
    return card_method(world, TOKENS.get(token) or str(card.get("number", "")))


def resolve_method(world: World, name: str) -> Json:
    """Return a payment method by id; `pm_card_…` names of test cards make a new one."""
    token = name.removeprefix("pm_card_")
    if name.startswith("pm_card_") and token in TOKENS:
        return card_method(world, TOKENS[token])
    return world.get("payment_method", name)


def attach(world: World, method: Json, customer_id: str) -> Json:
    """Attach a payment method to a customer; a card that declines everything is refused here."""
    behaves = world.note(method["id"]).get("behaves")
    if behaves in REFUSED_AT_ONCE:
        raise declined(behaves)
    method["customer"] = customer_id
    world.emit("payment_method.attached", method)
    return method


def declined(behaves: str) -> StripeError:
    """Return the error of a declined card."""
    return StripeError(
        WORDS.get(behaves, "Your card was declined."),
        status=402,
        kind="card_error",
        code="authentication_required" if behaves == "authenticate" else "card_declined",
        decline_code=behaves if behaves in WORDS else "generic_decline",
    )


def why_not(world: World, method: Json | None, *, is_present: bool = False) -> str | None:
    """Return why a method would not pay now, or None; `is_present` if its owner can authenticate."""
    if method is None:
        return "no_payment_method"
    behaves = str(world.note(method["id"]).get("behaves", "pays"))
    if behaves in ("pays", "disputed") or (is_present and behaves == "authenticate"):
        return None
    return behaves


def charge(world: World, method: Json, *, amount: int, currency: str, customer: str | None) -> tuple[Json, Json]:
    """Pay; return the payment intent and the charge."""
    intent = world.new(
        "payment_intent",
        amount=amount,
        amount_received=amount,
        currency=currency,
        customer=customer,
        payment_method=method["id"],
        status="succeeded",
    )
    intent["client_secret"] = f"{intent['id']}_secret"
    made = world.new(
        "charge",
        amount=amount,
        amount_captured=amount,
        captured=True,
        currency=currency,
        customer=customer,
        payment_intent=intent["id"],
        payment_method=method["id"],
        status="succeeded",
        receipt_url=f"{world.base_url}/receipt",
    )
    intent["latest_charge"] = made["id"]
    made["refunds"]["url"] = f"/v1/charges/{made['id']}/refunds"
    world.emit("payment_intent.succeeded", intent)
    world.emit("charge.succeeded", made)
    if world.note(method["id"]).get("behaves") == "disputed":
        dispute(world, made)
    return intent, made


def refund(world: World, params: Json) -> Json:
    """Refund a charge."""
    if params.get("payment_intent"):
        paid = world.get("charge", world.get("payment_intent", params["payment_intent"])["latest_charge"])
    else:
        paid = world.get("charge", params.get("charge"))
    left = paid["amount"] - paid["amount_refunded"]
    amount = int(params.get("amount", left))
    if amount > left or left == 0:
        raise StripeError(f"Charge {paid['id']} has already been refunded.", code="charge_already_refunded")
    made = world.new(
        "refund",
        amount=amount,
        charge=paid["id"],
        payment_intent=paid["payment_intent"],
        currency=paid["currency"],
        reason=params.get("reason"),
        metadata=params.get("metadata", {}),
    )
    paid["amount_refunded"] += amount
    paid["refunded"] = paid["amount_refunded"] == paid["amount"]
    world.emit("refund.created", made)
    world.emit("charge.refunded", paid)
    return made


def dispute(world: World, paid: Json) -> Json:
    """Open a dispute of a charge by the card's bank."""
    made = world.new(
        "dispute",
        amount=paid["amount"],
        charge=paid["id"],
        payment_intent=paid["payment_intent"],
        currency=paid["currency"],
    )
    paid["disputed"] = True
    world.emit("charge.dispute.created", made)
    return made


def close_dispute(world: World, made: Json, status: Any) -> Json:
    """End a dispute as `won` or `lost`."""
    made["status"] = status
    world.emit("charge.dispute.closed", made)
    return made
