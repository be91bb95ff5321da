"""Subscriptions: starting, renewing, changing, pausing and ending them, and schedules for later changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.embedded.stripe import invoices, payment
from cli.embedded.stripe.form import is_true
from cli.embedded.stripe.invoices import DAY_S
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World

WARN_BEFORE_S = 3 * DAY_S
INCOMPLETE_S = 23 * 3600
OVER = ("canceled", "incomplete_expired")


def create(world: World, params: Json) -> Json:
    """Begin a subscription, with a trial or with a first payment."""
    customer = world.get("customer", params.get("customer"))
    price = world.get("price", params["items"][0]["price"])
    subscription = world.new(
        "subscription",
        customer=customer["id"],
        currency=price["currency"],
        metadata=params.get("metadata", {}),
        default_payment_method=params.get("default_payment_method"),
        billing_cycle_anchor=world.now,
        start_date=world.now,
        status="incomplete",
    )
    subscription["billing_mode"]["type"] = params.get("billing_mode", {}).get("type", "flexible")
    subscription["automatic_tax"]["enabled"] = is_true(params.get("automatic_tax", {}).get("enabled"))
    behavior = params.get("trial_settings", {}).get("end_behavior", {}).get("missing_payment_method", "create_invoice")
    subscription["trial_settings"] = {"end_behavior": {"missing_payment_method": behavior}}
    item = world.new(
        "subscription_item",
        price=price,
        subscription=subscription["id"],
        quantity=int(params["items"][0].get("quantity", 1)),
    )
    subscription["items"]["data"] = [item]
    subscription["items"]["url"] = f"/v1/subscription_items?subscription={subscription['id']}"
    days = int(params.get("trial_period_days", 0))
    if days:
        return _begin_trial(world, subscription, world.now + days * DAY_S)
    _set_period(subscription, world.now)
    world.emit("customer.subscription.created", subscription)
    bill(world, subscription, reason="subscription_create", is_present=is_true(params.get("is_present")))
    return subscription


def bill(world: World, subscription: Json, *, reason: str, is_present: bool = False) -> Json:
    """Invoice the current period, try to collect it, and update the status."""
    customer = world.get("customer", subscription["customer"])
    item = subscription["items"]["data"][0]
    invoice = invoices.new_invoice(world, customer, reason=reason, subscription=subscription)
    amount = 0 if subscription["status"] == "trialing" else item["price"]["unit_amount"] * item["quantity"]
    _line(world, invoice, subscription, amount=amount)
    subscription["latest_invoice"] = invoice["id"]
    world.emit("invoice.created", invoice)
    invoices.finalize(world, invoice)
    collect(world, subscription, invoice, is_present=is_present)
    return invoice


def collect(world: World, subscription: Json, invoice: Json, *, is_present: bool = False) -> bool:
    """Try to pay a subscription's invoice and update its status."""
    is_first = subscription["status"] == "incomplete"
    paid = invoices.pay(world, invoice, invoices.method_of(world, invoice), is_present=is_present)
    if paid:
        if subscription["status"] in ("incomplete", "past_due", "unpaid", "paused"):
            set_status(world, subscription, "active")
    elif not is_first:
        set_status(world, subscription, "past_due")
        if invoice["next_payment_attempt"] is None:
            end(world, subscription, reason="payment_failed")
    return paid


def update(world: World, subscription: Json, params: Json) -> Json:
    """Change a subscription as the API does."""
    if subscription["status"] in OVER:
        raise StripeError("A canceled subscription can only update its cancellation_details.", param="status")
    if "cancel_at_period_end" in params:
        if subscription["schedule"]:
            raise StripeError(
                "The subscription is managed by the subscription schedule, and updating any cancelation behavior "
                "directly is not allowed. Please update the schedule instead."
            )
        _set_cancel(world, subscription, is_cancelling=is_true(params["cancel_at_period_end"]))
    for name in ("metadata", "default_payment_method"):
        if name in params:
            subscription[name] = params[name]
    if params.get("items"):
        _change_price(world, subscription, params)
    if params.get("trial_end") == "now" and subscription["status"] == "trialing":
        end_trial(world, subscription)
        return subscription
    world.emit("customer.subscription.updated", subscription)
    return subscription


def resume(world: World, subscription: Json) -> Json:
    """Resume a paused subscription with a new period."""
    if subscription["status"] != "paused":
        raise StripeError("Only paused subscriptions can be resumed.")
    _set_period(subscription, world.now)
    bill(world, subscription, reason="subscription_cycle")
    return subscription


