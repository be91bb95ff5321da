"""Buying, changing and ending a plan in Chromium: our pages, the small Stripe's pages, and the way between them."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.api.browser import DESKTOP, PHONE, launch, visiting
from support.api.server import PASSWORD, listening
from support.stripe.shop import DECLINES, FAILS_LATER, PAYS, Shop
from support.stripe.world import stripe_server

from cli.embedded.stripe.simulation import Simulation, furnish
from db.connection import Database
from services.billing import sync as syncing
from services.process.settings import Settings

SHOTS = os.environ.get("SHOTS")
"""Folder for screenshots, for people who change the pages."""
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    with stripe_server(shop.world):
        furnish(shop.world, Simulation(port=1, webhook_secret="whsec_none", webhook_url="http://127.0.0.1:1/"))
        yield shop


@pytest.fixture
def url(settings: Settings, shop: Shop) -> Iterator[str]:
    with listening(replace(settings, stripe=shop.settings())) as (address, _):
        yield address


@contextmanager
def visitor(
    browser: Browser, url: str, shop: Shop, *, width: int = DESKTOP, scheme: Literal["light", "dark"] = "light"
) -> Iterator[Page]:
    """Somebody who may go to Stripe's pages too."""
    with visiting(browser, url, width=width, scheme=scheme) as watched:
        watched.page.context.route(
            lambda address: address.startswith(shop.world.base_url), lambda route: route.continue_()
        )
        yield watched.page


def sign_up(page: Page) -> str:
    email = f"{secrets.token_hex(5)}@example.org"
    answer = page.request.post("/api/auth/signup", data={"email": email, "password": PASSWORD, "cookie": True})
    assert answer.status == 201, answer.text()
    return email


def pay(page: Page, number: str) -> None:
    page.get_by_label("Card number").fill(number)
    page.get_by_role("button", name="Start trial").or_(page.get_by_role("button", name="Subscribe")).click()


def shoot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(400)
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def fits(page: Page) -> None:
    assert page.evaluate(TOO_WIDE) <= 0


def test_plan_is_bought_changed_cancelled_resumed_and_withdrawn_from(browser: Browser, url: str, shop: Shop) -> None:
    with visitor(browser, url, shop) as page:
        sign_up(page)
        page.goto("/pricing")
        expect(page.get_by_text("Test mode: payments are simulated")).to_be_visible()
        page.get_by_role("region", name="Premium").get_by_role("button", name="Start 7-Day Trial").click()
        pay(page, DECLINES)
        expect(page.get_by_role("alert")).to_have_text("Your card was declined.")
        pay(page, PAYS)
        expect(page.get_by_role("heading", name="Welcome to Premium")).to_be_visible()
        page.get_by_role("link", name="See the subscription").click()
        expect(page.get_by_text("Trial ends", exact=True)).to_be_visible()

        page.get_by_role("link", name="Change to Pro").click()
        page.get_by_role("button", name="Change to Pro").click()
        page.get_by_role("dialog").get_by_role("button", name="Change plan").click()
        expect(page.get_by_role("heading", name="Pro", exact=True)).to_be_visible()

        page.get_by_role("button", name="Cancel plan").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel plan").click()
        expect(page.get_by_role("button", name="Keep Pro")).to_be_visible()
        page.get_by_role("button", name="Keep Pro").click()
        expect(page.get_by_role("button", name="Cancel plan")).to_be_visible()

        page.get_by_role("button", name="Withdraw from contract").click()
        page.get_by_role("dialog").get_by_role("button", name="Confirm withdrawal").click()
        expect(page.get_by_text("You have withdrawn. A mail confirms it.")).to_be_visible()
        expect(page.get_by_role("heading", name="Free Tier")).to_be_visible()


def test_failed_payment_shows_on_every_page_and_the_portal_mends_it(
    browser: Browser, url: str, shop: Shop, database: Database
) -> None:
    billing = shop.billing(database)
    with visitor(browser, url, shop) as page:
        sign_up(page)
        page.goto("/pricing")
        page.get_by_role("region", name="Premium").get_by_role("button", name="Start 7-Day Trial").click()
        pay(page, FAILS_LATER)
        expect(page.get_by_role("heading", name="Welcome to Premium")).to_be_visible()
        shop.pass_days(8)
        with database.transaction(syncing.SERVICE) as tx:
            row: Any = tx.execute("SELECT user_id FROM subscriptions WHERE stripe_customer_id IS NOT NULL").fetchone()
        syncing.sync(billing, user_id=row["user_id"])

        page.goto("/recordings")
        expect(page.get_by_text("A payment failed. Change the card by")).to_be_visible()
        shoot(page, "failed-1280-light")
        page.get_by_role("button", name="Change the card").click()
        page.get_by_label("New card number").fill(PAYS)
        page.get_by_role("button", name="Save card").click()
        page.get_by_role("link", name="Return").click()
        syncing.sync(billing, user_id=row["user_id"])
        page.reload()
        expect(page.get_by_text("Next payment")).to_be_visible()
        expect(page.get_by_text("A payment failed")).to_have_count(0)


@pytest.mark.parametrize(("width", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_pages_fit_the_window(
    browser: Browser, url: str, shop: Shop, width: int, scheme: Literal["light", "dark"]
) -> None:
    with visitor(browser, url, shop, width=width, scheme=scheme) as page:
        page.goto("/pricing")
        expect(page.get_by_role("heading", name="Side by side")).to_be_visible()
        fits(page)
        shoot(page, f"pricing-{width}-{scheme}")
        sign_up(page)
        page.goto("/pricing")
        page.get_by_role("region", name="Premium").get_by_role("button", name="Start 7-Day Trial").click()
        shoot(page, f"checkout-{width}-{scheme}")
        fits(page)
        pay(page, PAYS)
        expect(page.get_by_role("heading", name="Welcome to Premium")).to_be_visible()
        fits(page)
        shoot(page, f"success-{width}-{scheme}")
        page.get_by_role("link", name="See the subscription").click()
        expect(page.get_by_text("What you have used")).to_be_visible()
        expect(page.get_by_text("Recorded room sessions").first).to_be_visible()
        fits(page)
        shoot(page, f"subscription-{width}-{scheme}")
