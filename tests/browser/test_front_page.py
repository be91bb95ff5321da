"""The front page, which is drawn when the site is built: seen before any script, then taken over by the app."""

import httpx
import pytest
from playwright.sync_api import Browser, expect
from support.api.browser import visiting
from support.api.server import PASSWORD

pytestmark = pytest.mark.xdist_group("browser")
GONE = "() => document.getElementById('drawn') === null"


def test_visitor_sees_it_without_any_script_in_their_language(browser: Browser, site: str) -> None:
    with visiting(browser, site, locale="de-DE", java_script_enabled=False) as watched:
        page = watched.page
        page.goto("/")
        expect(page.get_by_role("link", name="Konto anlegen")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        # The sizes that the app sets by script stand in a file of styles.
        lead, last = page.locator("#drawn .poll li").first, page.locator("#drawn .poll li").last
        assert lead.evaluate("it => getComputedStyle(it, '::before').width") != last.evaluate(
            "it => getComputedStyle(it, '::before').width"
        )
    answer = httpx.get(site, headers={"Accept-Language": "de"})
    assert (answer.headers["Vary"], 'lang="de"' in answer.text) == ("Accept-Language", True)


def test_app_takes_its_place_without_moving_anything(browser: Browser, site: str) -> None:
    with visiting(browser, site) as watched:
        page = watched.page
        page.add_init_script(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(it => "
            "window.shift += it.value)).observe({ type: 'layout-shift', buffered: true })"
        )
        page.goto("/")
        page.mouse.move(300, 300)
        page.wait_for_function(GONE)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.evaluate("window.shift") < 0.02
        page.get_by_role("link", name="Sign up").click()
        expect(page.get_by_role("heading", name="Make an account")).to_be_visible()


def test_reader_of_another_language_or_with_a_session_never_sees_it(browser: Browser, site: str) -> None:
    note = "new MutationObserver(() => { const it = document.getElementById('drawn'); if (it && it.offsetHeight) "
    note += "window.wasSeen = true; }).observe(document, { childList: true, subtree: true })"
    with visiting(browser, site) as watched:
        page = watched.page
        page.add_init_script(note)
        page.add_init_script("localStorage.setItem('snuggles.language', 'de')")
        page.goto("/")
        expect(page.get_by_role("link", name="Konto anlegen")).to_be_visible()
        assert page.evaluate("window.wasSeen") is None
    with visiting(browser, site) as watched:
        page = watched.page
        page.add_init_script(note)
        body = {"email": "front@example.org", "password": PASSWORD, "cookie": True}
        assert page.context.request.post("/api/auth/signup", data=body).ok
        page.goto("/")
        expect(page.get_by_role("link", name="Recordings").first).to_be_visible()
        assert page.evaluate("window.wasSeen") is None
