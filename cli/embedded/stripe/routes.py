"""The routes of the simulated API."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from cli.embedded.stripe import checkout, invoices, payment, subscriptions, timeline
from cli.embedded.stripe.form import is_true
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World, listing

Handler = Callable[[World, Json, Json], Json]
"""Called with the world, the parts of the path and the parameters."""
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []
FILTERS = ("customer", "status", "product", "active", "code", "invoice", "charge", "payment_intent", "subscription")
LISTS = {
    "customers": "customer",
    "products": "product",
    "prices": "price",
    "subscriptions": "subscription",
    "subscription_schedules": "subscription_schedule",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "payment_methods": "payment_method",
    "payment_intents": "payment_intent",
    "checkout/sessions": "checkout.session",
    "billing_portal/configurations": "billing_portal.configuration",
    "webhook_endpoints": "webhook_endpoint",
    "promotion_codes": "promotion_code",
    "coupons": "coupon",
    "test_helpers/test_clocks": "test_helpers.test_clock",
}


def answer(world: World, method: str, path: str, params: Json) -> Json:
    """Handle a request and return the object; StripeError if it is invalid."""
    timeline.tick(world)
    for verb, pattern, handler in ROUTES:
        found = pattern.fullmatch(path)
        if verb == method and found:
            expand = params.pop("expand", [])
            result: Json = _copied(handler(world, found.groupdict(), params))
            for way in expand:
                _expand(world, result, way.split("."))
            return result
    raise StripeError(f"Unrecognized request URL ({method}: {path}).", status=404)


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """Register a handler; `{id}` in the path is one part."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, pattern, handler))
        return handler

    return register


def _register_plain() -> None:
    for name, kind in LISTS.items():
        route("GET", f"/v1/{name}")(partial(_list_route, name, kind))
        route("GET", f"/v1/{name}/{{id}}")(partial(_get_route, kind))


def _list_route(name: str, kind: str, world: World, _path: Json, params: Json) -> Json:
    return _list(world, name, kind, params)


def _get_route(kind: str, world: World, path: Json, _params: Json) -> Json:
    return world.get(kind, path["id"])


def _list(world: World, name: str, kind: str, params: Json) -> Json:
    wanted: Json = {field: params[field] for field in FILTERS if field in params}
    if wanted.get("status") == "all":
        wanted.pop("status")
    elif kind == "subscription" and "status" not in wanted:
        wanted["status"] = None
    if "active" in wanted:
        wanted["active"] = is_true(wanted["active"])
    rows = world.find(kind, **wanted)
    if kind == "subscription" and "status" not in params:
        rows = [row for row in rows if row["status"] not in subscriptions.OVER]
    keys = params.get("lookup_keys")
    if keys:
        rows = [row for row in rows if row["lookup_key"] in keys]
    limit = min(100, int(params.get("limit", 10)))
    return listing(rows, f"/v1/{name}", limit=limit, after=params.get("starting_after"))


_register_plain()


@route("GET", "/v1/events")
def _events(world: World, _path: Json, params: Json) -> Json:
    rows = [each for each in reversed(world.events) if params.get("type") in (None, each["type"])]
    return listing(rows, "/v1/events", limit=min(100, int(params.get("limit", 10))), after=params.get("starting_after"))


@route("POST", "/v1/customers")
def _create_customer(world: World, _path: Json, params: Json) -> Json:
    fields = {
        name: params[name] for name in ("email", "name", "description", "metadata", "test_clock") if name in params
    }
    customer = world.new("customer", **fields)
    if params.get("payment_method"):
        method = payment.resolve_method(world, params["payment_method"])
        payment.attach(world, method, customer["id"])
        if params.get("invoice_settings", {}).get("default_payment_method"):
            customer["invoice_settings"]["default_payment_method"] = method["id"]
    world.emit("customer.created", customer)
    return customer


@route("POST", "/v1/customers/{id}")
def _update_customer(world: World, path: Json, params: Json) -> Json:
    customer = world.get("customer", path["id"])
    customer.update({name: params[name] for name in ("email", "name", "description", "metadata") if name in params})
    chosen = params.get("invoice_settings", {}).get("default_payment_method")
    if chosen:
        customer["invoice_settings"]["default_payment_method"] = world.get("payment_method", chosen)["id"]
    world.emit("customer.updated", customer)
    return customer


