"""The audience on the timeline of a recording in Chromium: bars with words to them, and saved moments to jump to."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import SIZES, check, visiting
from support.api.product import Person, Product
from support.api.server import PASSWORD
from support.servers.fleet import make_media

from db.connection import SERVICE

DURATION_S = 60
DEEDS = [
    ("join", 1, 1.0),
    ("reaction", 11, 20.2),
    ("reaction", 7, 20.6),
    ("message", 1, 20.8),
    ("vote", 3, 20.9),
    ("message", 2, 45.0),
]
DEEDS += [("reaction", 1 + each % 4, 5.0 + 1.7 * each) for each in range(8)]
MOMENTS = [(22.0, "The joke about bears"), (41.0, None), (41.3, "Applause"), (59.9, "Goodbye")]
ACT = """
INSERT INTO recording_activity (recording_id, kind, number, at)
SELECT id, %s, %s, live_started_at + make_interval(secs => %s) FROM recordings WHERE id = %s
"""
SAVE = "INSERT INTO memories (user_id, recording_id, at_s, label) VALUES (%s, %s, %s, %s)"
SUMMARY = (
    "Audience: 38 reactions, 3 messages, 3 votes, 1 person joined, 4 saved moments. "
    "Busiest at 0:20, 18 reactions, 1 message, 3 votes in 1 s"
)

pytestmark = pytest.mark.xdist_group("browser")


class Show:
    """An account with a recording that had an audience, and one that had none."""

    def __init__(self, product: Product) -> None:
        self.host: Person = product.person()
        media = make_media(product.folder / "show.mp4", duration_s=DURATION_S).read_bytes()
        self.seen, self.unseen = (self.host.upload(media) for _ in range(2))
        for recording_id in (self.seen, self.unseen):
            self.host.until(f"/api/recordings/{recording_id}", "ready")
        with product.database.transaction(SERVICE) as tx:
            tx.execute("UPDATE recordings SET live_started_at = created_at WHERE id = %s", (self.seen,))
            for deed in DEEDS:
                tx.execute(ACT, (*deed, self.seen))
            for at_s, label in MOMENTS:
                tx.execute(SAVE, (self.host.id, self.seen, at_s, label))


@pytest.fixture(scope="module")
def show(product: Product) -> Show:
    return Show(product)


def open_recording(page: Page, show: Show, recording_id: str) -> None:
    body = {"email": show.host.email, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok
    page.goto(f"/recordings/{recording_id}")


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_audience_is_a_lane_that_says_what_happened(  # noqa: PLR0913, PLR0917 - fixtures
    browser: Browser, product: Product, show: Show, pictures: Path, width: int, scheme: Any
) -> None:
    with visiting(browser, product.url, width=width, scheme=scheme) as watched:
        page = watched.page
        open_recording(page, show, show.seen)
        lane = page.get_by_role("group", name=re.compile("^Audience"))
        expect(lane).to_have_attribute("aria-label", re.compile(f"^{SUMMARY}"))
        expect(page.get_by_text("Audience", exact=True)).to_be_visible()
        expect(lane.get_by_role("button", name="2 saved moments at 0:41")).to_be_visible()
        lane.scroll_into_view_if_needed()
        box = lane.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 20.5 / DURATION_S, box["y"] + box["height"] - 4)
        expect(page.get_by_text(re.compile(r"^0:20 18 reactions, 1 message, 3 votes in 1 s$"))).to_be_visible()
        check(page, "audience", pictures, width=width, scheme=scheme)


def test_saved_moment_is_jumped_to(browser: Browser, product: Product, show: Show) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        open_recording(page, show, show.seen)
        mark = page.get_by_role("button", name="The joke about bears at 0:22")
        expect(mark).to_have_text("The joke about bears")
        mark.click()
        expect(page.locator("video")).to_have_js_property("currentTime", 22)
        lane = page.get_by_role("group", name=re.compile("^Audience"))
        mark.focus()
        page.keyboard.press("Tab")
        expect(lane.get_by_role("button", name="2 saved moments at 0:41")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("video")).to_have_js_property("currentTime", 41)


def test_audience_speaks_german(browser: Browser, product: Product, show: Show, pictures: Path) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.add_init_script("localStorage.setItem('snuggles.language', 'de')")
        open_recording(page, show, show.seen)
        said = "Publikum: 38 Reaktionen, 3 Nachrichten, 3 Stimmen, 1 Person dazugekommen, 4 gemerkte Momente"
        expect(page.get_by_role("group", name=re.compile(f"^{said}"))).to_be_visible()
        check(page, "audience-de", pictures, width=1280, scheme="light")


def test_recording_without_an_audience_has_no_lane(browser: Browser, product: Product, show: Show) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        open_recording(page, show, show.unseen)
        expect(page.get_by_role("group", name="Sound")).to_be_visible()
        expect(page.get_by_role("group", name=re.compile("^Audience"))).to_have_count(0)
