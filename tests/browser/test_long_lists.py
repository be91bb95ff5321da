"""Long lists draw what is near the window, and pages on a slow network say that they work and move nothing."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.api.browser import visiting
from support.api.server import PASSWORD

pytestmark = pytest.mark.xdist_group("browser")
CLIPS = 400
MOST_DRAWN = 250
SLOW = {"offline": False, "latency": 800, "downloadThroughput": 60_000, "uploadThroughput": 60_000}
"""A bad mobile network: milliseconds, and bytes a second."""
SHIFTS = (
    "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(it => "
    "window.shift += it.value)).observe({ type: 'layout-shift', buffered: true })"
)


def enter(page: Page, name: str) -> None:
    body = {"email": f"{name}@example.org", "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/signup", data=body).ok


def clip(number: int) -> dict[str, Any]:
    return {
        "id": str(UUID(int=number + 1)),
        "status": "completed",
        "recording_id": str(UUID(int=1)),
        "title": f"Moment {number}",
        "start_s": 1.0,
        "duration_s": 9.0,
        "preset": "original",
        "formats": ["mp4"],
        "view_count": 1,
        "share_count": 0,
        "is_kept": False,
    }


def answer(route: Route) -> None:
    query = parse_qs(urlsplit(route.request.url).query)
    first, last = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
    last = min(CLIPS, first + last)
    items = [clip(number) for number in range(first, last)]
    route.fulfill(json={"success": True, "data": {"items": items, "next_cursor": str(last) if last < CLIPS else None}})


def test_long_list_draws_what_is_near_the_window(browser: Browser, site: str) -> None:
    with visiting(browser, site) as watched:
        page = watched.page
        enter(page, "long")
        page.route(re.compile(r"/api/clips\?"), answer)
        page.goto("/clips")
        expect(page.get_by_role("link", name="Moment 0", exact=True)).to_be_visible()
        last = page.get_by_role("link", name=f"Moment {CLIPS - 1}", exact=True)
        for _ in range(60):
            if last.count():
                break
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            page.wait_for_timeout(50)
        expect(last).to_be_visible()
        assert page.locator(".ccard").count() < MOST_DRAWN
        height = page.evaluate("document.body.scrollHeight")
        page.evaluate("scrollTo(0, 0)")
        expect(page.get_by_role("link", name="Moment 0", exact=True)).to_be_visible()
        assert page.evaluate("document.body.scrollHeight") == pytest.approx(height, rel=0.02)


def test_slow_network_shows_that_the_page_works_and_moves_nothing(browser: Browser, site: str) -> None:
    with visiting(browser, site) as watched:
        page = watched.page
        enter(page, "slow")
        page.add_init_script(SHIFTS)
        page.goto("/settings")
        expect(page.get_by_role("heading", name="Settings").first).to_be_visible()
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send("Network.emulateNetworkConditions", SLOW)
        page.get_by_role("link", name="Clips").first.click()
        # First its code is on its way, then what it shows.
        expect(page.get_by_role("progressbar", name="The page is on its way")).to_be_visible(timeout=2000)
        expect(page.locator(".skel").first).to_be_visible(timeout=5000)
        expect(page.get_by_text("No clips yet").or_(page.get_by_role("heading", level=3)).first).to_be_visible()
        assert page.evaluate("window.shift") < 0.05