@route("DELETE", "/v1/customers/{id}")
def _delete_customer(world: World, path: Json, _params: Json) -> Json:
    customer = world.get("customer", path["id"])
    for subscription in world.find("subscription", customer=customer["id"]):
        if subscription["status"] not in subscriptions.OVER:
            subscriptions.end(world, subscription)
    world.emit("customer.deleted", customer)
    world.objects[customer["id"]] = {"id": customer["id"], "object": "customer", "deleted": True}
    return world.objects[customer["id"]]


@route("POST", "/v1/products")
def _create_product(world: World, _path: Json, params: Json) -> Json:
    fields = {name: params[name] for name in ("name", "description", "metadata") if name in params}
    product = world.new("product", **fields)
    product["updated"] = world.now
    world.emit("product.created", product)
    return product


@route("POST", "/v1/prices")
def _create_price(world: World, _path: Json, params: Json) -> Json:
    world.get("product", params.get("product"))
    recurring = params.get("recurring")
    price = world.new(
        "price",
        product=params["product"],
        currency=params["currency"],
        unit_amount=int(params["unit_amount"]),
        unit_amount_decimal=str(params["unit_amount"]),
        lookup_key=params.get("lookup_key"),
        nickname=params.get("nickname"),
        metadata=params.get("metadata", {}),
        type="recurring" if recurring else "one_time",
    )
    if recurring:
        price["recurring"]["interval"] = recurring["interval"]
    else:
        price["recurring"] = None
    world.emit("price.created", price)
    return price


@route("POST", "/v1/payment_methods")
def _create_method(world: World, _path: Json, params: Json) -> Json:
    return payment.create_method(world, params)


@route("POST", "/v1/payment_methods/{id}/attach")
def _attach(world: World, path: Json, params: Json) -> Json:
    customer = world.get("customer", params.get("customer"))
    return payment.attach(world, payment.resolve_method(world, path["id"]), customer["id"])


@route("POST", "/v1/payment_methods/{id}/detach")
def _detach(world: World, path: Json, _params: Json) -> Json:
    method = world.get("payment_method", path["id"])
    method["customer"] = None
    world.emit("payment_method.detached", method)
    return method


@route("POST", "/v1/subscriptions")
def _create_subscription(world: World, _path: Json, params: Json) -> Json:
    return subscriptions.create(world, params)


@route("POST", "/v1/subscriptions/{id}")
def _update_subscription(world: World, path: Json, params: Json) -> Json:
    return subscriptions.update(world, world.get("subscription", path["id"]), params)


@route("POST", "/v1/subscriptions/{id}/resume")
def _resume_subscription(world: World, path: Json, _params: Json) -> Json:
    return subscriptions.resume(world, world.get("subscription", path["id"]))


@route("DELETE", "/v1/subscriptions/{id}")
def _end_subscription(world: World, path: Json, _params: Json) -> Json:
    return subscriptions.end(world, world.get("subscription", path["id"]))


@route("POST", "/v1/subscription_schedules")
def _create_schedule(world: World, _path: Json, params: Json) -> Json:
    return subscriptions.create_schedule(world, params)


@route("POST", "/v1/subscription_schedules/{id}")
def _update_schedule(world: World, path: Json, params: Json) -> Json:
    return subscriptions.update_schedule(world, world.get("subscription_schedule", path["id"]), params)


@route("POST", "/v1/subscription_schedules/{id}/release")
def _release_schedule(world: World, path: Json, _params: Json) -> Json:
    return subscriptions.release_schedule(world, world.get("subscription_schedule", path["id"]))


@route("POST", "/v1/invoiceitems")
def _create_item(world: World, _path: Json, params: Json) -> Json:
    return invoices.create_item(world, params)


@route("POST", "/v1/invoices")
def _create_invoice(world: World, _path: Json, params: Json) -> Json:
    return invoices.create(world, params)


@route("POST", "/v1/invoices/{id}")
def _update_invoice(world: World, path: Json, params: Json) -> Json:
    invoice = world.get("invoice", path["id"])
    invoice.update({name: params[name] for name in ("metadata", "description") if name in params})
    world.emit("invoice.updated", invoice)
    return invoice


@route("POST", "/v1/invoices/{id}/finalize")
def _finalize(world: World, path: Json, _params: Json) -> Json:
    return invoices.finalize(world, world.get("invoice", path["id"]))


@route("POST", "/v1/invoices/{id}/pay")
def _pay(world: World, path: Json, params: Json) -> Json:
    invoice = world.get("invoice", path["id"])
    subscription_id = invoices.subscription_of(invoice)
    if subscription_id is None:
        return invoices.pay_by_api(world, invoice, params)
    method = invoices.method_of(world, invoice)
    if not subscriptions.collect(world, world.get("subscription", subscription_id), invoice):
        raise payment.declined(payment.why_not(world, method) or "")
    return invoice