def end(world: World, subscription: Json, *, reason: str = "cancellation_requested") -> Json:
    """End a subscription at once."""
    if subscription["status"] in OVER:
        raise StripeError(f"No such subscription: '{subscription['id']}'", status=404, code="resource_missing")
    subscription.update(status="canceled", ended_at=world.now, canceled_at=subscription["canceled_at"] or world.now)
    subscription["cancellation_details"]["reason"] = reason
    if subscription["schedule"]:
        world.objects[subscription["schedule"]]["status"] = "canceled"
        subscription["schedule"] = None
    for invoice in world.find("invoice", customer=subscription["customer"], status="open"):
        if invoices.subscription_of(invoice) == subscription["id"]:
            invoice.update(auto_advance=False, next_payment_attempt=None)
    world.emit("customer.subscription.deleted", subscription)
    return subscription


def end_trial(world: World, subscription: Json) -> None:
    """End a trial: pay and continue, or apply the setting for a missing payment method."""
    subscription["trial_end"] = world.now
    method = invoices.method_of(world, {"customer": subscription["customer"], "parent": _parent(subscription)})
    behavior = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if subscription["cancel_at_period_end"] or (method is None and behavior == "cancel"):
        end(world, subscription)
    elif method is None and behavior == "pause":
        set_status(world, subscription, "paused")
        world.emit("customer.subscription.paused", subscription)
    else:
        subscription["billing_cycle_anchor"] = world.now
        _set_period(subscription, world.now)
        set_status(world, subscription, "active")
        bill(world, subscription, reason="subscription_cycle")


def renew(world: World, subscription: Json) -> None:
    """Begin the next period, at the price of its schedule, if any."""
    if subscription["cancel_at_period_end"]:
        end(world, subscription)
        return
    _apply_schedule(world, subscription)
    _set_period(subscription, period_of(subscription)[1])
    world.emit("customer.subscription.updated", subscription)
    bill(world, subscription, reason="subscription_cycle")


def set_status(world: World, subscription: Json, status: str) -> None:
    """Change the status and add an event."""
    if subscription["status"] != status:
        subscription["status"] = status
        world.emit("customer.subscription.updated", subscription)


