"""Checkout sessions and the customer portal's sessions."""

from typing import Any

from cli.embedded.stripe import payment, subscriptions
from cli.embedded.stripe.form import is_true
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World

SESSION_S = 24 * 3600


def create(world: World, params: Json) -> Json:
    """Open a session on our own page."""
    mode = params.get("mode")
    items = params.get("line_items") or []
    if mode not in ("subscription", "payment") or not items:
        raise StripeError("You must provide `mode` and `line_items`.", param="mode")
    prices = [world.get("price", item["price"]) for item in items]
    if mode == "subscription" and any(price["type"] != "recurring" for price in prices):
        raise StripeError("You must provide at least one recurring price in `subscription` mode.")
    if params.get("customer"):
        world.get("customer", params["customer"])
    total = sum(price["unit_amount"] * int(item.get("quantity", 1)) for price, item in zip(prices, items, strict=True))
    details = params.get("subscription_data", {})
    due_now = 0 if details.get("trial_period_days") else total
    session = world.new(
        "checkout.session",
        mode=mode,
        customer=params.get("customer"),
        client_reference_id=params.get("client_reference_id"),
        success_url=params.get("success_url"),
        cancel_url=params.get("cancel_url"),
        metadata=params.get("metadata", {}),
        amount_subtotal=due_now,
        amount_total=due_now,
        currency=prices[0]["currency"],
        payment_method_types=params.get("payment_method_types", ["card", "link"]),
        payment_method_collection=params.get("payment_method_collection", "always"),
        allow_promotion_codes=is_true(params.get("allow_promotion_codes")) or None,
        expires_at=int(params.get("expires_at", world.now + SESSION_S)),
    )
    session["automatic_tax"]["enabled"] = is_true(params.get("automatic_tax", {}).get("enabled"))
    session["url"] = f"{world.base_url}/pay/{session['id']}"
    world.note(session["id"]).update(line_items=items, subscription_data=details, total=total)
    return session


def expire(world: World, session: Json) -> Json:
    """Expire an open session."""
    _require_open(session)
    session.update(status="expired", url=None)
    world.emit("checkout.session.expired", session)
    return session


def complete(world: World, session: Json, method: Json, *, email: str | None = None) -> Json:
    """Pay on the page; if the card is declined, raise an error and leave the session open."""
    _require_open(session)
    is_later = method["type"] == "sepa_debit"
    reason = None if is_later else payment.why_not(world, method, is_present=True)
    if reason is not None and (session["amount_total"] > 0 or reason in payment.REFUSED_AT_ONCE):
        raise payment.declined(reason)
    if session["customer"] is None:
        customer = world.new("customer", email=email)
        world.emit("customer.created", customer)
        session["customer"] = customer["id"]
    payment.attach(world, method, session["customer"])
    if is_later:
        return _complete_later(world, session, method)
    if session["mode"] == "subscription":
        _subscribe(world, session, method)
    else:
        intent, _ = payment.charge(
            world,
            method,
            amount=session["amount_total"],
            currency=session["currency"],
            customer=session["customer"],
        )
        session["payment_intent"] = intent["id"]
    session.update(
        status="complete",
        url=None,
        payment_status="paid" if session["amount_total"] else "no_payment_required",
    )
    world.emit("checkout.session.completed", session)
    return session


def _complete_later(world: World, session: Json, method: Json) -> Json:
    session.update(status="complete", url=None)
    world.emit("checkout.session.completed", session)
    if payment.why_not(world, method) is not None:
        world.emit("checkout.session.async_payment_failed", session)
        return session
    intent, _ = payment.charge(
        world, method, amount=session["amount_total"], currency=session["currency"], customer=session["customer"]
    )
    session.update(payment_intent=intent["id"], payment_status="paid")
    world.emit("checkout.session.async_payment_succeeded", session)
    return session


def create_portal_session(world: World, params: Json) -> Json:
    """Open the portal for a customer."""
    customer = world.get("customer", params.get("customer"))
    chosen = params.get("configuration")
    if chosen is not None:
        configuration = world.get("billing_portal.configuration", chosen)
    elif defaults := world.find("billing_portal.configuration", active=True, is_default=True):
        configuration = defaults[0]
    else:
        raise StripeError(
            "No configuration provided and your test mode default configuration has not been created. Provide a "
            "configuration or create your default by saving your customer portal settings in test mode."
        )
    session = world.new(
        "billing_portal.session",
        customer=customer["id"],
        configuration=configuration["id"],
        return_url=params.get("return_url"),
    )
    session["url"] = f"{world.base_url}/portal/{session['id']}"
    return session


def _subscribe(world: World, session: Json, method: Json) -> None:
    note = world.note(session["id"])
    details: dict[str, Any] = note["subscription_data"]
    made = subscriptions.create(
        world,
        {
            **details,
            "customer": session["customer"],
            "items": note["line_items"],
            "default_payment_method": method["id"],
            "automatic_tax": session["automatic_tax"],
            "is_present": True,
        },
    )
    session.update(subscription=made["id"], invoice=made["latest_invoice"])


def _require_open(session: Json) -> None:
    if session["status"] != "open":
        raise StripeError(
            f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.',
            param="session",
        )