@route("POST", "/v1/invoices/{id}/void")
def _void(world: World, path: Json, _params: Json) -> Json:
    return invoices.void(world, world.get("invoice", path["id"]))


@route("POST", "/v1/refunds")
def _refund(world: World, _path: Json, params: Json) -> Json:
    return payment.refund(world, params)


@route("POST", "/v1/checkout/sessions")
def _create_session(world: World, _path: Json, params: Json) -> Json:
    return checkout.create(world, params)


@route("POST", "/v1/checkout/sessions/{id}/expire")
def _expire(world: World, path: Json, _params: Json) -> Json:
    return checkout.expire(world, world.get("checkout.session", path["id"]))


@route("GET", "/v1/payment_pages/{id}")
def _payment_page(world: World, path: Json, _params: Json) -> Json:
    return world.get("checkout.session", path["id"])


@route("POST", "/v1/payment_pages/{id}/confirm")
def _confirm(world: World, path: Json, params: Json) -> Json:
    method = world.get("payment_method", params.get("payment_method"))
    return checkout.complete(world, world.get("checkout.session", path["id"]), method)


@route("POST", "/v1/billing_portal/sessions")
def _portal(world: World, _path: Json, params: Json) -> Json:
    return checkout.create_portal_session(world, params)


@route("POST", "/v1/billing_portal/configurations")
def _configuration(world: World, _path: Json, params: Json) -> Json:
    return _configure(world, world.new("billing_portal.configuration", is_default=False), params)


@route("POST", "/v1/billing_portal/configurations/{id}")
def _update_configuration(world: World, path: Json, params: Json) -> Json:
    return _configure(world, world.get("billing_portal.configuration", path["id"]), params)


@route("DELETE", "/v1/webhook_endpoints/{id}")
def _delete_endpoint(world: World, path: Json, _params: Json) -> Json:
    endpoint = world.get("webhook_endpoint", path["id"])
    del world.objects[endpoint["id"]]
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


@route("POST", "/v1/webhook_endpoints")
def _create_endpoint(world: World, _path: Json, params: Json) -> Json:
    endpoint = world.new(
        "webhook_endpoint",
        url=params["url"],
        enabled_events=params["enabled_events"],
        description=params.get("description"),
        metadata=params.get("metadata", {}),
        api_version=params.get("api_version"),
    )
    secret = params.get("secret") or f"whsec_{endpoint['id']}"
    world.note(endpoint["id"])["secret"] = secret
    return {**endpoint, "secret": secret}


@route("POST", "/v1/webhook_endpoints/{id}")
def _update_endpoint(world: World, path: Json, params: Json) -> Json:
    endpoint = world.get("webhook_endpoint", path["id"])
    endpoint.update({name: params[name] for name in ("url", "enabled_events", "description") if name in params})
    return endpoint


@route("POST", "/v1/test_helpers/test_clocks")
def _create_clock(world: World, _path: Json, params: Json) -> Json:
    return world.new("test_helpers.test_clock", frozen_time=int(params["frozen_time"]), name=params.get("name"))


@route("POST", "/v1/test_helpers/test_clocks/{id}/advance")
def _advance(world: World, path: Json, params: Json) -> Json:
    clock = world.get("test_helpers.test_clock", path["id"])
    wanted = int(params["frozen_time"])
    timeline.advance(world, max(0, wanted - world.now))
    clock["frozen_time"] = wanted
    return clock


def _configure(world: World, configuration: Json, params: Json) -> Json:
    for name, value in params.get("features", {}).items():
        configuration["features"][name].update(
            {key: is_true(each) if each in ("true", "false") else each for key, each in value.items()}
        )
    configuration["business_profile"].update(params.get("business_profile", {}))
    configuration["metadata"] = params.get("metadata", configuration["metadata"])
    configuration["updated"] = world.now
    return configuration


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(each) for name, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


def _expand(world: World, value: Any, way: list[str]) -> None:
    if isinstance(value, list):
        for each in value:
            _expand(world, each, way)
        return
    if not isinstance(value, dict) or not way:
        return
    name, rest = way[0], way[1:]
    if name == "payments" and value.get("object") == "invoice":
        paid = world.find("invoice_payment", invoice=value["id"])
        value["payments"] = _copied(listing(paid, f"/v1/invoice_payments?invoice={value['id']}", limit=100))
    inner = value.get(name)
    if isinstance(inner, str) and inner in world.objects:
        inner = value[name] = _copied(world.objects[inner])
    _expand(world, inner, rest)