def period_of(subscription: Json) -> tuple[int, int]:
    """Return the current period, which is stored on the items."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def create_schedule(world: World, params: Json) -> Json:
    """Put a subscription under a schedule."""
    subscription = world.get("subscription", params.get("from_subscription"))
    if subscription["schedule"] or subscription["cancel_at_period_end"]:
        raise StripeError("You cannot migrate a subscription that is already attached to a schedule or is canceling.")
    start, stop = period_of(subscription)
    price = subscription["items"]["data"][0]["price"]["id"]
    schedule = world.new(
        "subscription_schedule",
        customer=subscription["customer"],
        subscription=subscription["id"],
        current_phase={"start_date": start, "end_date": stop},
        phases=[{"start_date": start, "end_date": stop, "items": [{"price": price, "quantity": 1}]}],
    )
    subscription["schedule"] = schedule["id"]
    world.emit("subscription_schedule.created", schedule)
    world.emit("customer.subscription.updated", subscription)
    return schedule


def update_schedule(world: World, schedule: Json, params: Json) -> Json:
    """Change the phases."""
    phases: list[Json] = []
    for phase in params.get("phases", []):
        start = int(phase.get("start_date") or phases[-1]["end_date"])
        length = int(phase.get("duration", {}).get("interval_count", 1))
        stop = int(phase.get("end_date") or month_after(start, length))
        for item in phase["items"]:
            world.get("price", item["price"])
        phases.append({"start_date": start, "end_date": stop, "items": phase["items"]})
    schedule["phases"] = phases or schedule["phases"]
    schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
    world.emit("subscription_schedule.updated", schedule)
    return schedule


def release_schedule(world: World, schedule: Json) -> Json:
    """Release a subscription from its schedule."""
    subscription = world.get("subscription", schedule["subscription"])
    schedule.update(status="released", released_at=world.now, released_subscription=subscription["id"])
    schedule["subscription"] = None
    subscription["schedule"] = None
    world.emit("subscription_schedule.released", schedule)
    world.emit("customer.subscription.updated", subscription)
    return schedule


def month_after(moment: int, months: int = 1, anchor: int | None = None) -> int:
    """Return the same day of a later month; `anchor` has the day."""
    begin = datetime.fromtimestamp(moment, UTC)
    day = datetime.fromtimestamp(anchor if anchor is not None else moment, UTC).day
    index = begin.year * 12 + begin.month - 1 + months
    year, month = divmod(index, 12)
    last = (datetime((index + 1) // 12, (index + 1) % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)).day
    return int(begin.replace(year=year, month=month + 1, day=min(day, last)).timestamp())


def _begin_trial(world: World, subscription: Json, trial_end: int) -> Json:
    subscription.update(status="trialing", trial_start=world.now, trial_end=trial_end, billing_cycle_anchor=trial_end)
    subscription["items"]["data"][0].update(current_period_start=world.now, current_period_end=trial_end)
    world.emit("customer.subscription.created", subscription)
    bill(world, subscription, reason="subscription_create")
    if trial_end - world.now <= WARN_BEFORE_S:
        warn(world, subscription)
    return subscription


def warn(world: World, subscription: Json) -> None:
    """Add the event that the trial will end."""
    world.note(subscription["id"])["warned"] = True
    world.emit("customer.subscription.trial_will_end", subscription)


def _change_price(world: World, subscription: Json, params: Json) -> None:
    item = subscription["items"]["data"][0]
    price = world.get("price", params["items"][0]["price"])
    if price["id"] == item["price"]["id"]:
        return
    start, stop = period_of(subscription)
    share = max(0, stop - world.now) / max(1, stop - start)
    amount = round((price["unit_amount"] - item["price"]["unit_amount"]) * share)
    is_invoiced = params.get("proration_behavior") == "always_invoice" and subscription["status"] != "trialing"
    if is_invoiced and amount > 0 and params.get("payment_behavior") == "error_if_incomplete":
        method = invoices.method_of(world, {"customer": subscription["customer"], "parent": _parent(subscription)})
        reason = payment.why_not(world, method)
        if reason is not None:
            raise payment.declined(reason)
    item["price"] = price
    if not is_invoiced or amount == 0:
        return
    customer = world.get("customer", subscription["customer"])
    invoice = invoices.new_invoice(world, customer, reason="subscription_update", subscription=subscription)
    _line(world, invoice, subscription, amount=amount)
    subscription["latest_invoice"] = invoice["id"]
    world.emit("invoice.created", invoice)
    invoices.finalize(world, invoice)
    collect(world, subscription, invoice)


def _set_cancel(world: World, subscription: Json, *, is_cancelling: bool) -> None:
    subscription["cancel_at_period_end"] = is_cancelling
    subscription["cancel_at"] = period_of(subscription)[1] if is_cancelling else None
    subscription["canceled_at"] = world.now if is_cancelling else None
    subscription["cancellation_details"]["reason"] = "cancellation_requested" if is_cancelling else None


def _apply_schedule(world: World, subscription: Json) -> None:
    schedule = world.objects.get(str(subscription["schedule"]))
    if schedule is None:
        return
    stop = period_of(subscription)[1]
    for phase in schedule["phases"]:
        if phase["start_date"] <= stop < phase["end_date"]:
            subscription["items"]["data"][0]["price"] = world.get("price", phase["items"][0]["price"])
            schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    if stop >= schedule["phases"][-1]["start_date"]:
        release_schedule(world, schedule)


def _set_period(subscription: Json, start: int) -> None:
    stop = month_after(start, anchor=subscription["billing_cycle_anchor"])
    subscription["items"]["data"][0].update(current_period_start=start, current_period_end=stop)


def _line(world: World, invoice: Json, subscription: Json, *, amount: int) -> None:
    item = subscription["items"]["data"][0]
    details: dict[str, Any] = {
        "invoice_item": None,
        "proration": invoice["billing_reason"] == "subscription_update",
        "proration_details": {"credited_items": None},
        "subscription": subscription["id"],
        "subscription_item": item["id"],
    }
    invoices.add_line(
        world,
        invoice,
        amount=amount,
        description="Big Snuggles",
        period=period_of(subscription),
        parent={
            "type": "subscription_item_details",
            "subscription_item_details": details,
            "invoice_item_details": None,
        },
    )


def _parent(subscription: Json) -> Json:
    return {"subscription_details": {"subscription": subscription["id"]}}
