"""`snuggles up --demo` as a whole: a plan is bought, changed, cancelled in the portal, and the events arrive."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import visiting
from support.api.server import PASSWORD
from support.servers.stack import Stack
from support.stripe.shop import PAYS

SHOTS = os.environ.get("SHOTS")
"""Folder for screenshots, for people who change the pages."""
EVENT_S = 60.0
"""An event is sent by the simulation, stored by the API and followed by a job of a worker that also runs the demo."""
pytestmark = pytest.mark.xdist_group("browser")


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(400)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def current(page: Page) -> dict[str, Any]:
    answer = page.request.get("/api/subscription/current")
    return dict(answer.json()["data"])


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + EVENT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"{what} did not come"
        time.sleep(0.2)


def test_plan_is_bought_upgraded_and_cancelled_on_a_laptop(browser: Browser, tmp_path: Path) -> None:
    with Stack(tmp_path / "data", "--port", "0", "--demo") as stack:
        url = stack.ready()
        with visiting(browser, url) as watched:
            page = watched.page
            page.context.route(
                lambda address: urlsplit(address).hostname == "127.0.0.1", lambda route: route.continue_()
            )
            email = f"{secrets.token_hex(5)}@example.org"
            data = {"email": email, "password": PASSWORD, "cookie": True}
            assert page.request.post("/api/auth/signup", data=data).status == 201
            page.goto("/pricing")
            expect(page.get_by_text("Test mode: payments are simulated")).to_be_visible()
            shoot(page, "demo-1-pricing")
            page.get_by_role("region", name="Premium").get_by_role("button", name="Start 7-Day Trial").click()
            page.get_by_label("Card number").fill(PAYS)
            shoot(page, "demo-2-checkout")
            page.get_by_role("button", name="Start trial").click()
            expect(page.get_by_role("heading", name="Welcome to Premium")).to_be_visible()
            shoot(page, "demo-3-success")
            page.get_by_role("link", name="See the subscription").click()
            expect(page.get_by_text("Trial ends", exact=True)).to_be_visible()

            page.get_by_role("link", name="Change to Pro").click()
            page.get_by_role("button", name="Change to Pro").click()
            page.get_by_role("dialog").get_by_role("button", name="Change plan").click()
            expect(page.get_by_role("heading", name="Pro", exact=True)).to_be_visible()
            shoot(page, "demo-4-upgraded")

            page.get_by_role("button", name="Card and invoices").click()
            shoot(page, "demo-5-portal")
            # In the portal nothing of ours is told but by the event.
            page.get_by_role("button", name="Cancel at the end of the period").click()
            until(lambda: current(page)["cancel_at_period_end"], "the event of the cancellation")
            page.get_by_role("link", name="Return").click()
            expect(page.get_by_role("button", name="Keep Pro")).to_be_visible()
            shoot(page, "demo-6-cancelled")
            found = current(page)
            assert (found["tier"], found["source"], found["is_test_mode"]) == ("pro", "stripe", True)
            page.get_by_role("button", name="Keep Pro").click()
            expect(page.get_by_role("button", name="Cancel plan")).to_be_visible()
