"""The web app in Chromium, on a real installation: from a sign-up to a shared clip, and every page as it looks."""

import os
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.api.browser import SIZES, Watched, check, visiting
from support.api.product import Product
from support.api.server import PASSWORD

from db.connection import SERVICE

MIB = 1024 * 1024
UPLOAD_BYTES = int(os.environ.get("UPLOAD_MIB", "20")) * MIB
"""How large a file the interrupted upload has; 200 is what somebody really loses."""
WORK_MS = 90_000

pytestmark = pytest.mark.xdist_group("browser")


class Somebody:
    """An account that has been through the main journey, with what came of it."""

    def __init__(self, email: str) -> None:
        self.email = email
        self.recording_id = ""
        self.clip_url = ""


@pytest.fixture(scope="module")
def somebody(browser: Browser, product: Product) -> Somebody:
    """Sign up, take the sample, make a clip of what was found, share it: all through the pages."""
    one = Somebody("fern@example.org")
    with visiting(browser, product.url, permissions=["clipboard-read", "clipboard-write"]) as watched:
        page = watched.page
        sign_up(page, one.email)
        allow_clips(product, one.email)
        page.get_by_role("button", name="or play with the sample").click()
        row = page.get_by_role("article").filter(has_text="sample-stage-talk")
        expect(row).to_contain_text("highlight", timeout=WORK_MS)
        row.get_by_role("link", name="sample-stage-talk").click()
        expect(page).to_have_url(re.compile("/recordings/[0-9a-f-]{36}$"))
        one.recording_id = page.url.rsplit("/", 1)[1]
        make_clip(page)
        page.goto("/clips")
        card = page.locator('.ccard[data-status="completed"]')
        expect(card).to_have_count(1, timeout=WORK_MS)
        one.clip_url = share(page)
    return one


