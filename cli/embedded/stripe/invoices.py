"""Invoices: creating, finalising, paying, retrying and voiding them."""

from cli.embedded.stripe import payment
from cli.embedded.stripe.shapes import Json, blank
from cli.embedded.stripe.world import StripeError, World

DAY_S = 86_400
RETRY_AFTER_DAYS = (3, 5, 7)
"""Days after each failed payment until the next attempt; then the subscription ends."""


def add_line(  # noqa: PLR0913 - keyword-only, one per field
    world: World, invoice: Json, *, amount: int, description: str, period: tuple[int, int], parent: Json
) -> None:
    """Add a line to a draft and update its total."""
    world.note("counter")["line"] = number = world.note("counter").get("line", 0) + 1
    line = blank("line_item")
    line.update(
        id=f"il_{invoice['id']}{number}",
        amount=amount,
        subtotal=amount,
        currency=invoice["currency"],
        description=description,
        invoice=invoice["id"],
        period={"start": period[0], "end": period[1]},
        parent=parent,
    )
    invoice["lines"]["data"].append(line)
    total = sum(each["amount"] for each in invoice["lines"]["data"])
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        invoice[name] = total
    invoice["amount_due"] = invoice["amount_remaining"] = max(0, total)


def new_invoice(world: World, customer: Json, *, reason: str, subscription: Json | None = None) -> Json:
    """Make an empty draft."""
    parent = None
    if subscription is not None:
        details = {"metadata": subscription["metadata"], "subscription": subscription["id"]}
        parent = {"type": "subscription_details", "subscription_details": details, "quote_details": None}
    invoice = world.new(
        "invoice",
        customer=customer["id"],
        customer_email=customer["email"],
        customer_name=customer["name"],
        billing_reason=reason,
        period_start=world.now,
        period_end=world.now,
        parent=parent,
        amount_due=0,
        amount_remaining=0,
        subtotal=0,
        total=0,
        subtotal_excluding_tax=0,
        total_excluding_tax=0,
    )
    invoice["lines"]["url"] = f"/v1/invoices/{invoice['id']}/lines"
    return invoice


def create(world: World, params: Json) -> Json:
    """Make an invoice of a customer's pending items, as the API does."""
    customer = world.get("customer", params.get("customer"))
    invoice = new_invoice(world, customer, reason="manual")
    invoice["description"] = params.get("description")
    for item in world.find("invoiceitem", customer=customer["id"], invoice=""):
        item["invoice"] = invoice["id"]
        parent = {
            "type": "invoice_item_details",
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": None,
                "subscription": None,
            },
            "subscription_item_details": None,
        }
        add_line(
            world,
            invoice,
            amount=item["amount"],
            description=item["description"],
            period=(world.now, world.now),
            parent=parent,
        )
    world.emit("invoice.created", invoice)
    return invoice


def create_item(world: World, params: Json) -> Json:
    """Add an amount to a customer's next invoice."""
    customer = world.get("customer", params.get("customer"))
    item = world.new(
        "invoiceitem",
        customer=customer["id"],
        amount=int(params["amount"]),
        net_amount=int(params["amount"]),
        currency=params["currency"],
        description=params.get("description"),
        date=world.now,
        period={"start": world.now, "end": world.now},
        invoice="",
    )
    world.emit("invoiceitem.created", item)
    return item


def finalize(world: World, invoice: Json) -> Json:
    """Finalise a draft, so that it can be paid."""
    if invoice["status"] != "draft":
        return invoice
    customer = world.get("customer", invoice["customer"])
    invoice["number"] = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    url = f"{world.base_url}/invoice/{invoice['id']}"
    invoice.update(status="open", auto_advance=True, hosted_invoice_url=url, invoice_pdf=f"{url}/pdf")
    invoice["effective_at"] = invoice["status_transitions"]["finalized_at"] = world.now
    world.emit("invoice.finalized", invoice)
    return invoice


def pay(world: World, invoice: Json, method: Json | None, *, is_present: bool = False) -> bool:
    """Try to pay a finalised invoice; False if that fails."""
    if invoice["amount_due"] == 0:
        settled(world, invoice, None)
        return True
    reason = payment.why_not(world, method, is_present=is_present)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    if reason is not None or method is None:
        _failed(world, invoice, reason or "no_payment_method")
        return False
    intent, _ = payment.charge(
        world,
        method,
        amount=invoice["amount_due"],
        currency=invoice["currency"],
        customer=invoice["customer"],
    )
    settled(world, invoice, intent)
    return True


def pay_by_api(world: World, invoice: Json, params: Json) -> Json:
    """Pay as the API does: a failure is an error."""
    finalize(world, invoice)
    method = (
        payment.resolve_method(world, params["payment_method"])
        if params.get("payment_method")
        else method_of(world, invoice)
    )
    if not pay(world, invoice, method):
        raise payment.declined(payment.why_not(world, method) or "")
    return invoice


def void(world: World, invoice: Json) -> Json:
    """Void an open invoice."""
    if invoice["status"] not in ("open", "uncollectible"):
        raise StripeError("You can only pass in open invoices.", code="invoice_not_editable")
    invoice.update(status="void", auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"]["voided_at"] = world.now
    world.emit("invoice.voided", invoice)
    return invoice


def method_of(world: World, invoice: Json) -> Json | None:
    """Return the payment method of an invoice: the subscription's, else the customer's."""
    subscription_id = subscription_of(invoice)
    subscription = world.objects.get(subscription_id) if subscription_id else None
    if subscription is None or not subscription.get("default_payment_method"):
        customer = world.objects.get(invoice["customer"], {})
        chosen = (customer.get("invoice_settings") or {}).get("default_payment_method")
    else:
        chosen = subscription["default_payment_method"]
    method = world.objects.get(str(chosen))
    return method if method and method.get("customer") == invoice["customer"] else None


def subscription_of(invoice: Json) -> str | None:
    """Return the id of the subscription that an invoice is for."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return details.get("subscription")


def settled(world: World, invoice: Json, intent: Json | None) -> None:
    """Mark an invoice as paid."""
    invoice.update(
        status="paid",
        amount_paid=invoice["amount_due"],
        amount_remaining=0,
        attempted=True,
        auto_advance=False,
        next_payment_attempt=None,
    )
    invoice["status_transitions"]["paid_at"] = world.now
    if intent is not None:
        world.new(
            "invoice_payment",
            amount_paid=invoice["amount_due"],
            amount_requested=invoice["amount_due"],
            currency=invoice["currency"],
            invoice=invoice["id"],
            payment={"type": "payment_intent", "payment_intent": intent["id"]},
            status="paid",
            status_transitions={"canceled_at": None, "paid_at": world.now},
        )
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def _failed(world: World, invoice: Json, reason: str) -> None:
    tries = invoice["attempt_count"]
    left = subscription_of(invoice) is not None and tries <= len(RETRY_AFTER_DAYS)
    invoice["next_payment_attempt"] = world.now + RETRY_AFTER_DAYS[tries - 1] * DAY_S if left else None
    if reason == "authenticate":
        world.emit("invoice.payment_action_required", invoice)
    world.emit("invoice.payment_failed", invoice)
