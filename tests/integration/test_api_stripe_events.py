"""Stripe's webhook: what is signed is stored once, what is not changes nothing."""

import io
import json
import logging
import time
from contextlib import suppress
from typing import Any

import pytest
import structlog
from msgspec.structs import replace
from support.api.server import LOCAL, refused
from support.stripe.shop import signed
from support.stripe.till import Till
from support.stripe.world import SECRET_KEY, WEBHOOK_SECRET

from services.billing.gateway.client import Gateway
from services.errors import DomainError
from services.process.logging import configure


def bad_requests(event: dict[str, Any]) -> dict[str, tuple[bytes, dict[str, str]]]:
    body, header = signed(event)
    now = int(time.time())
    again = json.dumps(json.loads(body), indent=1).encode()
    return {
        "no signature": (body, {}),
        "of another secret": (body, {"Stripe-Signature": signed(event, secret="whsec_other")[1]}),
        "old": (body, {"Stripe-Signature": signed(event, at=now - 400)[1]}),
        "from the future": (body, {"Stripe-Signature": signed(event, at=now + 400)[1]}),
        "body written again": (again, {"Stripe-Signature": header}),
        "no header at all": (body, {"Stripe-Signature": "nonsense"}),
        "no UTF-8": (b"\xff\xfe", {"Stripe-Signature": header}),
    }


@pytest.mark.parametrize("how", sorted(bad_requests({"id": "evt_1"})))
def test_what_stripe_did_not_sign_is_refused_and_not_stored(till: Till, how: str) -> None:
    event = {"id": "evt_bad", "type": "invoice.paid", "livemode": False, "data": {"object": {"customer": "cus_1"}}}
    body, headers = bad_requests(event)[how]
    answer = till.service.client.post("/api/subscription/webhook", content=body, headers=headers)
    assert refused(answer, 400)["code"] == "invalid_signature"
    assert till.service.rows("SELECT 1 FROM stripe_events") == []


def test_event_of_an_unknown_customer_and_of_the_other_mode_are_stored_without_effect(till: Till) -> None:
    unknown = {"id": "evt_1", "type": "invoice.paid", "livemode": False, "data": {"object": {"customer": "cus_other"}}}
    live = {**unknown, "id": "evt_2", "livemode": True}
    other = {**unknown, "id": "evt_3", "type": "customer.tax_id.created"}
    for event in (unknown, live, other, unknown):
        answer = till.send(event)
        assert answer.json()["data"] == {"received": True}
    stored = till.service.rows("SELECT id, ignored_because FROM stripe_events ORDER BY id")
    assert [tuple(each.values()) for each in stored] == [
        ("evt_1", "unknown_customer"),
        ("evt_2", "other_mode"),
        ("evt_3", "no_effect"),
    ]
    assert till.service.rows("SELECT 1 FROM jobs WHERE kind = 'sync_subscription'") == []


def test_webhook_of_a_megabyte_is_refused(till: Till) -> None:
    answer = till.service.client.post("/api/subscription/webhook", content=b"x" * 2**20)
    assert answer.status_code == 413


def test_secrets_of_stripe_reach_no_log_whatever_goes_wrong(till: Till) -> None:
    billing = till.service.deps.billing
    assert billing is not None
    output = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure(replace(till.service.deps.settings, log_level="debug"), part="api", stream=output)
    try:
        person = till.service.person()
        till.buy(person)
        till.deliver()
        event = {"id": "evt_1", "type": "invoice.paid", "livemode": False, "data": {"object": {"customer": "cus_1"}}}
        till.send(event, secret="whsec_other")
        for secret_key in (SECRET_KEY, "sk_test_refused_by_stripe"):
            gateway = Gateway(replace(billing.settings, secret_key=secret_key))
            with suppress(DomainError):
                gateway.create_portal(customer_id="cus_none", return_url=LOCAL)
            with suppress(DomainError):
                gateway.cancel_now("sub_none")
        with suppress(DomainError):
            Gateway(replace(billing.settings, api_base="http://127.0.0.1:1")).cancel_now("sub_none")
        logging.getLogger("stripe").warning("request with %s and %s", SECRET_KEY, WEBHOOK_SECRET)
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    text = output.getvalue()
    assert "stripe_event" in text
    for secret in (SECRET_KEY, WEBHOOK_SECRET, "sk_test_refused_by_stripe", "whsec_other"):
        assert secret not in text