def sign_up(page: Page, email: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Choose a recording").click()
    page.get_by_role("link", name="Sign up").click()
    # The page before has a field of the same name, and stays until this one has been loaded.
    expect(page.get_by_role("heading", name="Make an account")).to_be_visible()
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Your name").fill("Fern")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()
    expect(page.get_by_text("Nothing to listen to yet")).to_be_visible()


def allow_clips(product: Product, email: str) -> None:
    """What this account makes is not what a tier allows."""
    with product.database.transaction(SERVICE) as tx:
        tx.execute(
            "UPDATE subscriptions SET tier = 'pro', status = 'active' "
            "WHERE user_id = (SELECT id FROM users WHERE email = %s)",
            (email,),
        )


def make_clip(page: Page) -> None:
    """Look at the best highlight, change the least score that counts, and make the clip by a key."""
    highlights = page.get_by_role("region", name="Highlights")
    expect(highlights.get_by_role("button").first).to_have_attribute("aria-current", "true")
    expect(page.get_by_role("list", name="What made the score").get_by_role("listitem").first).to_be_visible()
    slider = page.get_by_label("Sensitivity")
    slider.focus()
    page.keyboard.press("End")
    expect(page.get_by_text("Nothing above the line")).to_be_visible()
    slider.evaluate("each => { each.value = 0.5; each.dispatchEvent(new Event('input')); }")
    expect(highlights.get_by_role("button").first).to_be_visible()
    highlights.get_by_role("button").first.click()
    page.get_by_label("Title").fill("The best moment")
    page.get_by_role("slider", name=re.compile("^Start of clip")).focus()
    before = page.get_by_role("slider", name=re.compile("^End of clip")).get_attribute("aria-valuenow")
    page.keyboard.press("Shift+ArrowLeft")
    assert before == page.get_by_role("slider", name=re.compile("^End of clip")).get_attribute("aria-valuenow")
    page.get_by_role("button", name="Make clip").first.click()
    expect(page.get_by_role("status")).to_contain_text("The clip is being made")


def share(page: Page) -> str:
    """Share the only clip, and return the address that was copied."""
    page.get_by_role("button", name="Actions for The best moment").click()
    page.get_by_role("menuitem", name="Share").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Link", exact=True)).to_have_value(re.compile("/c/"))
    dialog.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status")).to_contain_text("Link copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def enter(watched: Watched, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "cookie": True}
    assert watched.page.context.request.post("/api/auth/login", data=body).ok


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_page_fits_and_is_accessible(  # noqa: PLR0913, PLR0917 - fixtures
    browser: Browser, product: Product, somebody: Somebody, pictures: Path, width: int, scheme: Any
) -> None:
    pages = {
        "home": "/",
        "recordings": "/recordings",
        "recording": f"/recordings/{somebody.recording_id}",
        "clips": "/clips",
    }
    with visiting(browser, product.url, width=width, scheme=scheme) as watched:
        for name, path in {"front": "/", "signup": "/signup", "login": "/login", "forgot": "/forgot"}.items():
            watched.page.goto(path)
            expect(watched.page.get_by_role("heading", level=1)).to_be_visible()
            check(watched.page, name, pictures, width=width, scheme=scheme)
        enter(watched, somebody.email)
        for name, path in pages.items():
            watched.page.goto(path)
            expect(watched.page.locator(".pic img, canvas").first).to_be_visible()
            check(watched.page, name, pictures, width=width, scheme=scheme)
        watched.page.goto(somebody.clip_url)
        expect(watched.page.get_by_role("heading", name="The best moment")).to_be_visible()
        check(watched.page, "public", pictures, width=width, scheme=scheme)


def test_shared_clip_is_played_and_counted(product: Product, somebody: Somebody, browser: Browser) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto(somebody.clip_url)
        page.locator("video").evaluate("each => { each.muted = true; return each.play(); }")
        expect(page.get_by_role("link", name="Download")).to_have_attribute("href", re.compile("download=1$"))
        played = "each => new Promise(done => { each.ontimeupdate = () => each.currentTime > 0.2 && done(true); })"
        assert page.locator("video").evaluate(played)
        enter(watched, somebody.email)
        page.goto("/clips")
        expect(page.locator(".ccard .num").first).to_have_text(re.compile(r"^[1-9]\d*$"))
    gone = httpx.get(f"{product.url}/c/there-is-no-such-clip")
    assert gone.status_code == 404
    assert "This link does not work" in gone.text


def test_page_speaks_german_to_a_german_browser(browser: Browser, product: Product, somebody: Somebody) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.add_init_script("localStorage.setItem('snuggles.language', 'de')")
        enter(watched, somebody.email)
        page.goto("/recordings")
        expect(page.get_by_role("heading", name="Aufnahmen", exact=True)).to_be_visible()
        assert page.evaluate("document.documentElement.lang") == "de"
        page.goto("/clips")
        expect(page.get_by_role("searchbox", name="Clips durchsuchen")).to_be_visible()


def test_private_page_leads_through_the_login_and_back(browser: Browser, product: Product, somebody: Somebody) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto("/clips?status=failed")
        expect(page).to_have_url(re.compile("/login"))
        page.get_by_label("Email address").fill(somebody.email)
        page.get_by_label("Password", exact=True).fill("not the password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/clips\?status=failed$"))


def test_upload_goes_on_after_a_reload(browser: Browser, product: Product, tmp_path: Path) -> None:
    recording = tmp_path / "long.wav"
    with recording.open("wb") as file:
        file.truncate(UPLOAD_BYTES)
    sent: list[str] = []

    def last_part_is_lost(route: Route) -> None:
        number = re.search(r"partNumber=(\d+)|/(\d+)\?", route.request.url)
        if number and number[0] and len(sent) >= 1:
            route.abort("connectionreset")
        else:
            sent.append(route.request.url)
            route.continue_()

    with visiting(browser, product.url) as watched:
        page = watched.page
        sign_up(page, "otter@example.org")
        page.context.route(lambda url: "/storage/" in url or "partNumber" in url, last_part_is_lost)
        page.get_by_test_id("files").set_input_files(recording)
        uploads = page.get_by_role("region", name="Uploads")
        expect(uploads).to_contain_text("Waiting for the network")
        assert len(sent) == 1
        address = page.url
        page.goto("about:blank")  # before the network is back, so that only the page opened next can go on
        page.context.unroute_all()
        sent.clear()
        page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
        page.goto(address)
        row = page.get_by_role("article").filter(has_text="long")
        expect(row).to_be_visible(timeout=WORK_MS)
        expect(uploads).to_have_count(0)
        parts = -(-UPLOAD_BYTES // (16 * MIB))
        assert len(sent) == parts - 1
        watched.complaints[:] = [each for each in watched.complaints if "ERR_CONNECTION_RESET" not in each]
