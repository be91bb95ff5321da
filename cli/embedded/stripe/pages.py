"""The pages of the simulation: checkout and customer portal, clearly marked as such."""

from datetime import UTC, datetime
from html import escape

from cli.embedded.stripe import checkout, invoices, payment, subscriptions
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World

STYLE = """
:root { color-scheme: light dark; --line: #8886; --accent: #635bff }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; justify-items: center; padding: 1rem }
main { width: min(26rem, 100%); display: grid; gap: 1rem }
.test { background: #ffde92; color: #442b00; padding: .5rem .75rem; border-radius: .4rem; font-weight: 600 }
.error { border: 1px solid #c0123c; border-radius: .4rem; padding: .5rem .75rem }
form { display: grid; gap: .75rem } label { display: grid; gap: .25rem }
input, button { font: inherit; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: .4rem }
button { background: var(--accent); color: #fff; border: 0; cursor: pointer } button.plain { background: #6b7280 }
.row { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem } table { width: 100%; border-collapse: collapse }
td { padding: .3rem 0; border-bottom: 1px solid var(--line) } td:last-child { text-align: right }
"""
NOTE = "Test mode: this page stands in for Stripe. No card is charged. Use 4242 4242 4242 4242."


def pay_page(world: World, session_id: str, *, error: str = "") -> str:
    """Return the checkout page of a session."""
    session = world.get("checkout.session", session_id)
    if session["status"] != "open":
        return _page("Checkout", "<p>This checkout has ended. Go back and start again.</p>")
    note = world.note(session_id)
    price = world.objects[note["line_items"][0]["price"]]
    product = world.objects[price["product"]]
    days = note["subscription_data"].get("trial_period_days")
    each = f"{_money(price['unit_amount'])} a month"
    terms = f"{days} days free, then {each}" if days else each
    failed = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    button = "Start trial" if days else "Subscribe"
    return _page(
        "Checkout",
        f"""<h1>{escape(product["name"])}</h1><p>{terms}</p>{failed}
<form method="post" action="/pay/{session_id}">
<label>Card number <input name="number" inputmode="numeric" autocomplete="cc-number" required></label>
<div class="row"><label>Expiry <input name="expiry" placeholder="12 / 34" autocomplete="cc-exp"></label>
<label>CVC <input name="cvc" placeholder="123" autocomplete="cc-csc"></label></div>
<button name="action" value="pay">{button}</button>
<button class="plain" name="action" value="link" formnovalidate>Pay with Link (no card)</button></form>
<p><a href="{escape(session["cancel_url"] or "#")}">Back</a></p>""",
    )


def submit_payment(world: World, session_id: str, form: Json) -> str:
    """Pay with the form's data and return the next address; StripeError with a message for the page."""
    session = world.get("checkout.session", session_id)
    if form.get("action") == "link":
        method = payment.link_method(world)
    else:
        method = payment.card_method(world, str(form.get("number", "")))
    checkout.complete(world, session, method)
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session_id)


def portal_page(world: World, session_id: str, *, error: str = "") -> str:
    """Return the customer portal."""
    session = world.get("billing_portal.session", session_id)
    customer = session["customer"]
    live = [each for each in world.find("subscription", customer=customer) if each["status"] not in subscriptions.OVER]
    paid = "".join(
        f"<tr><td>{_day(each['created'])}</td><td>{each['status']}</td><td>{_money(each['amount_due'])}</td></tr>"
        for each in world.find("invoice", customer=customer)
    )
    failed = f'<p class="error" role="alert">{escape(error)}</p>' if error else ""
    return _page(
        "Billing portal",
        f"""<h1>Billing</h1>{failed}{"".join(_subscription(world, each) for each in live) or "<p>No subscription.</p>"}
<form method="post"><label>New card number <input name="number" inputmode="numeric" autocomplete="cc-number"></label>
<button name="action" value="card">Save card</button></form>
<h2>Invoices</h2><table>{paid}</table><p><a href="{escape(session["return_url"] or "#")}">Return</a></p>""",
    )


def submit_portal(world: World, session_id: str, form: Json) -> None:
    """Do the chosen action of the portal; StripeError with a message for the page."""
    customer = world.get("customer", world.get("billing_portal.session", session_id)["customer"])
    live = [
        each for each in world.find("subscription", customer=customer["id"]) if each["status"] not in subscriptions.OVER
    ]
    if form.get("action") == "card":
        method = payment.attach(world, payment.card_method(world, str(form.get("number", ""))), customer["id"])
        customer["invoice_settings"]["default_payment_method"] = method["id"]
        world.emit("customer.updated", customer)
        for each in live:
            subscriptions.update(world, each, {"default_payment_method": method["id"]})
            _collect_open(world, each)
        return
    for each in live:
        subscriptions.update(world, each, {"cancel_at_period_end": form.get("action") == "cancel"})


def _collect_open(world: World, subscription: Json) -> None:
    for invoice in world.find("invoice", customer=subscription["customer"], status="open"):
        if invoices.subscription_of(invoice) == subscription["id"]:
            subscriptions.collect(world, subscription, invoice, is_present=True)


def _subscription(world: World, subscription: Json) -> str:
    price = subscription["items"]["data"][0]["price"]
    name = world.objects[price["product"]]["name"]
    ends = _day(subscriptions.period_of(subscription)[1])
    if subscription["cancel_at_period_end"]:
        action, said = "resume", f"Ends on {ends}."
    else:
        action, said = "cancel", f"Renews on {ends}."
    return (
        f"<p><b>{escape(name)}</b>, {subscription['status']}. {said}</p>"
        f'<form method="post"><button class="plain" name="action" value="{action}">'
        f"{'Keep the subscription' if action == 'resume' else 'Cancel at the end of the period'}</button></form>"
    )


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>{title} (test mode)</title><style>{STYLE}</style><main><p class="test" role="note">{NOTE}</p>'
        f"{body}</main></html>"
    )


def _money(cents: int) -> str:
    return f"${cents / 100:.2f}"


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")


__all__ = ["StripeError", "pay_page", "portal_page", "submit_payment", "submit_portal"]
